#pragma once

#include <cstdint>

#include "../../core/forward_tensors.hpp"
#include "../arch/compiled.cuh"
#include "../arch/shared_memory.cuh"
#include "../block/flash_engine.cuh"
#include "../block/key_value_ring.cuh"
#include "../block/log2_softmax.cuh"
#include "../block/register_outputs.cuh"
#include "../block/register_scoring.cuh"
#include "../block/split_results.cuh"
#include "../block/tile_rows.cuh"

/// @file
/// The flash kernel: FlashAttention-2 (Dao, "FlashAttention-2: faster attention with better
/// parallelism and work partitioning", 2023), where the warps of a block divide its queries among
/// them, and scores and outputs stay in registers. Any variant.

namespace attend::cuda {

/// Shared memory of a block.
template <class Engine>
struct FlashShared {
  typename Engine::QueryRows q;                        ///< queries; outputs in the end
  typename Engine::Tile ring[Engine::kTiling.slots];   ///< keys and values
  typename Engine::Rows rows;                          ///< what is known of queries
  KeyValueRows<typename Engine::Element> keys_values;  ///< and of keys and values
};

/// rS = Q K^T, if need be of queries and keys that are infinite or NaN.
template <class Engine>
__device__ void dot_products(typename Engine::Scores& rS, const typename Engine::Queries& rQ,
                             const typename Engine::QueryRows& sQ, const typename Engine::Tile& sK,
                             Values values) {
  if constexpr (Engine::kNotFinite == NotFinite::nan)
    if (values == Values::any) return Engine::dot_any_products(rS, sQ, sK);
  Engine::dot_products(rS, rQ, sK);
}

/// One block per tile of queries and part of the keys.
template <class Engine, class V>
__global__ void __launch_bounds__(Engine::kThreads, Engine::kTiling.blocks)
    flash(Problem problem, V variant, ForwardTensors<typename Engine::Element> tensors,
          MaskBits mask, SplitResults<float> results) {
  if constexpr (!is_compiled(Engine::kCompiled)) return __trap();  // never launched there
  using T = typename Engine::Element;
  using Scoring = RegisterScoring<Engine, V>;
  constexpr int kTileColumns = Engine::kTileColumns;
  auto& shared = dynamic_shared<FlashShared<Engine>>();

  shared.rows.template find<Engine::kThreads>(problem, variant, mask, Engine::kWidth, results.work);
  shared.keys_values.find(tensors, shared.rows.tile);
  __syncthreads();
  const SeenKeys& warp_keys = shared.rows.warp[static_cast<int>(threadIdx.x) / kWarp];

  const RowsInTensor<typename Engine::Rows, const T> gQ(shared.rows, tensors.q);
  begin_copy<Engine::kThreads>(shared.q, gQ, row_layout(tensors.q));
  cp_async_commit_group();

  const KeyTiles<Engine, V> tiles(variant, mask, shared.rows);
  KeyValueRing<Engine, V> ring(shared.ring, shared.keys_values, tiles);
  Scoring scoring(problem, variant, mask, shared.rows);
  typename Engine::Queries rQ(shared.q);
  typename Engine::Output rO;
  Log2Softmax<Engine> softmax(Scoring::score_scale(variant));

  // Excluded keys weigh 0, which keeps their values out unless one is infinite or NaN. Then outputs
  // are NaN, which does not pass: and all is done again, with a look at each value. So it is where
  // sums may have overflowed, scores are great, or an engine's products are NaN whatever is
  // infinite.
  static_assert(Engine::kNotFinite != NotFinite::nan || kMayOverflow<T>);
  const float any_unit = weight_unit<T>(problem.len_k);
  Values values = Values::finite;
  for (;; values = Values::any, scoring.look_closely()) {
    bool excluded = false;
    softmax.clear();
    clear<Engine>(rO);
    const int begin = tiles.first();
    ring.start(begin);
    if constexpr (Engine::kKeepsQueries) {
      ring.wait_for_earlier();
      rQ.take();
    }
    for (int j = begin; j < tiles.end(); j = tiles.after(j)) {
      typename Engine::Weights rP;
      typename Scoring::Bits allowed = Scoring::kAll;
      const Coverage kept = tiles.coverage(Engine::first_row(), Engine::kTiling.warp_rows, j);
      const bool sees = warp_keys.touch(j, kTileColumns) && kept != Coverage::none;
      const auto is_allowed = [&](int r, int c) { return Scoring::is_allowed(allowed, r, c); };

      if (sees) scoring.fetch(j);
      const auto& sK = ring.keys(j);
      if (sees) {
        typename Engine::Scores rS;
        dot_products<Engine>(rS, rQ, shared.q, sK, values);
        const bool all = warp_keys.cover(j, kTileColumns) && kept == Coverage::all;
        allowed = scoring.score(rS, j, all);
        float factors[Engine::kRows];
        if (values == Values::finite) {
          softmax.add(rS, factors);
        } else {
          softmax.add_any(rS, factors, is_allowed, any_unit);
        }
        excluded = excluded || scoring.may_exclude(allowed);
        scoring.apply_dropout(rS, j);
        rP = Engine::weights(rS);
        rescale<Engine>(rO, factors);
      }
      const auto& sV = ring.values(j);
      const bool select =
          values == Values::any && __syncthreads_or(meets_not_finite<Engine::kThreads>(sV));
      if (sees && !select) Engine::add_products(rO, rP, sV);
      if (sees && select) {
        Engine::add_selected(rO, rP, is_allowed, sV, shared.q);
        Engine::restore_queries(shared.q, gQ, row_layout(tensors.q));
      }
    }
    cp_async_wait_group<0>();
    // A lane has part of the sums that its row's other lanes' keys go into.
    const bool looks = __any_sync(kAllLanes, excluded) || kMayOverflow<T>;
    bool spoiled = softmax.is_doubtful([&](int r) { return scoring.has_met_key(r); }) ||
                   (looks && has_not_finite<Engine>(rO));
    if constexpr (Engine::kNotFinite == NotFinite::nan)
      spoiled = spoiled || softmax.has_not_finite() || scoring.user_met_nan();
    if (!__syncthreads_or(spoiled) || values == Values::any) break;
  }

  RegisterOutputs<Engine, V> outputs(problem, variant, tensors, results, shared.rows);
  const unsigned empty = outputs.finish(rO, softmax, values == Values::any ? any_unit : 1.0f);
  if (results.work.parts > 1) return outputs.leave(rO);
  outputs.store(rO, shared.q, ~0u);
  if (variant.empty_row != EmptyRow::uniform || !__syncthreads_or(empty != 0)) return;
  outputs.average(rO, shared.ring[0], shared.q, shared.keys_values.v, scoring);
  outputs.store(rO, shared.q, empty);
}

}  // namespace attend::cuda
