"""Compiles core/ and the kernels with NVIDIA's run-time compiler, which knows no host and has no standard library, down to
machine code. No GPU is needed.

  compile.py NVRTC INCLUDE CCCL all ARCHITECTURE...    each kernel and each engine, once
  compile.py NVRTC INCLUDE CCCL some ARCHITECTURE...   those with instructions that only some architectures have
"""

import ctypes
import re
import sys
import time

# The standard headers that the library includes, made of those that the toolkit has for devices.
STANDARD = "#pragma once\n#include <cuda/std/{0}>\nnamespace std {{ using namespace cuda::std; }}\n"
HEADERS = {name: STANDARD.format(name)
           for name in ["array", "cmath", "concepts", "cstddef", "cstdint", "limits", "type_traits", "utility"]}
HEADERS["cmath"] += """namespace std {  // the functions that these lack
inline float erf(float x) { return ::erff(x); }
inline double erf(double x) { return ::erf(x); }
inline float erfc(float x) { return ::erfcf(x); }
inline double erfc(double x) { return ::erfc(x); }
}
"""

KERNELS = """
#include <attend/core/functors.hpp>
#include <attend/core/ready_functors.hpp>
#include <attend/cuda/block/scalar_engine.cuh>
#include <attend/cuda/block/tensor_core_engine.cuh>
#include <attend/cuda/block/tensor_core_gradient_engine.cuh>
#include <attend/cuda/block/float_engine.cuh>
#include <attend/cuda/block/float_gradient_engine.cuh>
#include <attend/cuda/block/float_warpgroup_gradient_engine.cuh>
#include <attend/cuda/kernel/distrusted_gradients.cuh>
#include <attend/cuda/kernel/flash.cuh>
#include <attend/cuda/block/warpgroup_engine.cuh>
#include <attend/cuda/block/warpgroup_gradient_engine.cuh>
#include <attend/cuda/kernel/flash_backward.cuh>
#include <attend/cuda/kernel/flash_warpgroup.cuh>
#include <attend/cuda/kernel/integers.cuh>
#include <attend/cuda/kernel/math.cuh>
#include <attend/cuda/kernel/math_backward.cuh>
#include <attend/cuda/kernel/mem_efficient.cuh>
#include <attend/cuda/kernel/mem_efficient_backward.cuh>
#include <attend/cuda/kernel/merge.cuh>
#include <attend/cuda/kernel/merge_splits.cuh>
#include <attend/cuda/kernel/pack_mask.cuh>
#include <attend/cuda/kernel/parameter_gradient.cuh>
#include <attend/cuda/kernel/row_gradients.cuh>
#include <attend/cuda/kernel/warpgroup_key_gradients.cuh>
#include <attend/cuda/kernel/warpgroup_query_gradient.cuh>

namespace attend::cuda {
using Plain = Variant<float>;
struct Doubles {
  template <class Number>
  __device__ Number operator()(Number s, Index) const { return s + s; }
};
using Trained = Variant<float, ScoreMod<RelativePositionBias<float>>>;
using WithFunctors = Variant<float, ScoreMod<Doubles>, MaskMod<PrefixLm>>;
}  // namespace attend::cuda
using namespace attend::cuda;
using namespace attend;
"""

SOME = [
    "flash<FlashEngine<F16, 64, FlashScores::products>, Plain>",
    "flash<FloatEngine<64, FlashScores::products>, Plain>",
    "mem_efficient<TensorCoreEngine<F16, 64>, Plain>",
    "flash_key_gradients<FlashGradientEngine<F16, 64, FlashGradient::of_keys>, Plain>",
    "key_gradients<TensorCoreGradientEngine<F16, 64>, Plain>",
    "flash_warpgroup<WarpgroupEngine<F16, 64, FlashScores::products>, Plain>",
    "flash_warpgroup<FloatWarpgroupEngine<128, FlashScores::products>, Plain>",
    "key_gradients<FloatWarpgroupGradientEngine<64>, Plain>",
    "warpgroup_key_gradients<WarpgroupGradientEngine<BF16, 64, FlashGradient::of_keys, FlashScores::products>, Plain>",
    "warpgroup_query_gradient<WarpgroupGradientEngine<F16, 128, FlashGradient::of_query, FlashScores::any>, Plain>",
]
ALL = SOME + [
    "flash<FlashEngine<BF16, 64, FlashScores::any>, WithFunctors>",
    "flash<FlashEngine<F16, 32, FlashScores::products>, Plain>",
    "mem_efficient<ScalarEngine<float, 64>, Plain>",
    "flash_query_gradient<FlashGradientEngine<BF16, 256, FlashGradient::of_query>, WithFunctors>",
    "store_integers<Plain>",
    "pack_mask<Plain>",
    "merge_splits<F16, Plain>",
    "merge_rows<F16>",
    "merge_gradients<BF16>",
    "row_gradients<F16, Plain>",
    "sink_gradient<Plain>",
    "parameter_parts<F16, Trained>",
    "parameter_sums<Plain>",
    "query_gradient<ScalarGradientEngine<float>, WithFunctors>",
    "key_gradients<FloatGradientEngine<128>, Plain>",
    "bias_gradient<ScalarGradientEngine<float>, Plain>",
    "distrusted_gradients<ScalarGradientEngine<F16>, Plain>",
    "distrusted_bias_gradient<ScalarGradientEngine<BF16>, Plain>",
    "math_scores<F16, Plain>",
    "math_softmax<Plain>",
    "math_output<BF16, Plain>",
    "math_pairs<WithFunctors>",
    "math_key_gradient<float, Plain>",
    "math_bias_gradient<Variant<double>>",
]


class Nvrtc:
    def __init__(self, library):
        self.library = ctypes.CDLL(library)

    def call(self, name, *arguments):
        return getattr(self.library, "nvrtc" + name)(*arguments)

    def text(self, program, what):
        size = ctypes.c_size_t()
        self.call(f"Get{what}Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self.call(f"Get{what}", program, text)
        return text.raw

    def compile(self, names, options):
        """The machine code, or None; and the compiler's log."""
        strings = lambda items: (ctypes.c_char_p * len(items))(*(item.encode() for item in items))
        program = ctypes.c_void_p()
        if self.call("CreateProgram", ctypes.byref(program), KERNELS.encode(), b"kernels.cu", len(HEADERS),
                     strings(list(HEADERS.values())), strings(list(HEADERS))) != 0:
            return None, "no program"
        for name in names:
            self.call("AddNameExpression", program, name.encode())
        failed = self.call("CompileProgram", program, len(options), strings(options)) != 0
        log = self.text(program, "ProgramLog").rstrip(b"\0").decode(errors="replace").strip()
        return None if failed else self.text(program, "CUBIN"), log


def main():
    library, include, cccl, which, *architectures = sys.argv[1:]
    names = {"all": ALL, "some": SOME}[which]
    nvrtc = Nvrtc(library)
    bad = not architectures
    for architecture in architectures:
        start = time.monotonic()
        code, log = nvrtc.compile(names, [f"--gpu-architecture=sm_{architecture}", f"--include-path={include}",
                                          f"--include-path={cccl}", "--std=c++20",
                                          "--device-as-default-execution-space"])
        kernels = len(set(re.findall(rb"\.text\.(\w+)", code or b"")))
        print(f"sm_{architecture}: {kernels} kernels of {len(names)}, {len(code or b'')} bytes, "
              f"{time.monotonic() - start:.1f} s")
        print(log[:20000])  # warnings are errors too
        bad = bad or log != "" or kernels != len(names)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
