#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../kernel/math.cuh"
#include "launch.cuh"
#include "memory.hpp"

/// @file
/// The math path's launches.

namespace attend::cuda {

/// Bytes of scores that are in memory at a time, unless those of one head are more.
inline constexpr std::int64_t kScoreBytes = std::int64_t{1} << 28;

/// Runs the math path, a few heads after the other.
template <class T, class V>
void launch_math(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
                 cudaStream_t stream) {
  using Real = RealOf<T>;
  const std::int64_t heads = problem.batch * problem.heads;
  if (heads == 0 || problem.len_q == 0) return;
  const std::int64_t head_bytes =
      std::max<std::int64_t>(1, problem.len_q * problem.len_k * std::int64_t{sizeof(Real)});
  const std::int64_t at_a_time = std::clamp<std::int64_t>(kScoreBytes / head_bytes, 1, heads);
  const Memory memory(static_cast<std::size_t>(at_a_time * head_bytes), Stream::borrowed(stream));

  for (std::int64_t first = 0; first < heads; first += at_a_time) {
    const std::int64_t count = std::min(at_a_time, heads - first);
    const ScoredHeads<Real> scored{
        first, {static_cast<Real*>(memory.data()), {count, problem.len_q, problem.len_k}}};
    launch("math_scores", math_scores<T, V>,
           {HeadTile::count(count, problem.len_q, problem.len_k), ScalarPart::kThreads}, stream,
           problem, tensors, scored);
    launch("math_softmax", math_softmax<V>,
           {(count * problem.len_q + kSoftmaxWarps - 1) / kSoftmaxWarps, kSoftmaxWarps * kWarp},
           stream, problem, variant, scored, tensors.lse);
    launch("math_output", math_output<T, V>,
           {HeadTile::count(count, problem.len_q, problem.head_dim_v), ScalarPart::kThreads},
           stream, problem, tensors, scored);
  }
}

}  // namespace attend::cuda
