#pragma once

#include <cstdint>

#include "../arch/shared_memory.cuh"
#include "../block/gradient_call.cuh"
#include "../block/gradient_tile.cuh"
#include "../block/scalar_gradient_engine.cuh"
#include "../block/tile_gradients.cuh"

/// @file
/// The memory-efficient kernels' gradients: scores are computed anew, tile by tile, from q, k and
/// the log-sum-exp (Dao et al., "FlashAttention", 2022, algorithm 4; Dao, "FlashAttention-2", 2023,
/// section 3.1.2). Each gradient has blocks of its own that go through the scores it depends on, so
/// that sums have one order. An engine computes the products; any head dims, any variant.

namespace attend::cuda {

/// Shared memory of a block that looks at `QueryCount` queries at a time.
template <class Engine, class V, int QueryCount>
struct GradientShared {
  GradientQuery<V> queries[QueryCount];
  typename Engine::Shared engine;
};

/// Shared memory of a block of `key_gradients`. Of queries there are two tiles, in turn: one is
/// filled while threads may still read the other.
template <class Engine, class V>
struct KeyGradientShared : GradientShared<Engine, V, 2 * Engine::kTileColumns> {
  typename SeeingQueries<V>::Sought keys;
  std::int64_t column;  ///< first column of the gradients
};

/// Whether a block's tile has queries whose greatest logit and sum were taken anew, where that
/// takes products in the same order. Each thread asks of those that it looked up.
template <class Engine, int Count, class V>
__device__ bool wants_order(const GradientQuery<V>* sQueries) {
  bool wanted = false;
  if constexpr (Engine::kHasOrder) {
    for (int n = static_cast<int>(threadIdx.x); n < Count; n += Engine::kThreads)
      wanted =
          wanted || !(fabsf(sQueries[n].state.shift) <= static_cast<float>(kTrustedLse<float>));
    wanted = __syncthreads_or(wanted) != 0;
  }
  return wanted;
}

/// Blocks that a multiprocessor's registers suffice for: with more, sums would not all fit.
inline constexpr int kGradientBlocks = 2;

/// dQ = dS K. One block per tile of queries and part of the head dim.
template <class Engine, class V>
__global__ void __launch_bounds__(Engine::kThreads, kGradientBlocks)
    query_gradient(Problem problem, V variant, GradientCall<typename Engine::Element> call) {
  if constexpr (!is_compiled(Engine::kCompiled)) return __trap();  // never launched there
  using T = typename Engine::Element;
  constexpr int kRows = Engine::kTileRows, kColumns = Engine::kTileColumns;
  auto& shared = dynamic_shared<GradientShared<Engine, V, kRows>>();
  const BackwardTensors<T>& t = call.tensors;

  const std::int64_t tiles = (problem.len_q + kRows - 1) / kRows;
  const GradientBlock block(problem.heads, tiles, problem.head_dim, Engine::kWidth);
  const std::int64_t h_kv = problem.head_kv(block.h);
  const HeadQueries queries{block.b, block.h};
  const std::int64_t first = (tiles - 1 - block.tile) * kRows;  // with causal the longest first
  const auto keys = queries.keys(problem, variant, first, kRows);
  queries.find<Engine::kThreads, kRows>(shared.queries, problem, variant, call.states, first);
  const bool in_order = wants_order<Engine, kRows>(shared.queries);
  const auto gQ = rows_from(t.q.inner(block.b, block.h), first);
  const auto gdO = rows_from(t.grad_out.inner(block.b, block.h), first);

  const TileGradients<Engine, Queries::rows, V> gradients(problem, variant, call.scale, queries,
                                                          shared.queries);
  typename Engine::Output rdQ = {};
  bool there = false;
  for (std::int64_t j = keys.any.begin / kColumns * kColumns; j < keys.any.end; j += kColumns) {
    const Coverage kept = queries.coverage(problem, variant, first, kRows, j, j + kColumns);
    if (kept == Coverage::none) continue;
    const auto gK = rows_from(t.k.inner(block.b, h_kv), j, keys.any.end);
    const auto gV = rows_from(t.v.inner(block.b, h_kv), j, keys.any.end);
    typename Engine::Scores rS, rG;
    const Values of_k = Engine::dot_products(rS, shared.engine, Factor::keys, gQ, call.q, gK,
                                             call.k, there, in_order);
    Engine::dot_products(rG, shared.engine, Factor::values, gdO, call.grad_out, gV, call.v, there);
    there = true;
    gradients(rS, rG, j, keys.cover(j, j + kColumns) && kept == Coverage::all);
    Engine::add_weighted(rdQ, rG, shared.engine, Factor::keys, of_k, gK, call.k, block.column);
  }
  store_gradient<Engine>(
      rdQ, call.scale, block.column, problem.head_dim, t.dq.stride(3), [&](int n) -> T* {
        return first + n < problem.len_q ? t.dq.address(block.b, block.h, first + n) : nullptr;
      });
}

/// dV = P^T dO and dK = dS^T Q. One block per tile of keys, and part of the head dims; tiles lie
/// transposed, so that keys are rows.
template <class Engine, class V>
__global__ void __launch_bounds__(Engine::kThreads, kGradientBlocks)
    key_gradients(Problem problem, V variant, GradientCall<typename Engine::Element> call) {
  if constexpr (!is_compiled(Engine::kCompiled)) return __trap();  // never launched there
  using T = typename Engine::Element;
  constexpr int kRows = Engine::kTileRows, kColumns = Engine::kTileColumns;
  auto& shared = dynamic_shared<KeyGradientShared<Engine, V>>();
  const BackwardTensors<T>& t = call.tensors;

  if (threadIdx.x == 0) {
    const GradientBlock block(problem.heads_kv, (problem.len_k + kRows - 1) / kRows,
                              max(problem.head_dim, problem.head_dim_v), Engine::kWidth);
    const std::int64_t begin = block.tile * kRows;
    shared.keys = {block.b, block.h, begin, min(begin + kRows, problem.len_k), kColumns};
    shared.column = block.column;
  }
  __syncthreads();
  const auto& own = shared.keys;
  const auto gK = rows_from(t.k.inner(own.b, own.h_kv), own.begin);
  const auto gV = rows_from(t.v.inner(own.b, own.h_kv), own.begin);

  typename Engine::Output rdK = {}, rdV = {};
  bool there = false;
  GradientQuery<V>* sQueries = shared.queries;
  for (SeeingQueries<V> at(problem, variant, own); at.exists(); at = at.next()) {
    const HeadQueries queries = at.head();
    sQueries = sQueries == shared.queries ? shared.queries + kColumns : shared.queries;
    queries.find<Engine::kThreads, kColumns>(sQueries, problem, variant, call.states, at.i);
    const bool in_order = wants_order<Engine, kColumns>(sQueries);
    const auto gQ = rows_from(t.q.inner(queries.b, queries.h), at.i);
    const auto gdO = rows_from(t.grad_out.inner(queries.b, queries.h), at.i);

    typename Engine::Scores rS, rG;
    const Values of_q = Engine::dot_products(rS, shared.engine, Factor::keys, gK, call.k, gQ,
                                             call.q, there, in_order);
    const Values of_do = Engine::dot_products(rG, shared.engine, Factor::values, gV, call.v, gdO,
                                              call.grad_out, there);
    there = true;
    const bool within = at.keys().cover(own.begin, own.begin + kRows) &&
                        at.coverage(own.begin, own.end) == Coverage::all;
    const TileGradients<Engine, Queries::columns, V> gradients(problem, variant, call.scale,
                                                               queries, sQueries);
    gradients(rS, rG, own.begin, within);
    if (shared.column < problem.head_dim_v)
      Engine::add_weighted(rdV, rS, shared.engine, Factor::values, of_do, gdO, call.grad_out,
                           shared.column);
    if (shared.column < problem.head_dim)
      Engine::add_weighted(rdK, rG, shared.engine, Factor::keys, of_q, gQ, call.q, shared.column);
  }
  const auto row_to = [&](const View<T, 4>& to) {
    return [&, to](int n) -> T* {
      return own.begin + n < own.end ? to.address(own.b, own.h_kv, own.begin + n) : nullptr;
    };
  };
  store_gradient<Engine>(rdK, call.scale, shared.column, problem.head_dim, t.dk.stride(3),
                         row_to(t.dk));
  store_gradient<Engine>(rdV, 1, shared.column, problem.head_dim_v, t.dv.stride(3), row_to(t.dv));
}

/// The bias' gradient, in the bias' own shape (b|1 h|1 i|1 j|1): dS by the scores, summed over what
/// was broadcast. One block per tile of the bias.
template <class Engine, class V>
__global__ void __launch_bounds__(Engine::kThreads, kGradientBlocks)
    bias_gradient(Problem problem, V variant, GradientCall<typename Engine::Element> call) {
  using T = typename Engine::Element;
  constexpr int kRows = Engine::kTileRows, kColumns = Engine::kTileColumns;
  auto& shared = dynamic_shared<GradientShared<Engine, V, kRows>>();
  const BackwardTensors<T>& t = call.tensors;
  const auto& dbias = t.dbias;

  // An axis of the bias' that is 1 is summed over: all of the problem's is this block's.
  const auto own = [&](int axis, std::int64_t from, std::int64_t count, std::int64_t all) {
    return dbias.extent(axis) == 1 ? KeyRange{0, all}
                                   : KeyRange{from, from + count < all ? from + count : all};
  };
  const std::int64_t across = (dbias.extent(3) + kColumns - 1) / kColumns;
  const std::int64_t down = (dbias.extent(2) + kRows - 1) / kRows;
  const std::int64_t own_i = blockIdx.x / across % down * kRows,
                     own_j = blockIdx.x % across * kColumns;
  const std::int64_t head = blockIdx.x / across / down;
  const std::int64_t own_b = head / dbias.extent(1), own_h = head % dbias.extent(1);
  const KeyRange batch = own(0, own_b, 1, problem.batch), heads = own(1, own_h, 1, problem.heads);
  const KeyRange queries = own(2, own_i, kRows, problem.len_q);
  const KeyRange own_keys = own(3, own_j, kColumns, problem.len_k);

  typename Engine::Scores rB = {};
  for (std::int64_t b = batch.begin; b < batch.end; ++b)
    for (std::int64_t h = heads.begin; h < heads.end; ++h)
      for (std::int64_t i = queries.begin; i < queries.end; i += kRows) {
        const HeadQueries of_head{b, h};
        const TileGradients<Engine, Queries::rows, V, GradientBy::score> gradients(
            problem, variant, call.scale, of_head, shared.queries);
        const auto keys = of_head.keys(problem, variant, i, kRows);
        __syncthreads();
        of_head.find<Engine::kThreads, kRows>(shared.queries, problem, variant, call.states, i);
        __syncthreads();
        const auto gQ = rows_from(t.q.inner(b, h), i);
        const auto gdO = rows_from(t.grad_out.inner(b, h), i);
        bool there = false;
        for (std::int64_t j = own_keys.begin; j < own_keys.end; j += kColumns) {
          if (!keys.touch(j, j + kColumns) ||
              of_head.coverage(problem, variant, i, kRows, j, j + kColumns) == Coverage::none)
            continue;
          const auto gK = rows_from(t.k.inner(b, problem.head_kv(h)), j);
          const auto gV = rows_from(t.v.inner(b, problem.head_kv(h)), j);
          typename Engine::Scores rS, rG;
          Engine::dot_products(rS, shared.engine, Factor::keys, gQ, call.q, gK, call.k, there);
          Engine::dot_products(rG, shared.engine, Factor::values, gdO, call.grad_out, gV, call.v,
                               there);
          there = true;
          gradients(rS, rG, j, false);
          for (int r = 0; r < Engine::kRows; ++r)
            for (int c = 0; c < Engine::kColumns; ++c) rB[r][c] += rG[r][c];
        }
      }

  auto& sB = Engine::staged(shared.engine);
  __syncthreads();
  for (int r = 0; r < Engine::kRows; ++r)
    for (int c = 0; c < Engine::kColumns; ++c) sB.at(Engine::row(r), Engine::column(c)) = rB[r][c];
  __syncthreads();
  // Rows or columns of the tile that stand for one element of the bias are summed.
  const int sum_rows = dbias.extent(2) == 1 ? kRows : 1;
  const int sum_columns = dbias.extent(3) == 1 ? kColumns : 1;
  for (int n = static_cast<int>(threadIdx.x); n < kRows * kColumns; n += Engine::kThreads) {
    const int row = n / kColumns, column = n % kColumns;
    if (own_i + row >= dbias.extent(2) || own_j + column >= dbias.extent(3)) continue;
    typename Engine::Real sum = 0;
    for (int r = row; r < row + sum_rows; ++r)
      for (int c = column; c < column + sum_columns; ++c) sum += sB.at(r, c);
    dbias(own_b, own_h, own_i + row, own_j + column) = sum;
  }
}

}  // namespace attend::cuda
