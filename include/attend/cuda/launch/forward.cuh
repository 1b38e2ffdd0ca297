#pragma once

#include <type_traits>

#include "flash.cuh"
#include "forward.hpp"
#include "integers.cuh"
#include "math.cuh"
#include "mem_efficient.cuh"
#include "usable.cuh"

/// @file
/// The kernels' half of the seam.

namespace attend::cuda {

/// `forward` for any variant, also one with the user's own functions in it.
template <class T, class V>
void launch_forward(Path path, const Problem& problem, V variant, const ForwardTensors<T>& tensors,
                    const HostIntegers& on_host, cudaStream_t stream) {
  const Memory offsets = to_device<V>(variant.offsets, on_host.offsets, stream);
  const Memory key_lengths = to_device<V>(variant.key_lengths, on_host.key_lengths, stream);
  if constexpr (sizeof(T) == 2) {
    if (runs_flash<V>(path, problem)) return launch_flash(problem, variant, tensors, stream);
  }
  if constexpr (!std::is_same_v<T, double>) {
    if (path == Path::mem_efficient) return launch_mem_efficient(problem, variant, tensors, stream);
  }
  launch_math(problem, variant, tensors, stream);
}

template <class Real>
Capability usable_capability() {
  return usable_capability_of<Variant<Real>>();
}

template <class T>
void forward(Path path, const Problem& problem, const Variant<RealOf<T>>& variant,
             const ForwardTensors<T>& tensors, const HostIntegers& on_host, cudaStream_t stream) {
  launch_forward(path, problem, variant, tensors, on_host, stream);
}

}  // namespace attend::cuda
