#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../kernel/parameter_gradient.cuh"
#include "launch.cuh"
#include "memory.hpp"

/// @file
/// The launches for the gradient by the parameters of a user's score function.

namespace attend::cuda {

/// The most partial sums of each parameter: enough warps for a device of 100 multiprocessors.
inline constexpr std::int64_t kParameterParts = 1024;
/// The most bytes that all partial sums take, if there is more than one of each parameter.
inline constexpr std::int64_t kParameterBytes = std::int64_t{256} << 20;

/// Computes it, if it is wanted.
template <class T, class V>
void launch_parameter_gradient(const Problem& problem, const V& variant,
                               const BackwardTensors<T>& tensors,
                               const View<RowGradient<RealOf<T>>, 3>& states, cudaStream_t stream) {
  using Real = RealOf<T>;
  const std::int64_t count = tensors.parameters.extent(0);
  if (!tensors.parameters || count == 0) return;
  const std::int64_t fitting = kParameterBytes / (count * std::int64_t{sizeof(Real)});
  const std::int64_t part_count =
      std::clamp<std::int64_t>(std::min(fitting, states.size()), 1, kParameterParts);
  const Memory memory(static_cast<std::size_t>(part_count * count) * sizeof(Real),
                      Stream::borrowed(stream));
  const View<Real, 2> parts{static_cast<Real*>(memory.data()), {part_count, count}};
  launch("parameter_parts", parameter_parts<T, V>,
         {(part_count + kParameterWarps - 1) / kParameterWarps, kParameterWarps * kWarp}, stream,
         problem, variant, tensors, states, parts);
  launch("parameter_sums", parameter_sums<V>,
         {(count + kParameterThreads - 1) / kParameterThreads, kParameterThreads}, stream, parts,
         tensors.parameters);
}

}  // namespace attend::cuda
