#pragma once

#include <cstdint>

#include "../../core/forward_tensors.hpp"
#include "../arch/shared_memory.cuh"
#include "../block/key_value_stages.cuh"
#include "../block/log2_softmax.cuh"
#include "../block/register_outputs.cuh"
#include "../block/register_scoring.cuh"
#include "../block/split_results.cuh"
#include "../block/tile_rows.cuh"
#include "../block/warpgroup_engine.cuh"
#include "../block/warpgroup_product.cuh"
#include "flash.cuh"

/// @file
/// The flash kernel on warpgroups (capability 9.0): scores of the next tile and outputs of this one
/// are computed by the tensor cores while the warps take exponentials of the one between (Shah et
/// al., "FlashAttention-3: fast and accurate attention with asynchrony and low-precision", 2024,
/// section 3.2). Any variant.

namespace attend::cuda {

/// What a block does.
template <class Engine, class V>
__device__ void flash_on_warpgroups(const Problem& problem, const V& variant,
                                    const ForwardTensors<typename Engine::Element>& tensors,
                                    const SplitResults<float>& results) {
  using T = typename Engine::Element;
  using Scoring = RegisterScoring<Engine, V>;
  constexpr int kTileColumns = Engine::kTileColumns;
  auto& shared = dynamic_shared<FlashShared<Engine>>();

  shared.rows.find(problem, variant, results.split);
  shared.keys_values.find(tensors, shared.rows.tile);
  __syncthreads();
  const SeenKeys& warp_keys = shared.rows.warp[static_cast<int>(threadIdx.x) / kWarp];

  const RowsInTensor<typename Engine::Rows, T> gQ{shared.rows, tensors.q};
  begin_copy<Engine::kThreads>(shared.q, gQ, row_layout(tensors.q));

  const KeyTiles<Engine, V> tiles(variant, shared.rows.tile, shared.rows.block);
  KeyValueStages<Engine, V> stages(shared.ring, shared.keys_values, tiles);
  const Scoring scoring(problem, variant, shared.rows);
  Log2Softmax<Engine> softmax(Scoring::score_scale(variant));
  typename Engine::Output rO;

  typename Engine::Scores rS;
  typename Engine::Weights rP;
  typename Scoring::Bits allowed;
  float factors[Engine::kRows];
  bool excluded = false;
  const int begin = tiles.first(), end = tiles.end();

  // Scores of the tile of keys j and following become weights, still in rS.
  const auto weigh = [&](int j) {
    const Coverage kept = tiles.coverage(Engine::first_row(), Engine::kTiling.warp_rows, j);
    const bool all = warp_keys.cover(j, kTileColumns) && kept == Coverage::all;
    allowed = scoring.score(rS, j, all);
    softmax.add(rS, factors, [&](int r, int c) { return scoring.is_allowed(allowed, j, r, c); });
    excluded = excluded || allowed != Scoring::kAll;
    scoring.apply_dropout(rS, j);
  };

  softmax.clear();
  clear<Engine>(rO);
  const auto& sFirst = stages.start(begin);
  if (begin < end) {
    Engine::begin_dot_products(rS, shared.q, sFirst);
    Engine::template wait<0>(rS);
    weigh(begin);
    rP = Engine::weights(rS);
    int j = begin;
    for (int next = tiles.after(j); next < end; j = next, next = tiles.after(j)) {
      stages.advance(j, next);
      Engine::begin_dot_products(rS, shared.q, stages.next_keys());
      Engine::begin_products(rO, rP, stages.values());
      Engine::template wait<1>(rS);
      weigh(next);
      Engine::template wait<0>(rO);
      rescale<Engine>(rO, factors);
      rP = Engine::weights(rS);
    }
    stages.advance(j, end);
    Engine::add_products(rO, rP, stages.values());
  }

  // Excluded keys weigh 0, which keeps their values out unless one is infinite or NaN. Then outputs
  // are NaN, which does not pass: and all is done again, one thing after the other, with a look at
  // each value. A lane has part of the sums that its row's other lanes' keys go into.
  const bool spoiled = __any_sync(kAllLanes, excluded) && has_not_finite<Engine>(rO);
  if (__syncthreads_or(spoiled)) {
    softmax.clear();
    clear<Engine>(rO);
    stages.start(begin);
#pragma unroll 1
    for (int j = begin, next; j < end; j = next) {
      next = tiles.after(j);
      Engine::begin_dot_products(rS, shared.q, stages.next_keys());
      Engine::template wait<0>(rS);
      weigh(j);
      rescale<Engine>(rO, factors);
      rP = Engine::weights(rS);
      stages.advance(j, next);
      const auto& sV = stages.values();
      if (!__syncthreads_or(meets_not_finite<Engine::kThreads>(sV))) {
        Engine::add_products(rO, rP, sV);
        continue;
      }
      Engine::add_selected(
          rO, rP, [&](int r, int c) { return scoring.is_allowed(allowed, j, r, c); }, sV, shared.q);
      Engine::restore_queries(shared.q, gQ, row_layout(tensors.q));
      stages.publish();
    }
  }
  cp_async_wait_group<0>();
  __syncthreads();

  RegisterOutputs<Engine, V> outputs(problem, variant, tensors, results, shared.rows);
  const unsigned empty = outputs.finish(rO, softmax);
  if (results.split.count > 1) return outputs.leave(rO);
  outputs.store(rO, shared.q, ~0u);
  if (variant.empty_row != EmptyRow::uniform || !__syncthreads_or(empty != 0)) return;
  outputs.average(rO, shared.ring[0], shared.keys_values.v, scoring);
  outputs.store(rO, shared.q, empty);
}

/// One block per tile of queries and part of the keys.
template <class Engine, class V>
__global__ void __launch_bounds__(kWarpgroupThreads<Engine>, Engine::kTiling.blocks)
    flash_warpgroup(Problem problem, V variant, ForwardTensors<typename Engine::Element> tensors,
                    SplitResults<float> results) {
  if constexpr (kHasWgmma) flash_on_warpgroups<Engine>(problem, variant, tensors, results);
}

}  // namespace attend::cuda
