#pragma once

#include <cstdint>

#include "../../core/backward_tensors.hpp"
#include "../../core/score_gradient.hpp"
#include "../../core/softmax_state.hpp"
#include "../arch/convert.cuh"
#include "../arch/warp.cuh"
#include "../block/gradient_call.cuh"
#include "../block/query_tile.cuh"
#include "../block/row.cuh"
#include "../tile/rows.cuh"
#include "../tile/scalar_tile.cuh"
#include "../tile/swizzled_tile.cuh"

/// @file
/// What a backward pass knows of every row before it looks at a tile of scores, and the gradient of
/// the sinks, which follows from that alone.

namespace attend::cuda {

/// Warps of a block of `row_gradients`.
inline constexpr int kRowWarps = 4;
/// Lanes that share a row: pieces of 16 bytes of 64 half type elements.
inline constexpr int kLanesOfRow = 8;
/// Rows of a warp.
inline constexpr int kRowsOfWarp = kWarp / kLanesOfRow;
static_assert(kRowWarps * kRowsOfWarp == kRowsOfRun, "a block looks at one run of rows");

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

/// Row (b, h, i) of `a` times that of `b`, which are of one shape, by the lanes that share it: the
/// same in all of them.
template <class T>
__device__ RealOf<T> product_of_rows(const View<const T, 4>& a, const View<const T, 4>& b,
                                     const Index& at) {
  using Real = RealOf<T>;
  constexpr int kCount = Piece<T>::kCount;
  const RowLayout layout_a = row_layout(a), layout_b = row_layout(b);
  const T* const row_a = a.data() + a.offset(at.b, at.h, at.i);
  const T* const row_b = b.data() + b.offset(at.b, at.h, at.i);
  const int own = lane() % kLanesOfRow, columns = static_cast<int>(layout_a.columns);
  Real sum = 0;
  const int at_once = min(static_cast<int>(layout_a.access), static_cast<int>(layout_b.access));
  if (at_once >= kCount) {
#pragma unroll 2
    for (int e = kCount * own; e < columns; e += kCount * kLanesOfRow) {
      const auto piece_a = *reinterpret_cast<const Piece<T>*>(row_a + e);
      const auto piece_b = *reinterpret_cast<const Piece<T>*>(row_b + e);
#pragma unroll
      for (int x = 0; x < kCount; ++x) sum += to_real(piece_a.at[x]) * to_real(piece_b.at[x]);
    }
  } else {
#pragma unroll 1
    for (int e = own; e < columns; e += kLanesOfRow)
      sum += to_real(row_a[e * layout_a.stride]) * to_real(row_b[e * layout_b.stride]);
  }
  return all_lanes<kLanesOfRow>(sum, [](Real x, Real y) { return x + y; });
}

/// D = rowsum(dO * O) and its like: one `RowGradient` per row (b, h, i). `distrusted_runs`: for
/// each run of `kRowsOfRun` rows, whether one of them is.
template <class T, class V>
__global__ void __launch_bounds__(kRowWarps* kWarp)
    row_gradients(Problem problem, V variant, BackwardTensors<T> tensors,
                  View<RowGradient<RealOf<T>>, 3> states, View<bool, 1> distrusted_runs) {
  using Real = RealOf<T>;
  const auto index_of = [&](std::int64_t number) -> Index {
    number = min(number, states.size() - 1);
    const std::int64_t head = divided(number, problem.len_q);
    const std::int64_t b = divided(head, problem.heads);
    return {b, head - b * problem.heads, number - head * problem.len_q, 0};
  };
  const std::int64_t first =
      std::int64_t{blockIdx.x} * kRowsOfRun + static_cast<int>(threadIdx.x) / kWarp * kRowsOfWarp;
  const int own = lane() / kLanesOfRow;
  const Index at = index_of(first + own);

  const Real product = product_of_rows<T>(tensors.grad_out, tensors.out, at);
  const Real lse = tensors.lse(at.b, at.h, at.i);
  const Real grad_lse = tensors.grad_lse ? tensors.grad_lse(at.b, at.h, at.i) : Real{0};
  RowGradient<Real> state{.shift = lse, .delta = product - grad_lse};

  const Real size = lse < 0 ? -lse : lse;
  const bool distrusted =
      size > static_cast<Real>(trusted_lse<T>(problem)) && size < kInfinity<Real>;
  const bool without_logit = lse == -kInfinity<Real>;
  const bool may_be_empty = without_logit || not_finite(product);
  if (!(size < kInfinity<Real>)) state.factor = lse - lse;  // NaN
  // What needs a look at all keys of a row is done by the warp, for one row after the other.
  const unsigned anew = __ballot_sync(kAllLanes, distrusted);
  const unsigned looked_at = __ballot_sync(kAllLanes, may_be_empty);
#pragma unroll 1
  for (int n = 0; n < kRowsOfWarp; ++n) {
    const unsigned bit = 1u << n * kLanesOfRow;
    if (((anew | looked_at) & bit) == 0) continue;
    const Index of = index_of(first + n);
    const Row<V> row(problem, variant, of.b, of.h, of.i);
    if ((anew & bit) != 0) {
      const SoftmaxState<Real> of_row = softmax_state(problem, variant, tensors, row);
      if (n == own) state.shift = of_row.max, state.factor = 1 / of_row.sum;
    }
    if ((looked_at & bit) != 0 && !has_allowed_key(variant, row) && n == own) {
      state.delta = -grad_lse;  // the output is no function of anything
      if (without_logit) state.shift = 0, state.factor = 1;  // what is excluded weighs nothing
      const std::int64_t length = variant.band(problem, of.b).length();
      if (without_logit && variant.empty_row == EmptyRow::uniform && length > 0)
        state.uniform = 1 / static_cast<Real>(length);
    }
  }
  if (lane() % kLanesOfRow == 0 && first + own < states.size()) states(at.b, at.h, at.i) = state;
  const bool some = __syncthreads_or(distrusted) != 0;
  if (threadIdx.x == 0) distrusted_runs(blockIdx.x) = some;
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
