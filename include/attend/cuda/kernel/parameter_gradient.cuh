#pragma once

#include <cstdint>

#include "../../core/backward_tensors.hpp"
#include "../arch/convert.cuh"
#include "../arch/warp.cuh"
#include "../block/gradient_row.cuh"

/// @file
/// The gradient by the parameters of a user's score function, which says for each score which of
/// them it depends on. All paths take it from here.

namespace attend::cuda {

/// Warps of a block of `parameter_parts`.
inline constexpr int kParameterWarps = 4;
/// Threads of a block of `parameter_sums`.
inline constexpr int kParameterThreads = 128;

/// Each warp goes through some rows and has sums of its own, `parts` (warp parameter). Lanes take a
/// key each, and turns at adding, so that sums have one order.
template <class T, class V>
__global__ void __launch_bounds__(kParameterWarps* kWarp)
    parameter_parts(Problem problem, V variant, BackwardTensors<T> tensors,
                    View<RowGradient<RealOf<T>>, 3> states, View<RealOf<T>, 2> parts) {
  using Real = RealOf<T>;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t warp =
      std::int64_t{blockIdx.x} * kParameterWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (warp >= parts.extent(0)) return;
  Real* const sums = parts.address(warp);
  for (std::int64_t n = lane; n < parts.extent(1); n += kWarp) sums[n] = 0;
  __syncwarp();

  for (std::int64_t number = warp; number < states.size(); number += parts.extent(0)) {
    const std::int64_t head = number / problem.len_q, b = head / problem.heads,
                       h = head % problem.heads, i = number % problem.len_q;
    const GradientRow<V> row(problem, variant, {problem, variant, b, h, i}, states);
    const T* const gQ = tensors.q.address(b, h, i);
    const T* const gdO = tensors.grad_out.address(b, h, i);
    const View<const T, 2> gK = tensors.k.inner(b, problem.head_kv(h));
    const View<const T, 2> gV = tensors.v.inner(b, problem.head_kv(h));
    for (std::int64_t first = row.keys.begin; first < row.keys.end; first += kWarp) {
      const std::int64_t j = first + lane;
      const bool allowed = row.allows(variant, j);
      PairGradient<Real> pair;
      if (allowed) {
        Real dot = 0, grad_weight = 0;
        for (std::int64_t c = 0; c < problem.head_dim; ++c)
          dot += to_real(gQ[c * tensors.q.stride(3)]) * to_real(gK(j, c));
        for (std::int64_t c = 0; c < problem.head_dim_v; ++c)
          grad_weight += to_real(gdO[c * tensors.grad_out.stride(3)]) * to_real(gV(j, c));
        pair = row.pair(variant, dot, grad_weight, j);
      }
      for (int turn = 0; turn < kWarp; ++turn) {
        if (allowed && turn == lane)
          variant.score_mod.scatter(pair.unmodified, pair.logit, Index{b, h, i, j},
                                    [&](std::int64_t n, Real x) { sums[n] += x; });
        __syncwarp();
      }
    }
  }
}

/// The sum of the parts, in their order. One thread for each parameter.
template <class V>
__global__ void __launch_bounds__(kParameterThreads)
    parameter_sums(View<const typename V::Real, 2> parts, View<typename V::Real, 1> gradient) {
  using Real = typename V::Real;
  const std::int64_t n = std::int64_t{blockIdx.x} * kParameterThreads + threadIdx.x;
  if (n >= gradient.extent(0)) return;
  Real sum = 0;
  for (std::int64_t part = 0; part < parts.extent(0); ++part) sum += parts(part, n);
  gradient.data()[n * gradient.stride(0)] = sum;
}

}  // namespace attend::cuda
