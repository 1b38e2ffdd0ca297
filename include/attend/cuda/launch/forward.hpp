#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>

#include "../../core/forward_tensors.hpp"
#include "../../core/problem.hpp"
#include "../../core/variant.hpp"
#include "../../select/obstacle.hpp"

/// @file
/// The seam between plain C++ and the kernels: what one half calls and the other, in
/// attend/cuda.cuh, defines. Halves meet at link time.

namespace attend::cuda {

/// How many of a variant's integers lie on the host, from where a launch brings them to the device:
/// by value, so that it may be captured into a graph that outlives them. 0: on the device already.
struct HostIntegers {
  std::int64_t offsets = 0;      ///< of `Variant::offsets`
  std::int64_t key_lengths = 0;  ///< of `Variant::key_lengths`
};

/// The capability whose instructions the kernels have on the current device: the device's own, but
/// no more than what they were compiled for where that is before 8.0 (flash's are empty then).
/// `Real` is float.
/// @throws device_error
template <class Real>
Capability usable_capability();

/// What to say of it where the device itself could do more.
inline std::string compiled_for(Capability usable) {
  return "the program's kernels are compiled for compute capability " + text(usable) +
         " (CMAKE_CUDA_ARCHITECTURES)";
}

/// Runs a forward pass in `stream` of the current device, on which all other memory lies; `path` is
/// math, mem_efficient or flash and can take the problem. `T` is float, double, F16 or BF16.
/// Returns before the work is done.
/// @throws device_error
template <class T>
void forward(Path path, const Problem& problem, const Variant<RealOf<T>>& variant,
             const ForwardTensors<T>& tensors, const HostIntegers& on_host, cudaStream_t stream);

}  // namespace attend::cuda
