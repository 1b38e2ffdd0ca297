#pragma once

#include <cstdint>

#include "../arch/shared_memory.cuh"
#include "../block/product_gradients.cuh"
#include "../block/tile_stages.cuh"
#include "../block/warpgroup_gradient_engine.cuh"
#include "flash_backward.cuh"

/// @file
/// The queries' gradient on warpgroups (capability 9.0): the tensor cores have the products of two
/// tiles to do while the warps compute weights and gradients of the one between. Any variant.

namespace attend::cuda {

/// What a block does.
template <class Engine, class V>
__device__ void query_gradient_on_warpgroups(const Problem& problem, const V& variant,
                                             const GradientCall<typename Engine::Element>& call) {
  using T = typename Engine::Element;
  using Scores = typename Engine::Scores;
  constexpr int kThreads = Engine::kThreads;
  constexpr int kRows = Engine::kTileRows, kColumns = Engine::kTileColumns;
  constexpr bool kProducts = Engine::kScores == FlashScores::products;
  using Tile = SeenKeyTile<V, Engine::kScores, kRows, kColumns>;
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
  Engine::begin_copy(shared.own[0], own_rows(t.q), call.q);
  Engine::begin_copy(shared.own[1], own_rows(t.grad_out), call.grad_out);

  const auto load = [&](int stage, const Tile& at) {
    const auto rows = [&](const View<const T, 4>& tensor) {
      return head_rows(tensor, block.b, h_kv, at.j, at.end);
    };
    Engine::begin_copy(shared.ring[stage][0], rows(t.k), call.k);
    Engine::begin_copy(shared.ring[stage][1], rows(t.v), call.v);
  };
  const Tile first_tile(problem, variant, call.mask, queries, first, keys.any);
  __syncthreads();
  const TileGradients<Engine, Queries::rows, V> gradients(problem, variant, call.scale, queries,
                                                          shared.queries);
  const QueryRowStates<Engine, V> states(shared.queries);
  const auto& seen = shared.warps[Engine::row_warp()];

  typename Engine::Output rdQ;
  bool excluded = false;
  const auto begin_scores = [&](Scores& rS, int stage) {
    Engine::begin_dot_products(rS, shared.own[0], shared.ring[stage][0]);
  };
  const auto begin_gradients = [&](Scores& rG, int stage) {
    Engine::begin_dot_products(rG, shared.own[1], shared.ring[stage][1]);
  };
  // Waits for scores, then gradients of a tile; `Running` groups were begun after them.
  const auto gradients_of = [&]<int Running>(Scores& rS, Scores& rG, std::int64_t j,
                                             Groups<Running>) {
    const bool position = seen.cover(j, j + kColumns);
    if constexpr (kProducts) {
      Engine::template wait<Running + 1>(rS);
      weigh<Engine>(rS, states, call.scale);
      const unsigned allowed = position ? ~0u : gradients.seen(j);
      Engine::template wait<Running>(rG);
      take_gradients<Engine>(rS, rG, states);
      if (allowed != ~0u) exclude<Engine>(rG, allowed);
      excluded |= allowed != ~0u;
    } else {
      const Coverage kept = queries.coverage(problem, variant, first + Engine::first_row(),
                                             Engine::kTiling.warp_rows, j, j + kColumns);
      Engine::template wait<Running>(rS);
      Engine::template wait<Running>(rG);
      excluded |= gradients(rS, rG, j, position && kept == Coverage::all);
    }
  };
  // One thing after the other, where it has to be known with a look at each tile.
  const auto add_each = [&](Values values) {
    excluded = false;
    clear<Engine>(rdQ);
    for_each_loaded<Proxy::async>(first_tile, load, [&](int stage, const Tile& at) {
      const auto& sK = shared.ring[stage][0];
      const Values of_k = look_at<Engine>(sK, values);
      Scores rS, rG;
      begin_scores(rS, stage);
      begin_gradients(rG, stage);
      gradients_of(rS, rG, at.j, Groups<0>{});
      add_weighted<Engine>(rdQ, rG, sK, of_k);
    });
  };

  // If gradients are not finite and something was excluded, all is done again with a look at each
  // tile. A lane has part of the sums that its row's other lanes' pairs go into.
  const auto spoiled = [&] {
    return __any_sync(kAllLanes, excluded) && has_not_finite<Engine>(rdQ);
  };
  Values values = Values::finite;
  bool again = true;
  if constexpr (Engine::kOverlaps) {
    clear<Engine>(rdQ);
    const auto finish = [](int) {};
    Scores rS, rG = {};
    TileStages<Tile> stages(first_tile);
    stages.start(shared.ring, load, finish);
#pragma unroll 1
    for (; stages.exists(); stages.advance()) {
      const auto& sK = shared.ring[stages.before()][0];
      typename Engine::Weights rW;
      begin_scores(rS, stages.stage());
      Engine::template wait<1>(rdQ);
      Engine::round(rW, rG);
      begin_gradients(rG, stages.stage());
      Engine::begin_weighted(rdQ, rW, sK);
      gradients_of(rS, rG, stages.at(), Groups<1>{});
      stages.prepare_next(load, finish);
    }
    Engine::template wait<0>(rdQ);
    Engine::add_weighted(rdQ, rG, shared.ring[stages.before()][0]);
    values = Values::any;
    again = __syncthreads_or(spoiled()) != 0;
  }
#pragma unroll 1
  while (again) {
    add_each(values);
    again = values == Values::finite && __syncthreads_or(spoiled()) != 0;
    values = Values::any;
  }
  store_gradient<Engine>(rdQ, call.scale, 0, problem.head_dim, t.dq.stride(3), [&](int n) -> T* {
    return first + n < problem.len_q ? t.dq.address(block.b, block.h, first + n) : nullptr;
  });
}

/// dQ = dS K. One block per tile of queries.
template <class Engine, class V>
__global__ void __launch_bounds__(kWarpgroupThreads<Engine::kThreads>, Engine::kTiling.blocks)
    warpgroup_query_gradient(Problem problem, V variant,
                             GradientCall<typename Engine::Element> call) {
  if constexpr (is_compiled(Engine::kCompiled))
    query_gradient_on_warpgroups<Engine>(problem, variant, call);
}

}  // namespace attend::cuda
