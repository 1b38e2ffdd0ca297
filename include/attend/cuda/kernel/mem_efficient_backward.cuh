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

/// Whether a condition is true of one of `Count` queries. Each thread asks of those that it looked
/// up.
template <class Engine, int Count, class V, class Condition>
__device__ bool any_query(const GradientQuery<V>* sQueries, Condition condition) {
  bool any = false;
  for (int n = static_cast<int>(threadIdx.x); n < Count; n += Engine::kThreads)
    any = any || condition(sQueries[n]);
  return __syncthreads_or(any) != 0;
}

/// Whether one of `Count` queries has maximum and sum taken anew, which asks for dot products in
/// order.
template <class Engine, int Count, class V>
__device__ bool wants_order(const Problem& problem, const GradientQuery<V>* sQueries) {
  if constexpr (Engine::kInOrder != InOrder::if_asked) return false;
  const float trusted = trusted_lse<typename Engine::Element>(problem);
  return any_query<Engine, Count>(sQueries, [&](const GradientQuery<V>& query) {
    return !(query.state.factor == 1 && fabsf(query.state.shift) <= trusted);
  });
}

/// The rows whose gradients an engine sums; `distrusted_gradients` adds the others.
template <class Engine>
inline constexpr RowKind kRowsOf =
    Engine::kInOrder == InOrder::never ? RowKind::trusted : RowKind::any;

/// The most threads of a block, where the compiler at hand makes code for the engine: what a kernel
/// without it allows says so to the host, which then takes another one.
template <class Engine>
inline constexpr int kGradientThreads = is_compiled(Engine::kCompiled) ? Engine::kThreads : kWarp;

/// What block n of `query_gradient` does; of distrusted rows it adds to what is there.
template <class Engine, RowKind kind, class V>
__device__ void query_gradient_of(const Problem& problem, const V& variant,
                                  const GradientCall<typename Engine::Element>& call,
                                  std::int64_t n) {
  using T = typename Engine::Element;
  constexpr int kRows = Engine::kTileRows, kColumns = Engine::kTileColumns;
  auto& shared = dynamic_shared<GradientShared<Engine, V, kRows>>();
  const BackwardTensors<T>& t = call.tensors;

  const std::int64_t tiles = (problem.len_q + kRows - 1) / kRows;
  const GradientBlock block(problem.heads, tiles, problem.head_dim, Engine::kWidth, n);
  const std::int64_t h_kv = problem.head_kv(block.h);
  const HeadQueries queries{block.b, block.h};
  const std::int64_t first = (tiles - 1 - block.tile) * kRows;  // with causal the longest first
  constexpr bool kAdds = kind == RowKind::distrusted;
  if (kAdds && !call.may_have_distrusted(block.b, block.h, first, kRows)) return;
  const auto keys = queries.keys(problem, variant, first, kRows);
  queries.find<Engine::kThreads, kRows, kind>(shared.queries, problem, variant, call.states, first);
  const bool in_order = wants_order<Engine, kRows>(problem, shared.queries);
  const auto gQ = rows_from(t.q.inner(block.b, block.h), first);
  const auto gdO = rows_from(t.grad_out.inner(block.b, block.h), first);

  const TileGradients<Engine, Queries::rows, V> gradients(problem, variant, call.scale, queries,
                                                          shared.queries);
  typename Engine::Output rdQ = {};
  bool there = false;
  for (std::int64_t j = keys.any.begin / kColumns * kColumns; j < keys.any.end; j += kColumns) {
    const Coverage kept = queries.coverage(problem, variant, first, kRows, j, j + kColumns);
    if (kept == Coverage::none || queries.masks(problem, call.mask, first, kRows, j, j + kColumns))
      continue;
    const auto gK = rows_from(t.k.inner(block.b, h_kv), j, keys.any.end);
    const auto gV = rows_from(t.v.inner(block.b, h_kv), j, keys.any.end);
    typename Engine::Scores rS, rG;
    const Values of_k = Engine::dot_products(rS, shared.engine, Factor::keys, gQ, call.q, gK,
                                             call.k, there, in_order);
    Engine::dot_products(rG, shared.engine, Factor::values, gdO, call.grad_out, gV, call.v, there,
                         false, Columns::of_dots);
    there = true;
    gradients(rS, rG, j, !kAdds && keys.cover(j, j + kColumns) && kept == Coverage::all);
    Engine::add_weighted(rdQ, rG, shared.engine, Factor::keys, of_k, gK, call.k, block.column);
  }
  store_gradient<Engine, kAdds>(
      rdQ, call.scale, block.column, problem.head_dim, t.dq.stride(3), [&](int row) -> T* {
        return first + row < problem.len_q ? t.dq.address(block.b, block.h, first + row) : nullptr;
      });
}

/// dQ = dS K. One block per tile of queries and part of the head dim.
template <class Engine, class V>
__global__ void __launch_bounds__(kGradientThreads<Engine>, Engine::kBlocks)
    query_gradient(Problem problem, V variant, GradientCall<typename Engine::Element> call) {
  if constexpr (!is_compiled(Engine::kCompiled)) return __trap();  // never launched there
  query_gradient_of<Engine, kRowsOf<Engine>>(problem, variant, call, blockIdx.x);
}

/// What block n of `key_gradients` does; of distrusted rows it adds to what is there.
template <class Engine, RowKind kind, class V>
__device__ void key_gradients_of(const Problem& problem, const V& variant,
                                 const GradientCall<typename Engine::Element>& call,
                                 std::int64_t n) {
  using T = typename Engine::Element;
  constexpr int kRows = Engine::kTileRows, kColumns = Engine::kTileColumns;
  auto& shared = dynamic_shared<KeyGradientShared<Engine, V>>();
  const BackwardTensors<T>& t = call.tensors;

  if (threadIdx.x == 0) {
    const GradientBlock block(problem.heads_kv, (problem.len_k + kRows - 1) / kRows,
                              max(problem.head_dim, problem.head_dim_v), Engine::kWidth, n);
    const std::int64_t begin = block.tile * kRows;
    shared.keys = {block.b, block.h, begin, min(begin + kRows, problem.len_k), kColumns};
    shared.column = block.column;
  }
  __syncthreads();
  const auto& own = shared.keys;
  const auto gK = rows_from(t.k.inner(own.b, own.h_kv), own.begin);
  const auto gV = rows_from(t.v.inner(own.b, own.h_kv), own.begin);

  constexpr bool kAdds = kind == RowKind::distrusted;
  typename Engine::Output rdK = {}, rdV = {};
  bool there = false;
  GradientQuery<V>* sQueries = shared.queries;
  for (SeeingQueries<V> at(problem, variant, call.mask, own); at.exists(); at = at.next()) {
    const HeadQueries queries = at.head();
    if (kAdds && !call.may_have_distrusted(queries.b, queries.h, at.i, kColumns)) continue;
    sQueries = sQueries == shared.queries ? shared.queries + kColumns : shared.queries;
    queries.find<Engine::kThreads, kColumns, kind>(sQueries, problem, variant, call.states, at.i);
    const bool in_order = wants_order<Engine, kColumns>(problem, sQueries);
    const auto gQ = rows_from(t.q.inner(queries.b, queries.h), at.i);
    const auto gdO = rows_from(t.grad_out.inner(queries.b, queries.h), at.i);

    typename Engine::Scores rS, rG;
    const Values of_q = Engine::dot_products(rS, shared.engine, Factor::keys, gK, call.k, gQ,
                                             call.q, there, in_order);
    const Values of_do = Engine::dot_products(rG, shared.engine, Factor::values, gV, call.v, gdO,
                                              call.grad_out, there);
    there = true;
    const bool within = !kAdds && at.keys().cover(own.begin, own.begin + kRows) &&
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
  if (kAdds && !there) return;
  store_gradient<Engine, kAdds>(rdK, call.scale, shared.column, problem.head_dim, t.dk.stride(3),
                                row_to(t.dk));
  store_gradient<Engine, kAdds>(rdV, 1, shared.column, problem.head_dim_v, t.dv.stride(3),
                                row_to(t.dv));
}

/// dV = P^T dO and dK = dS^T Q. One block per tile of keys, and part of the head dims; tiles lie
/// transposed, so that keys are rows.
template <class Engine, class V>
__global__ void __launch_bounds__(kGradientThreads<Engine>, Engine::kBlocks)
    key_gradients(Problem problem, V variant, GradientCall<typename Engine::Element> call) {
  if constexpr (!is_compiled(Engine::kCompiled)) return __trap();  // never launched there
  key_gradients_of<Engine, kRowsOf<Engine>>(problem, variant, call, blockIdx.x);
}

/// A tile of the bias' gradient, and what is summed into it.
struct BiasTile {
  std::int64_t b, h, i, j;               ///< its first element
  KeyRange batch, heads, queries, keys;  ///< the scores' batch elements, heads, queries and keys

  /// Looks the n-th tile of rows x columns up. An axis of the bias' that is 1 is summed over: all
  /// of the problem's is the tile's.
  template <class Real>
  __device__ void find(const Problem& problem, const View<Real, 4>& dbias, int rows, int columns,
                       std::int64_t n) {
    const auto own = [&](int axis, std::int64_t from, std::int64_t count, std::int64_t all) {
      return dbias.extent(axis) == 1 ? KeyRange{0, all} : KeyRange{from, min(from + count, all)};
    };
    const std::int64_t across = (dbias.extent(3) + columns - 1) / columns;
    const std::int64_t down = (dbias.extent(2) + rows - 1) / rows;
    const std::int64_t head = n / across / down;
    b = head / dbias.extent(1), h = head % dbias.extent(1);
    i = n / across % down * rows, j = n % across * columns;
    batch = own(0, b, 1, problem.batch), heads = own(1, h, 1, problem.heads);
    queries = own(2, i, rows, problem.len_q), keys = own(3, j, columns, problem.len_k);
  }
};

/// Shared memory of a block of `bias_gradient`.
template <class Engine, class V>
struct BiasGradientShared : GradientShared<Engine, V, Engine::kTileRows> {
  BiasTile tile;
};

/// What block n of `bias_gradient` does; of distrusted rows it adds to what is there.
template <class Engine, RowKind kind, class V>
__device__ void bias_gradient_of(const Problem& problem, const V& variant,
                                 const GradientCall<typename Engine::Element>& call,
                                 std::int64_t n) {
  using T = typename Engine::Element;
  constexpr int kRows = Engine::kTileRows, kColumns = Engine::kTileColumns;
  auto& shared = dynamic_shared<BiasGradientShared<Engine, V>>();
  const BackwardTensors<T>& t = call.tensors;
  const auto& dbias = t.dbias;

  if (threadIdx.x == 0) shared.tile.find(problem, dbias, kRows, kColumns, n);
  __syncthreads();
  const auto& own = shared.tile;

  constexpr bool kAdds = kind == RowKind::distrusted;
  typename Engine::Scores rB = {};
  bool some = false;  // such rows
  for (std::int64_t b = own.batch.begin; b < own.batch.end; ++b)
    for (std::int64_t h = own.heads.begin; h < own.heads.end; ++h)
      for (std::int64_t i = own.queries.begin; i < own.queries.end; i += kRows) {
        if (kAdds && !call.may_have_distrusted(b, h, i, kRows)) continue;
        const HeadQueries of_head{b, h};
        const TileGradients<Engine, Queries::rows, V, GradientBy::score> gradients(
            problem, variant, call.scale, of_head, shared.queries);
        const auto keys = of_head.keys(problem, variant, i, kRows);
        __syncthreads();
        of_head.find<Engine::kThreads, kRows, kind>(shared.queries, problem, variant, call.states,
                                                    i);
        __syncthreads();
        some = true;
        const auto gQ = rows_from(t.q.inner(b, h), i);
        const auto gdO = rows_from(t.grad_out.inner(b, h), i);
        bool there = false;
        for (std::int64_t j = own.keys.begin; j < own.keys.end; j += kColumns) {
          if (!keys.touch(j, j + kColumns) ||
              of_head.hides(problem, variant, call.mask, i, kRows, j, j + kColumns))
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

  if (kAdds && !some) return;
  auto& sB = Engine::staged(shared.engine);
  __syncthreads();
  for (int r = 0; r < Engine::kRows; ++r)
    for (int c = 0; c < Engine::kColumns; ++c) sB.at(Engine::row(r), Engine::column(c)) = rB[r][c];
  __syncthreads();
  // Rows or columns of the tile that stand for one element of the bias are summed.
  const int sum_rows = dbias.extent(2) == 1 ? kRows : 1;
  const int sum_columns = dbias.extent(3) == 1 ? kColumns : 1;
  for (int at = static_cast<int>(threadIdx.x); at < kRows * kColumns; at += Engine::kThreads) {
    const int row = at / kColumns, column = at % kColumns;
    if (own.i + row >= dbias.extent(2) || own.j + column >= dbias.extent(3)) continue;
    typename Engine::Real sum = 0;
    for (int r = row; r < row + sum_rows; ++r)
      for (int c = column; c < column + sum_columns; ++c) sum += sB.at(r, c);
    auto& to = dbias(own.b, own.h, own.i + row, own.j + column);
    to = kAdds ? to + sum : sum;
  }
}

/// The bias' gradient, in the bias' own shape (b|1 h|1 i|1 j|1): dS by the scores, summed over what
/// was broadcast. One block per tile of the bias.
template <class Engine, class V>
__global__ void __launch_bounds__(Engine::kThreads, Engine::kBlocks)
    bias_gradient(Problem problem, V variant, GradientCall<typename Engine::Element> call) {
  bias_gradient_of<Engine, kRowsOf<Engine>>(problem, variant, call, blockIdx.x);
}

}  // namespace attend::cuda
