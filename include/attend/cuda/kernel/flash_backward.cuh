#pragma once

#include <cstdint>

#include "../arch/shared_memory.cuh"
#include "../block/flash_gradient_engine.cuh"
#include "../block/gradient_call.cuh"
#include "../block/gradient_tile.cuh"
#include "../block/pipeline.cuh"
#include "../block/register_sums.cuh"
#include "../block/tile_gradients.cuh"
#include "../tile/async_copy.cuh"

/// @file
/// The flash kernels' gradients (Dao, "FlashAttention-2", 2023, section 3.1.2): scores are computed
/// anew from q, k and the log-sum-exp, and stay in registers with all that comes of them, while
/// the next tiles are on their way. Each gradient has blocks of its own, so that sums have one
/// order. Any variant.

namespace attend::cuda {

/// Tiles of a block, in shared memory.
template <class Engine>
struct FlashGradientTiles {
  typename Engine::Own own[2];  ///< by `Factor`, as all pairs: of q or k, of dO or v
  typename Engine::Tile ring[Engine::kTiling.stages][2];  ///< by stage
};
/// Shared memory of a block.
template <class Engine, class V, int QueryCount>
struct FlashGradientShared : FlashGradientTiles<Engine> {
  GradientQuery<V> queries[QueryCount];
};
/// Of `flash_query_gradient`.
template <class Engine, class V>
struct FlashQueryShared : FlashGradientShared<Engine, V, Engine::kTileRows> {
  HeadQueries::Keys warps[Engine::kTiling.row_warps];  ///< keys that each warp's queries see
};
/// Of `flash_key_gradients`: the queries of each stage.
template <class Engine, class V>
struct FlashKeyShared
    : FlashGradientShared<Engine, V, Engine::kTiling.stages * Engine::kTileColumns> {
  typename SeeingQueries<V>::Sought keys;
};

/// rO += rP B. Excluded pairs weigh 0, which keeps B's rows out unless one is infinite or NaN: then
/// they are left out one by one.
template <class Engine>
__device__ void add_weighted(typename Engine::Output& rO, typename Engine::Scores& rP,
                             const typename Engine::Tile& sB, Values values) {
  if (values == Values::any)
    Engine::add_selected(rO, rP, sB);
  else
    Engine::add_weighted(rO, rP, sB);
}

/// Whether a block's tile has numbers that are not finite, where that has to be known.
template <class Engine>
__device__ Values look_at(const typename Engine::Tile& tile, Values values) {
  if (values == Values::finite) return Values::finite;
  return __syncthreads_or(meets_not_finite<Engine::kThreads>(tile)) ? Values::any : Values::finite;
}

/// dQ = dS K. One block per tile of queries.
template <class Engine, class V>
__global__ void __launch_bounds__(Engine::kThreads, Engine::kTiling.blocks)
    flash_query_gradient(Problem problem, V variant, GradientCall<typename Engine::Element> call) {
  if constexpr (!is_compiled(Engine::kCompiled)) return __trap();  // never launched there
  using T = typename Engine::Element;
  using Scores = typename Engine::Scores;
  constexpr int kThreads = Engine::kThreads;
  constexpr int kRows = Engine::kTileRows, kColumns = Engine::kTileColumns;
  using Tile = SeenKeyTile<V, FlashScores::any, kRows, kColumns>;
  auto& shared = dynamic_shared<FlashQueryShared<Engine, V>>();
  const BackwardTensors<T>& t = call.tensors;

  const std::int64_t tiles = (problem.len_q + kRows - 1) / kRows;
  const GradientBlock block(problem.heads, tiles, 1, 1);
  const std::int64_t h_kv = problem.head_kv(block.h);
  const HeadQueries queries{block.b, block.h};
  const std::int64_t first = (tiles - 1 - block.tile) * kRows;  // with causal the longest first
  const auto keys = queries.keys(problem, variant, first, kRows);
  if (threadIdx.x < Engine::kTiling.row_warps) {
    const int row = static_cast<int>(threadIdx.x) * Engine::kTiling.warp_rows;
    shared.warps[threadIdx.x] =
        first + row < problem.len_q
            ? queries.keys(problem, variant, first + row, Engine::kTiling.warp_rows)
            : HeadQueries::Keys{};
  }
  queries.find<kThreads, kRows, RowKind::trusted>(shared.queries, problem, variant, call.states,
                                                  first);
  const auto own_rows = [&](const View<const T, 4>& tensor) {
    return head_rows(tensor, block.b, block.h, first, problem.len_q);
  };
  begin_copy<kThreads>(shared.own[0], own_rows(t.q), call.q);
  begin_copy<kThreads>(shared.own[1], own_rows(t.grad_out), call.grad_out);

  const auto load = [&](int stage, const Tile& at) {
    const auto rows = [&](const View<const T, 4>& tensor) {
      return head_rows(tensor, block.b, h_kv, at.j, at.end);
    };
    begin_copy<kThreads>(shared.ring[stage][0], rows(t.k), call.k);
    begin_copy<kThreads>(shared.ring[stage][1], rows(t.v), call.v);
  };
  const Tile first_tile(problem, variant, call.mask, queries, first, keys.any);
  const TileGradients<Engine, Queries::rows, V> gradients(problem, variant, call.scale, queries,
                                                          shared.queries);
  typename Engine::Output rdQ;
  // If gradients are not finite and something was excluded, all is done again with a look at each
  // tile.
  for (Values values = Values::finite;; values = Values::any) {
    bool excluded = false;
    clear<Engine>(rdQ);
    for_each_loaded(first_tile, load, [&](int stage, const Tile& at) {
      const auto& [sK, sV] = shared.ring[stage];
      const Values of_k = look_at<Engine>(sK, values);
      const auto& seen = shared.warps[Engine::row_warp()];
      if (!seen.touch(at.j, at.j + kColumns)) return;
      const Coverage kept = queries.coverage(problem, variant, first + Engine::first_row(),
                                             Engine::kTiling.warp_rows, at.j, at.j + kColumns);
      if (kept == Coverage::none) return;
      Scores rS, rG;
      Engine::dot_products(rS, shared.own[0], sK);
      Engine::dot_products(rG, shared.own[1], sV);
      const bool within = seen.cover(at.j, at.j + kColumns) && kept == Coverage::all;
      excluded |= gradients(rS, rG, at.j, within);
      add_weighted<Engine>(rdQ, rG, sK, of_k);
    });
    // A lane has part of the sums that its row's other lanes' pairs go into.
    const bool spoiled = __any_sync(kAllLanes, excluded) && has_not_finite<Engine>(rdQ);
    if (values == Values::any || !__syncthreads_or(spoiled)) break;
  }
  store_gradient<Engine>(rdQ, call.scale, 0, problem.head_dim, t.dq.stride(3), [&](int n) -> T* {
    return first + n < problem.len_q ? t.dq.address(block.b, block.h, first + n) : nullptr;
  });
}

/// dV = P^T dO and dK = dS^T Q. One block per tile of keys; tiles lie transposed, so that keys are
/// rows. If there are two groups of warps, the first sums dK and the second dV.
template <class Engine, class V>
__global__ void __launch_bounds__(Engine::kThreads, Engine::kTiling.blocks)
    flash_key_gradients(Problem problem, V variant, GradientCall<typename Engine::Element> call) {
  if constexpr (!is_compiled(Engine::kCompiled)) return __trap();  // never launched there
  using T = typename Engine::Element;
  using Scores = typename Engine::Scores;
  constexpr int kThreads = Engine::kThreads;
  constexpr int kRows = Engine::kTileRows, kColumns = Engine::kTileColumns;
  constexpr bool kBoth = Engine::kTiling.groups == 1;
  auto& shared = dynamic_shared<FlashKeyShared<Engine, V>>();
  const BackwardTensors<T>& t = call.tensors;

  if (threadIdx.x == 0) {
    const GradientBlock block(problem.heads_kv, (problem.len_k + kRows - 1) / kRows, 1, 1);
    const std::int64_t begin = block.tile * kRows;
    shared.keys = {block.b, block.h, begin, min(begin + kRows, problem.len_k), kColumns};
  }
  __syncthreads();
  const auto& own = shared.keys;
  const auto own_rows = [&](const View<const T, 4>& tensor) {
    return head_rows(tensor, own.b, own.h_kv, own.begin, own.end);
  };
  begin_copy<kThreads>(shared.own[0], own_rows(t.k), call.k);
  begin_copy<kThreads>(shared.own[1], own_rows(t.v), call.v);

  const auto load = [&](int stage, const SeeingQueries<V>& at) {
    const HeadQueries head = at.head();
    head.find<kThreads, kColumns, RowKind::trusted>(shared.queries + stage * kColumns, problem,
                                                    variant, call.states, at.i);
    const auto rows = [&](const View<const T, 4>& tensor) {
      return head_rows(tensor, head.b, head.h, at.i, problem.len_q);
    };
    begin_copy<kThreads>(shared.ring[stage][0], rows(t.q), call.q);
    begin_copy<kThreads>(shared.ring[stage][1], rows(t.grad_out), call.grad_out);
  };
  const SeeingQueries<V> first(problem, variant, call.mask, own);
  const bool averages = variant.empty_row == EmptyRow::uniform;
  const bool sums_dk = kBoth || Engine::group() == 0, sums_dv = kBoth || Engine::group() == 1;
  typename Engine::Output sums[kBoth ? 2 : 1];
  auto &rdK = sums[0], &rdV = sums[kBoth ? 1 : 0];
  for (Values values = Values::finite;; values = Values::any) {
    bool excluded = false;
    clear<Engine>(rdK), clear<Engine>(rdV);
    for_each_loaded(first, load, [&](int stage, const SeeingQueries<V>& at) {
      const auto& [sQ, sdO] = shared.ring[stage];
      const Values of_q = look_at<Engine>(sQ, values), of_do = look_at<Engine>(sdO, values);
      const std::int64_t begin = own.begin + Engine::first_row();
      const std::int64_t end = min(own.end, begin + Engine::kTiling.warp_rows);
      const auto keys = at.keys();
      if (begin >= end) return;
      const Coverage kept = at.coverage(begin, end);
      if ((!keys.touch(begin, end) || kept == Coverage::none) && !averages) return;
      Scores rS, rG = {};
      Engine::dot_products(rS, shared.own[0], sQ);
      if (sums_dk) Engine::dot_products(rG, shared.own[1], sdO);
      const HeadQueries head = at.head();
      const TileGradients<Engine, Queries::columns, V> gradients(problem, variant, call.scale, head,
                                                                 shared.queries + stage * kColumns);
      const bool within =
          keys.cover(begin, begin + Engine::kTiling.warp_rows) && kept == Coverage::all;
      excluded |= gradients(rS, rG, own.begin, within);
      if (sums_dv) add_weighted<Engine>(rdV, rS, sdO, of_do);
      if (sums_dk) add_weighted<Engine>(rdK, rG, sQ, of_q);
    });
    const bool spoiled = __any_sync(kAllLanes, excluded) &&
                         (has_not_finite<Engine>(rdK) || has_not_finite<Engine>(rdV));
    if (values == Values::any || !__syncthreads_or(spoiled)) break;
  }
  const auto row_to = [&](const View<T, 4>& to) {
    return [&, to](int n) -> T* {
      return own.begin + n < own.end ? to.address(own.b, own.h_kv, own.begin + n) : nullptr;
    };
  };
  if (sums_dk)
    store_gradient<Engine>(rdK, call.scale, 0, problem.head_dim, t.dk.stride(3), row_to(t.dk));
  if (sums_dv) store_gradient<Engine>(rdV, 1, 0, problem.head_dim_v, t.dv.stride(3), row_to(t.dv));
}

}  // namespace attend::cuda
