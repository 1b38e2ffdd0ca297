#pragma once

#include <cstdint>

#include "../../core/forward_tensors.hpp"
#include "../arch/shared_memory.cuh"
#include "../block/online_softmax.cuh"
#include "../block/query_tile.cuh"
#include "../block/scoring.cuh"
#include "../block/split_results.cuh"
#include "../block/uniform_rows.cuh"
#include "../tile/rows.cuh"

/// @file
/// The memory-efficient kernel: the online softmax over tiles of keys (Rabe, Staats,
/// "Self-attention does not need O(n^2) memory", 2021). An engine computes the products; any head
/// dims, any variant.

namespace attend::cuda {

/// Shared memory of a block.
template <class Engine, class V>
struct MemEfficientShared {
  Row<V> rows[Engine::kTileRows];
  typename Engine::Shared engine;
};

/// One block per tile of queries, part of the keys, and part of the output's columns.
template <class Engine, class V>
__global__ void __launch_bounds__(Engine::kThreads)
    mem_efficient(Problem problem, V variant, ForwardTensors<typename Engine::Element> tensors,
                  SplitResults<typename Engine::Real> results) {
  if constexpr (!is_compiled(Engine::kCompiled)) return __trap();  // never launched there
  using T = typename Engine::Element;
  using Real = typename Engine::Real;
  auto& shared = dynamic_shared<MemEfficientShared<Engine, V>>();
  const Row<V>* const sRows = shared.rows;

  const QueryTile tile(problem, Engine::kTileRows, Engine::kWidth, results.work);
  const auto keys = tile.keys(problem, variant, 0, Engine::kTileRows, results.work);
  for (int n = static_cast<int>(threadIdx.x); n < Engine::kTileRows; n += Engine::kThreads)
    shared.rows[n] = tile.row(problem, variant, n);
  __syncthreads();

  const View<const T, 2> gK = tensors.k.inner(tile.b, tile.h_kv);
  const View<const T, 2> gV = tensors.v.inner(tile.b, tile.h_kv);
  const auto q_row = [&](int n) -> const T* {
    const Row<V>& row = sRows[n];
    return row.exists() ? tensors.q.data() + tensors.q.offset(row.b, row.h, row.i) : nullptr;
  };

  const Real unit = weight_unit<T>(problem.len_k);
  OnlineSoftmax<Engine> softmax(unit);
  typename Engine::Output rO = {};
  typename Engine::Scores rS;
  bool q_there = false;
  for (std::int64_t j = keys.any.begin / Engine::kTileColumns * Engine::kTileColumns;
       j < keys.any.end; j += Engine::kTileColumns) {
    const std::int64_t end =
        j + Engine::kTileColumns < keys.any.end ? j + Engine::kTileColumns : keys.any.end;
    const Coverage kept = tile.coverage(variant, 0, Engine::kTileRows, j, end);
    if (kept == Coverage::none) continue;
    Engine::dot_products(rS, shared.engine, q_row, row_layout(tensors.q),
                         rows_from(gK, j, keys.any.end), row_layout(tensors.k), q_there);
    q_there = true;
    const bool within = keys.cover(j, Engine::kTileColumns) && kept == Coverage::all;
    const unsigned allowed = score<Engine>(rS, shared.engine, variant, sRows, j, within);

    Real factors[Engine::kRows];
    softmax.add(rS, allowed, factors);
    for (int r = 0; r < Engine::kRows; ++r)
      for (int c = 0; c < Engine::kOutColumns; ++c) rO[r][c] *= factors[r];

    apply_dropout<Engine>(rS, shared.engine, variant, sRows, j);
    Engine::add_weighted_values(rO, rS, shared.engine, rows_from(gV, j, keys.any.end),
                                row_layout(tensors.v), tile.column);
  }

  bool empty[Engine::kRows];
#pragma unroll
  for (int r = 0; r < Engine::kRows; ++r) {
    const Row<V>& row = sRows[Engine::row(r)];
    const SoftmaxState<Real> state = softmax.state(r);
    empty[r] = false;
    if (!row.exists()) continue;
    const bool writes_state = tile.column == 0 && threadIdx.x % Engine::kRowLanes == 0;
    Real factor = 1 / unit;
    if (results.work.parts > 1) {
      if (writes_state) results.state(tile.split, row.b, row.h, row.i) = state;
      factor *= part_factor(state);
    } else {
      const RowEnd<Real> end(state, variant.sink_logit(row.b, row.h));
      empty[r] = end.state.sum == 0;
      factor *= end.factor;
      if (writes_state && tensors.lse) tensors.lse(row.b, row.h, row.i) = end.state.lse();
    }
#pragma unroll
    for (int c = 0; c < Engine::kOutColumns; ++c) rO[r][c] *= factor;
  }

  if (variant.empty_row == EmptyRow::uniform)
    add_uniform_rows<Engine>(rO, shared.engine, problem, variant, sRows, empty, tensors.v, tile);

#pragma unroll
  for (int r = 0; r < Engine::kRows; ++r) {
    const Row<V>& row = sRows[Engine::row(r)];
    if (!row.exists()) continue;
#pragma unroll
    for (int c = 0; c < Engine::kOutColumns; ++c) {
      const std::int64_t e = tile.column + Engine::out_column(c);
      if (e >= problem.head_dim_v) continue;
      if (results.work.parts > 1) {
        results.out(tile.split, row.b, row.h, row.i, e) = rO[r][c];
      } else {
        store(tensors.out(row.b, row.h, row.i, e), rO[r][c]);
      }
    }
  }
}

}  // namespace attend::cuda
