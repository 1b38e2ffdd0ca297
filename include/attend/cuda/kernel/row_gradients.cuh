#pragma once

#include <cstdint>

#include "../../core/backward_tensors.hpp"
#include "../../core/score_gradient.hpp"
#include "../../core/softmax_state.hpp"
#include "../arch/convert.cuh"
#include "../arch/warp.cuh"
#include "../block/row.cuh"
#include "../tile/scalar_tile.cuh"

/// @file
/// What a backward pass knows of every row before it looks at a tile of scores, and the gradient of
/// the sinks, which follows from that alone.

namespace attend::cuda {

/// Warps of a block of `row_gradients`; each computes a row.
inline constexpr int kRowWarps = 4;

/// Whether a warp's row has an allowed key.
template <class V>
__device__ bool has_allowed_key(const V& variant, const Row<V>& row) {
  bool has = false;
  for (std::int64_t j = row.keys.begin + threadIdx.x % kWarp; j < row.keys.end && !has; j += kWarp)
    has = row.allows(variant, j);
  return __any_sync(kAllLanes, has) != 0;
}

/// Maximum and sum of a warp's row, by the definition.
template <class T, class V>
__device__ SoftmaxState<RealOf<T>> softmax_state(const Problem& problem, const V& variant,
                                                 const BackwardTensors<T>& tensors,
                                                 const Row<V>& row) {
  using Real = RealOf<T>;
  const T* const gQ = tensors.q.address(row.b, row.h, row.i);
  const View<const T, 2> gK = tensors.k.inner(row.b, problem.head_kv(row.h));
  SoftmaxState<Real> state;
  for (std::int64_t j = row.keys.begin + threadIdx.x % kWarp; j < row.keys.end; j += kWarp) {
    if (!row.allows(variant, j)) continue;
    Real dot = 0;
    for (std::int64_t c = 0; c < problem.head_dim; ++c)
      dot += to_real(gQ[c * tensors.q.stride(3)]) * to_real(gK(j, c));
    state = state.with(row.logit(variant, dot, j));
  }
  for (int mask = kWarp / 2; mask > 0; mask /= 2)
    state = state.merged({shfl_xor(state.max, mask), shfl_xor(state.sum, mask)});
  const Real sink = variant.sink_logit(row.b, row.h);
  return sink == -kInfinity<Real> ? state : state.with(sink);
}

/// D = rowsum(dO * O) and its like: one `RowGradient` per row (b, h, i). One warp per row.
template <class T, class V>
__global__ void __launch_bounds__(kRowWarps* kWarp)
    row_gradients(Problem problem, V variant, BackwardTensors<T> tensors,
                  View<RowGradient<RealOf<T>>, 3> states) {
  using Real = RealOf<T>;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t number =
      std::int64_t{blockIdx.x} * kRowWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (number >= states.size()) return;
  const std::int64_t head = number / problem.len_q;
  const Row<V> row(problem, variant, head / problem.heads, head % problem.heads,
                   number % problem.len_q);

  Real product = 0;
  for (std::int64_t e = lane; e < problem.head_dim_v; e += kWarp)
    product += to_real(tensors.grad_out(row.b, row.h, row.i, e)) *
               to_real(tensors.out(row.b, row.h, row.i, e));
  product = all_lanes<kWarp>(product, [](Real a, Real b) { return a + b; });
  const Real lse = tensors.lse(row.b, row.h, row.i);
  const Real grad_lse = tensors.grad_lse ? tensors.grad_lse(row.b, row.h, row.i) : Real{0};

  RowGradient<Real> state{.shift = lse, .delta = product - grad_lse};
  const Real size = lse < 0 ? -lse : lse;
  if (size > static_cast<Real>(kTrustedLse) && size < kInfinity<Real>) {
    const SoftmaxState<Real> anew = softmax_state(problem, variant, tensors, row);
    state.shift = anew.max;
    state.factor = 1 / anew.sum;
  }
  const bool without_logit = lse == -kInfinity<Real>;
  if ((without_logit || not_finite(product)) && !has_allowed_key(variant, row)) {
    state.delta = -grad_lse;             // the output is no function of anything
    if (without_logit) state.shift = 0;  // an excluded score is -inf, and -inf - -inf is NaN
    const std::int64_t length = variant.band(problem, row.b).length();
    if (without_logit && variant.empty_row == EmptyRow::uniform && length > 0)
      state.uniform = 1 / static_cast<Real>(length);
  }
  if (lane == 0) states(row.b, row.h, row.i) = state;
}

/// Threads of a block of `sink_gradient`.
inline constexpr int kSinkThreads = 128;

/// The sinks' gradient, in the sinks' own shape (b|1 h|1). A sink is one more key of value 0. One
/// block per sink; the order of its sum depends on the problem's sizes alone.
template <class V>
__global__ void __launch_bounds__(kSinkThreads)
    sink_gradient(Problem problem, V variant, View<RowGradient<typename V::Real>, 3> states,
                  View<typename V::Real, 2> dsink) {
  using Real = typename V::Real;
  const std::int64_t own_b = blockIdx.x / dsink.extent(1), own_h = blockIdx.x % dsink.extent(1);
  const bool each_b = dsink.extent(0) > 1, each_h = dsink.extent(1) > 1;
  Real sum = 0;
  for (std::int64_t b = each_b ? own_b : 0; b < (each_b ? own_b + 1 : problem.batch); ++b)
    for (std::int64_t h = each_h ? own_h : 0; h < (each_h ? own_h + 1 : problem.heads); ++h) {
      const Real sink = variant.sink_logit(b, h);
      if (sink == -kInfinity<Real>) continue;
      for (std::int64_t i = threadIdx.x; i < problem.len_q; i += kSinkThreads) {
        const RowGradient<Real> row = states(b, h, i);
        sum -= row.probability(sink) * row.delta;
      }
    }
  __shared__ Real parts[kSinkThreads / kWarp];
  sum = all_lanes<kWarp>(sum, [](Real a, Real b) { return a + b; });
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  sum = 0;
  for (const Real part : parts) sum += part;
  dsink(own_b, own_h) = sum;
}

}  // namespace attend::cuda
