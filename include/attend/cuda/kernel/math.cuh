#pragma once

#include <cstdint>

#include "../../core/forward_tensors.hpp"
#include "../../core/softmax_state.hpp"
#include "../arch/warp.cuh"
#include "../block/row.cuh"
#include "../block/scalar_product.cuh"

/// @file
/// The math path: attention as the textbook writes it, one kernel for each step: scores Q K^T,
/// softmax over them, product with V. The scores of some heads at a time are in memory.

namespace attend::cuda {

/// Heads of a call whose scores are in memory together, counted through the batch.
template <class Real>
struct ScoredHeads {
  std::int64_t first;    ///< the first of them: b * heads + h
  View<Real, 3> scores;  ///< (head i j): dot products, then probabilities
};

/// One tile of a matrix per head: which one a block computes.
struct HeadTile {
  std::int64_t head;    ///< counted from the first
  std::int64_t row;     ///< first row
  std::int64_t column;  ///< first column

  /// Of block blockIdx.x, where the matrices have `rows` rows and `columns` columns.
  __device__ HeadTile(std::int64_t rows, std::int64_t columns) {
    const std::int64_t down = (rows + ScalarPart::kTileRows - 1) / ScalarPart::kTileRows;
    const std::int64_t across = (columns + ScalarPart::kTileColumns - 1) / ScalarPart::kTileColumns;
    const std::int64_t tile = blockIdx.x;
    head = tile / (down * across);
    row = tile / across % down * ScalarPart::kTileRows;
    column = tile % across * ScalarPart::kTileColumns;
  }
  /// Blocks for the tiles of all heads.
  static std::int64_t count(std::int64_t heads, std::int64_t rows, std::int64_t columns) {
    return heads * ((rows + ScalarPart::kTileRows - 1) / ScalarPart::kTileRows) *
           ((columns + ScalarPart::kTileColumns - 1) / ScalarPart::kTileColumns);
  }
};

/// scores = Q K^T. One block per 64 x 64 tile.
template <class T, class V>
__global__ void __launch_bounds__(ScalarPart::kThreads)
    math_scores(Problem problem, ForwardTensors<T> tensors, ScoredHeads<RealOf<T>> heads) {
  using Real = RealOf<T>;
  constexpr int kChunk = 32;
  __shared__ ScalarTile<Real, ScalarPart::kTileRows, kChunk> sQ, sK;

  const HeadTile tile(problem.len_q, problem.len_k);
  const std::int64_t b = (heads.first + tile.head) / problem.heads;
  const std::int64_t h = (heads.first + tile.head) % problem.heads;
  const View<const T, 2> gQ = tensors.q.inner(b, h);
  const View<const T, 2> gK = tensors.k.inner(b, problem.head_kv(h));

  Real rS[ScalarPart::kRows][ScalarPart::kColumns] = {};
  for (std::int64_t c = 0; c < problem.head_dim; c += kChunk) {
    load_tile<ScalarPart::kThreads>(sQ, rows_from(gQ, tile.row), c, {gQ.extent(1), gQ.stride(1)});
    load_tile<ScalarPart::kThreads>(sK, rows_from(gK, tile.column), c,
                                    {gK.extent(1), gK.stride(1)});
    __syncthreads();
    add_dot_products(rS, sQ, sK);
    __syncthreads();
  }

  for (int r = 0; r < ScalarPart::kRows; ++r)
    for (int c = 0; c < ScalarPart::kColumns; ++c) {
      const std::int64_t i = tile.row + ScalarPart::row(r);
      const std::int64_t j = tile.column + ScalarPart::column(c);
      if (i < problem.len_q && j < problem.len_k) heads.scores(tile.head, i, j) = rS[r][c];
    }
}

/// Warps of a block of `math_softmax`; each computes a row.
inline constexpr int kSoftmaxWarps = 4;
/// Blocks that a multiprocessor's registers suffice for: for more, compilers would spill them.
inline constexpr int kSoftmaxBlocks = 6;

/// From dot products to logits to probabilities, with dropout's factor in them; and log-sum-exp.
/// One warp per row; lane n reads and writes the elements at n, n + 32, ..., and no other does.
template <class V>
__global__ void __launch_bounds__(kSoftmaxWarps* kWarp, kSoftmaxBlocks)
    math_softmax(Problem problem, V variant, ScoredHeads<typename V::Real> heads,
                 View<typename V::Real, 3> lse) {
  using Real = typename V::Real;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t number =
      std::int64_t{blockIdx.x} * kSoftmaxWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (number >= heads.scores.extent(0) * problem.len_q) return;
  const std::int64_t head = number / problem.len_q;
  const Row<V> row(problem, variant, (heads.first + head) / problem.heads,
                   (heads.first + head) % problem.heads, number % problem.len_q);
  Real* const gS = heads.scores.data() + heads.scores.offset(head, row.i);

  const Real sink = variant.sink_logit(row.b, row.h);
  SoftmaxState<Real> state{sink, 0};
  bool empty = true;
  for (std::int64_t j = row.keys.begin / kWarp * kWarp + lane; j < row.keys.end; j += kWarp) {
    if (!row.allows(variant, j)) continue;
    gS[j] = row.logit(variant, gS[j], j);
    state.max = state.max < gS[j] ? gS[j] : state.max;
    empty = false;
  }
  state.max = all_lanes<kWarp>(state.max, [](Real a, Real b) { return a < b ? b : a; });
  empty = __all_sync(kAllLanes, empty) != 0;

  for (std::int64_t j = lane; j < problem.len_k; j += kWarp) {
    if (!row.allows(variant, j)) {
      gS[j] = kExcluded<Real>;
      continue;
    }
    state.sum += SoftmaxState<Real>{gS[j], 1}.rescale(state.max);
    gS[j] = exp(gS[j] - state.max);  // NaN where both are infinite
  }
  state.sum = all_lanes<kWarp>(state.sum, [](Real a, Real b) { return a + b; });
  const bool has_sink = sink != -kInfinity<Real>;
  if (has_sink) state.sum += SoftmaxState<Real>{sink, 1}.rescale(state.max);

  const std::int64_t length = variant.band(problem, row.b).length();
  const bool uniform = empty && !has_sink && variant.empty_row == EmptyRow::uniform;
  for (std::int64_t j = lane; j < problem.len_k; j += kWarp) {
    if (uniform && j < length) {
      gS[j] = row.dropout_factor(variant, j) / static_cast<Real>(length);
    } else if (!is_excluded(gS[j])) {
      gS[j] = gS[j] / state.sum * row.dropout_factor(variant, j);
    }
  }
  if (lse && lane == 0) lse(row.b, row.h, row.i) = state.lse();
}

/// out = P V. One block per 64 x 64 tile.
template <class T, class V>
__global__ void __launch_bounds__(ScalarPart::kThreads)
    math_output(Problem problem, ForwardTensors<T> tensors, ScoredHeads<RealOf<T>> heads) {
  using Real = RealOf<T>;
  constexpr int kChunk = 32;
  __shared__ ScalarTile<Real, ScalarPart::kTileRows, kChunk> sP;
  __shared__ ScalarTile<Real, kChunk, ScalarPart::kTileColumns> sV;

  const HeadTile tile(problem.len_q, problem.head_dim_v);
  const std::int64_t b = (heads.first + tile.head) / problem.heads;
  const std::int64_t h = (heads.first + tile.head) % problem.heads;
  const View<const Real, 2> gP = View<const Real, 3>(heads.scores).inner(tile.head);
  const View<const T, 2> gV = tensors.v.inner(b, problem.head_kv(h));

  Real rO[ScalarPart::kRows][ScalarPart::kColumns] = {};
  for (std::int64_t j = 0; j < problem.len_k; j += kChunk) {
    load_tile<ScalarPart::kThreads>(sP, rows_from(gP, tile.row), j, {gP.extent(1), 1});
    const bool met = load_tile<ScalarPart::kThreads>(sV, rows_from(gV, j), tile.column,
                                                     {gV.extent(1), gV.stride(1)});
    if (__syncthreads_or(met)) {
      add_weighted<Values::any>(rO, sP, 0, sV);
    } else {
      add_weighted<Values::finite>(rO, sP, 0, sV);
    }
    __syncthreads();
  }

  for (int r = 0; r < ScalarPart::kRows; ++r)
    for (int c = 0; c < ScalarPart::kColumns; ++c) {
      const std::int64_t i = tile.row + ScalarPart::row(r);
      const std::int64_t e = tile.column + ScalarPart::quad_column(c);
      if (i < problem.len_q && e < problem.head_dim_v) store(tensors.out(b, h, i, e), rO[r][c]);
    }
}

}  // namespace attend::cuda
