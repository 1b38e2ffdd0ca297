#pragma once

#include <type_traits>

#include "backward.hpp"
#include "flash_backward.cuh"
#include "integers.cuh"
#include "math_backward.cuh"
#include "mem_efficient_backward.cuh"
#include "pack_mask.cuh"
#include "parameter_gradient.cuh"
#include "usable.cuh"

/// @file
/// The kernels' half of the seam, backward.

namespace attend::cuda {

/// `backward` for any variant, also one with the user's own functions in it.
template <class T, class V>
void launch_backward(Path path, const Problem& problem, V variant,
                     const BackwardTensors<T>& tensors, const HostIntegers& on_host,
                     cudaStream_t stream) {
  const Memory offsets = to_device<V>(variant.offsets, on_host.offsets, stream);
  const Memory key_lengths = to_device<V>(variant.key_lengths, on_host.key_lengths, stream);
  PackedMask mask;
  if constexpr (!std::is_same_v<T, double>)
    if (path != Path::math) mask = PackedMask(variant, MaskParts::tiles, stream);
  const RowGradients<RealOf<T>> rows = launch_row_gradients(problem, variant, tensors, stream);
  if constexpr (V::kHasParameters)
    launch_parameter_gradient(problem, variant, tensors, rows.states, stream);
  if constexpr (sizeof(T) == 2) {
    if (runs_flash<V>(path, problem))
      return launch_flash_backward(problem, variant, tensors, rows, mask, stream);
  }
  if constexpr (!std::is_same_v<T, double>) {
    if (path == Path::mem_efficient)
      return launch_mem_efficient_backward(problem, variant, tensors, rows, mask, stream);
  }
  launch_math_backward(problem, variant, tensors, rows.states, stream);
}

template <class T>
void backward(Path path, const Problem& problem, const Variant<RealOf<T>>& variant,
              const BackwardTensors<T>& tensors, const HostIntegers& on_host, cudaStream_t stream) {
  launch_backward(path, problem, variant, tensors, on_host, stream);
}

}  // namespace attend::cuda
