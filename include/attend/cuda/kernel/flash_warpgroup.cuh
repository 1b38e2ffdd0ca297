#pragma once

#include <cstdint>

#include "../../core/forward_tensors.hpp"
#include "../arch/setmaxnreg.cuh"
#include "../arch/shared_memory.cuh"
#include "../block/key_value_pipeline.cuh"
#include "../block/log2_softmax.cuh"
#include "../block/register_outputs.cuh"
#include "../block/register_scoring.cuh"
#include "../block/split_results.cuh"
#include "../block/tile_rows.cuh"
#include "../block/warpgroup_engine.cuh"
#include "../block/warpgroup_product.cuh"

/// @file
/// The flash kernel on warpgroups (capability 9.0): scores of the next tile and outputs of this one
/// are computed by the tensor cores while the warps take exponentials of the one between (Shah et
/// al., "FlashAttention-3: fast and accurate attention with asynchrony and low-precision", 2024,
/// section 3.2). Any variant.

namespace attend::cuda {

/// Shared memory of a block.
template <class Engine>
struct FlashWarpgroupShared {
  typename Engine::QueryRows q;  ///< queries; outputs in the end
  TileSlots<typename Engine::Tile, Engine::kTiling.slots> slots;
  typename Engine::Rows rows;
  KeyValueRows<typename Engine::Element> keys_values;
};

/// The part of the warpgroups that compute.
template <class Engine, class V>
__device__ void compute_tiles(const Problem& problem, const V& variant,
                              const ForwardTensors<typename Engine::Element>& tensors,
                              const SplitResults<float>& results,
                              FlashWarpgroupShared<Engine>& shared,
                              const KeyTiles<Engine, V>& tiles) {
  using T = typename Engine::Element;
  using Scoring = RegisterScoring<Engine, V>;
  const SeenKeys& warp_keys = shared.rows.warp[static_cast<int>(threadIdx.x) / kWarp];
  const Scoring scoring(problem, variant, shared.rows);
  const TileUser<Engine> user(shared.slots);
  Log2Softmax<Engine> softmax(Scoring::score_scale(variant));
  typename Engine::Output rO;
  typename Engine::Weights rP;
  typename Scoring::Bits allowed;
  float factors[Engine::kRows];
  bool excluded = false;
  const int begin = tiles.first(), end = tiles.end();

  const auto score = [&](typename Engine::Scores& rS, int j) {
    const Coverage kept = tiles.coverage(Engine::first_row(), Engine::kTiling.warp_rows, j);
    const bool all = warp_keys.cover(j, Engine::kTileColumns) && kept == Coverage::all;
    allowed = scoring.score(rS, j, all);
    excluded = excluded || allowed != Scoring::kAll;
  };
  const auto is_plain = [&](int j) {
    return Engine::kScores == FlashScores::products &&
           shared.rows.block.cover(j, Engine::kTileColumns);
  };

  softmax.clear();
  clear<Engine>(rO);
  if (begin < end) {
    user.wait_for_queries();
    typename Engine::Scores rS;
    Engine::begin_dot_products(rS, shared.q, user.wait(0));
    Engine::template wait<0>(rS);
    user.release(0);
    score(rS, begin);
    softmax.add(rS, factors);
    scoring.apply_dropout(rS, begin);
    rP = Engine::weights(rS);

    int n = 1;  // the tile of values whose weights these are
    // Scores of the next tile of keys, j and following, and outputs of this one.
    const auto step = [&](int j, auto change) {
      typename Engine::Scores rS;
      const auto& sV = user.wait(n);
      Engine::begin_dot_products(rS, shared.q, user.wait(n + 1));
      Engine::begin_products(rO, rP, sV);
      Engine::template wait<1>(rS);
      user.release(n + 1);
      change(rS);
      Engine::template wait<0>(rO);
      user.release(n);
      rescale<Engine>(rO, factors);
      rP = Engine::weights(rS);
      n += 2;
    };
    for (int j = tiles.after(begin); j < end; j = tiles.after(j)) {
      // Where branches meet, results of products would have to be copied: a tile that is taken as
      // it is has a branch for itself.
      if (is_plain(j)) {
        step(j, [&](typename Engine::Scores& rS) { softmax.add(rS, factors); });
      } else {
        step(j, [&](typename Engine::Scores& rS) {
          score(rS, j);
          softmax.add(rS, factors);
          scoring.apply_dropout(rS, j);
        });
      }
    }
    Engine::add_products(rO, rP, user.wait(n));
  }

  // Excluded keys weigh 0, which keeps their values out unless one is infinite or NaN. Then outputs
  // are NaN, which does not pass: and all is done again, one thing after the other, with a look at
  // each value. So it is where scores are great. A lane has part of the sums that its row's other
  // lanes' keys go into.
  const bool spoiled =
      softmax.was_great() || (__any_sync(kAllLanes, excluded) && has_not_finite<Engine>(rO));
  if (Engine::sync_or(spoiled)) {
    auto &sK = shared.slots.tile[0], &sV = shared.slots.tile[1];
    const auto publish = [] {
      cp_async_wait_group<0>();
      fence_proxy_async();
      Engine::sync();
    };
    const RowsInTensor<typename Engine::Rows, T> gQ{shared.rows, tensors.q};
    softmax.clear();
    clear<Engine>(rO);
#pragma unroll 1
    for (int j = begin; j < end; j = tiles.after(j)) {
      const auto& [k, v] = shared.keys_values;
      begin_copy<Engine::kThreads>(sK, k.rows(j, end), k.layout);
      begin_copy<Engine::kThreads>(sV, v.rows(j, end), v.layout);
      cp_async_commit_group();
      publish();
      typename Engine::Scores rS;
      Engine::begin_dot_products(rS, shared.q, sK);
      Engine::template wait<0>(rS);
      const auto is_allowed = [&](int r, int c) { return scoring.is_allowed(allowed, j, r, c); };
      score(rS, j);
      softmax.add_any(rS, factors, is_allowed);
      scoring.apply_dropout(rS, j);
      rescale<Engine>(rO, factors);
      rP = Engine::weights(rS);
      if (!Engine::sync_or(meets_not_finite<Engine::kThreads>(sV))) {
        Engine::add_products(rO, rP, sV);
      } else {
        Engine::add_selected(rO, rP, is_allowed, sV, shared.q);
        Engine::restore_queries(shared.q, gQ, row_layout(tensors.q));
      }
      Engine::sync();
    }
  }

  RegisterOutputs<Engine, V> outputs(problem, variant, tensors, results, shared.rows);
  const unsigned empty = outputs.finish(rO, softmax);
  if (results.split.count > 1) return outputs.leave(rO);
  outputs.store(rO, shared.q, ~0u);
  if (variant.empty_row != EmptyRow::uniform || !Engine::sync_or(empty != 0)) return;
  outputs.average(rO, shared.slots.tile[0], shared.keys_values.v, scoring);
  outputs.store(rO, shared.q, empty);
}

/// What a block does.
template <class Engine, class V>
__device__ void flash_on_warpgroups(const Problem& problem, const V& variant,
                                    const ForwardTensors<typename Engine::Element>& tensors,
                                    const SplitResults<float>& results) {
  using T = typename Engine::Element;
  auto& shared = dynamic_shared<FlashWarpgroupShared<Engine>>();
  shared.rows.find(problem, variant, Engine::kWidth, results.split);
  shared.keys_values.find(tensors, shared.rows.tile);
  if (threadIdx.x == 0) shared.slots.init(Engine::kProducerThreads, Engine::kTiling.warps);
  __syncthreads();
  const KeyTiles<Engine, V> tiles(variant, shared.rows.tile, shared.rows.block);
  if (Engine::is_producer()) {
    setmaxnreg_dec<Engine::kProducerRegisters>();
    TileProducer<Engine, V> producer(shared.slots, shared.keys_values, tiles);
    producer.run([&](int thread) {
      const RowsInTensor<typename Engine::Rows, T> gQ{shared.rows, tensors.q};
      begin_copy<Engine::kProducerThreads>(shared.q, gQ, row_layout(tensors.q), thread);
    });
  } else {
    setmaxnreg_inc<Engine::kRegisters>();
    compute_tiles(problem, variant, tensors, results, shared, tiles);
  }
}

/// One block per tile of queries and part of the keys.
template <class Engine, class V>
__global__ void __launch_bounds__(kWarpgroupThreads<Engine::kBlockThreads>, 1)
    flash_warpgroup(Problem problem, V variant, ForwardTensors<typename Engine::Element> tensors,
                    SplitResults<float> results) {
  if constexpr (kHasWgmma) flash_on_warpgroups<Engine>(problem, variant, tensors, results);
}

}  // namespace attend::cuda
