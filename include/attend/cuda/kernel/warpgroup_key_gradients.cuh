#pragma once

#include <cstdint>

#include "../arch/shared_memory.cuh"
#include "../block/product_gradients.cuh"
#include "../block/seeing_span.cuh"
#include "../block/tile_stages.cuh"
#include "../block/warpgroup_gradient_engine.cuh"
#include "flash_backward.cuh"

/// @file
/// The keys' and values' gradients on warpgroups (capability 9.0), as `warpgroup_query_gradient`.

namespace attend::cuda {

/// Shared memory of a block.
template <class Engine, class V, FlashScores = Engine::kScores>
struct WarpgroupKeyShared : FlashKeyShared<Engine, V> {};
/// The same where scores are products.
template <class Engine, class V>
struct WarpgroupKeyShared<Engine, V, FlashScores::products> : FlashGradientTiles<Engine> {
  SeeingSpan keys;
  QueryColumnStates<Engine> states[Engine::kTiling.stages];
};

/// The tiles of queries that a block goes through.
template <class Engine, class V>
__device__ auto first_seeing(const Problem& problem, const V& variant, const MaskBits& mask,
                             const WarpgroupKeyShared<Engine, V>& shared) {
  if constexpr (Engine::kScores == FlashScores::products)
    return SpannedQueries<Engine::kTileColumns>(shared.keys);
  else
    return SeeingQueries<V>(problem, variant, mask, shared.keys);
}

/// What a block does.
template <class Engine, class V>
__device__ void key_gradients_on_warpgroups(const Problem& problem, const V& variant,
                                            const GradientCall<typename Engine::Element>& call) {
  using T = typename Engine::Element;
  using Scores = typename Engine::Scores;
  constexpr int kThreads = Engine::kThreads;
  constexpr int kRows = Engine::kTileRows, kColumns = Engine::kTileColumns;
  constexpr bool kProducts = Engine::kScores == FlashScores::products;
  auto& shared = dynamic_shared<WarpgroupKeyShared<Engine, V>>();
  const BackwardTensors<T>& t = call.tensors;

  if (threadIdx.x == 0) {
    const GradientBlock block(problem.heads_kv, (problem.len_k + kRows - 1) / kRows, 1, 1);
    const std::int64_t begin = block.tile * kRows;
    if constexpr (kProducts) {
      shared.keys.find(problem, variant, block, kRows, kColumns);
    } else {
      shared.keys = {block.b, block.h, begin, min(begin + kRows, problem.len_k), kColumns};
    }
  }
  __syncthreads();
  const auto& own = shared.keys;
  const auto own_rows = [&](const View<const T, 4>& tensor) {
    return head_rows(tensor, own.b, own.h_kv, own.begin, own.end);
  };
  Engine::begin_copy(shared.own[0], own_rows(t.k), call.k);
  Engine::begin_copy(shared.own[1], own_rows(t.v), call.v);

  using Tile = decltype(first_seeing(problem, variant, call.mask, shared));
  const auto load = [&](int stage, const Tile& at) {
    const HeadQueries head = at.head();
    const auto rows = [&](const View<const T, 4>& tensor) {
      return head_rows(tensor, head.b, head.h, at.i, problem.len_q);
    };
    Engine::begin_copy(shared.ring[stage][0], rows(t.q), call.q);
    Engine::begin_copy(shared.ring[stage][1], rows(t.grad_out), call.grad_out);
    if constexpr (kProducts) {
      auto& states = shared.states[stage];
      states.begin_copy(call.states, head.b, head.h, at.i, problem.len_q);
      states.find_seen(at.within(), shared.keys.band, at.i, problem.len_q, own.begin);
    } else {
      head.find<kThreads, kColumns, RowKind::trusted>(shared.queries + stage * kColumns, problem,
                                                      variant, call.states, at.i);
    }
  };
  const auto finish = [&](int stage) {
    if constexpr (kProducts) shared.states[stage].finish();
  };

  typename Engine::Output rdK, rdV;
  bool excluded = false;
  const auto begin_scores = [&](Scores& rS, int stage) {
    Engine::begin_dot_products(rS, shared.own[0], shared.ring[stage][0]);
  };
  const auto begin_gradients = [&](Scores& rG, int stage) {
    Engine::begin_dot_products(rG, shared.own[1], shared.ring[stage][1]);
  };
  // Waits for scores, then gradients of a tile; `Running` groups were begun after them.
  const auto gradients_of = [&]<int Running>(Scores& rS, Scores& rG,
                                             [[maybe_unused]] const auto& at, int stage,
                                             Groups<Running>) {
    if constexpr (kProducts) {
      const auto& states = shared.states[stage];
      Engine::template wait<Running + 1>(rS);
      weigh<Engine>(rS, states, call.scale);
      if (states.within == 0) states.exclude(rS);
      Engine::template wait<Running>(rG);
      take_gradients<Engine>(rS, rG, states);
      if (states.within == 0) states.exclude(rG);
    } else {
      const HeadQueries head = at.head();
      const TileGradients<Engine, Queries::columns, V> gradients(problem, variant, call.scale, head,
                                                                 shared.queries + stage * kColumns);
      const std::int64_t begin = own.begin + Engine::first_row();
      const std::int64_t end = begin + Engine::kTiling.warp_rows;
      const bool within = at.keys().cover(begin, end) && at.coverage(begin, end) == Coverage::all;
      Engine::template wait<Running>(rS);
      Engine::template wait<Running>(rG);
      excluded |= gradients(rS, rG, own.begin, within);
    }
  };
  // One thing after the other, where it has to be known with a look at each tile.
  const auto add_each = [&](Values values) {
    clear<Engine>(rdK), clear<Engine>(rdV);
    const Tile first = first_seeing(problem, variant, call.mask, shared);
    for_each_loaded<Proxy::async>(first, load, finish, [&](int stage, const Tile& at) {
      const auto& [sQ, sdO] = shared.ring[stage];
      const Values of_q = look_at<Engine>(sQ, values), of_do = look_at<Engine>(sdO, values);
      Scores rS, rG;
      begin_scores(rS, stage);
      begin_gradients(rG, stage);
      if constexpr (kProducts)
        gradients_of(rS, rG, at.mark(), stage, Groups<0>{});
      else
        gradients_of(rS, rG, at, stage, Groups<0>{});
      add_weighted<Engine>(rdV, rS, sdO, of_do);
      add_weighted<Engine>(rdK, rG, sQ, of_q);
    });
  };

  // If gradients are not finite and something was excluded, all is done again with a look at each
  // tile.
  const auto spoiled = [&] {
    if constexpr (kProducts) excluded = !shared.keys.within();
    return __any_sync(kAllLanes, excluded) &&
           (has_not_finite<Engine>(rdK) || has_not_finite<Engine>(rdV));
  };
  Values values = Values::finite;
  bool again = true;
  if constexpr (Engine::kOverlaps) {
    clear<Engine>(rdK), clear<Engine>(rdV);
    Scores rS = {}, rG = {};
    TileStages<Tile> stages(first_seeing(problem, variant, call.mask, shared));
    stages.start(shared.ring, load, finish);
#pragma unroll 1
    for (; stages.exists(); stages.advance()) {
      const auto& [sQ, sdO] = shared.ring[stages.before()];
      typename Engine::Weights rP, rW;
      Engine::template wait<1>(rdV);
      Engine::round(rP, rS);
      begin_scores(rS, stages.stage());
      Engine::template wait<1>(rdK);
      Engine::round(rW, rG);
      begin_gradients(rG, stages.stage());
      Engine::begin_weighted(rdV, rP, sdO);
      Engine::begin_weighted(rdK, rW, sQ);
      gradients_of(rS, rG, stages.at(), stages.stage(), Groups<2>{});
      stages.prepare_next(load, finish);
    }
    Engine::template wait<0>(rdV);
    Engine::template wait<0>(rdK);
    const auto& [sQ, sdO] = shared.ring[stages.before()];
    Engine::add_weighted(rdV, rS, sdO);
    Engine::add_weighted(rdK, rG, sQ);
    values = Values::any;
    again = __syncthreads_or(spoiled()) != 0;
  }
#pragma unroll 1
  while (again) {
    add_each(values);
    again = values == Values::finite && __syncthreads_or(spoiled()) != 0;
    values = Values::any;
  }
  const auto row_to = [&](const View<T, 4>& to) {
    return [&, to](int n) -> T* {
      return own.begin + n < own.end ? to.address(own.b, own.h_kv, own.begin + n) : nullptr;
    };
  };
  store_gradient<Engine>(rdK, call.scale, 0, problem.head_dim, t.dk.stride(3), row_to(t.dk));
  store_gradient<Engine>(rdV, 1, 0, problem.head_dim_v, t.dv.stride(3), row_to(t.dv));
}

/// dV = P^T dO and dK = dS^T Q. One block per tile of keys; tiles lie transposed, so that keys are
/// rows.
template <class Engine, class V>
__global__ void __launch_bounds__(kWarpgroupThreads<Engine::kThreads>, Engine::kTiling.blocks)
    warpgroup_key_gradients(Problem problem, V variant,
                            GradientCall<typename Engine::Element> call) {
  if constexpr (is_compiled(Engine::kCompiled))
    key_gradients_on_warpgroups<Engine>(problem, variant, call);
}

}  // namespace attend::cuda
