#pragma once

#include <cstdint>

#include "../../core/forward_tensors.hpp"
#include "../arch/setmaxnreg.cuh"
#include "../arch/shared_memory.cuh"
#include "../block/float_warpgroup_engine.cuh"
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
/// section 3.2); of floats, while other warpgroups do. Any variant.

namespace attend::cuda {

/// What the warps that compute know of a tile of queries.
template <class Engine, class V>
struct FlashTile {
  using Scoring = RegisterScoring<Engine, V>;
  using Scores = typename Engine::Scores;

  const typename Engine::Rows& rows;
  KeyTiles<Engine, V> tiles;
  Scoring scoring;
  Log2Softmax<Engine> softmax;
  typename Engine::Output rO;
  float factors[Engine::kRows];
  typename Scoring::Bits allowed;  ///< of the latest tile of keys
  bool excluded = false;           ///< whether some key was not
  int plain_first, plain_last;     ///< no key is excluded from tiles that begin in between

  /// No key yet.
  __device__ FlashTile(const Problem& problem, const V& variant, const MaskBits& mask,
                       const typename Engine::Rows& rows)
      : rows(rows),
        tiles(variant, mask, rows),
        scoring(problem, variant, mask, rows),
        softmax(Scoring::score_scale(variant)) {
    const SeenKeys& keys = rows.block;
    plain_first = max(keys.all_begin, keys.any_begin);
    plain_last = scoring.only_position_excludes()
                     ? min(keys.all_end, keys.any_end) - Engine::kTileColumns
                     : -1;
    softmax.clear();
    clear<Engine>(rO);
  }

  /// Dot products of the keys j and following become scores.
  __device__ void score(Scores& rS, int j) {
    const SeenKeys& warp_keys = rows.warp[static_cast<int>(threadIdx.x) / kWarp];
    const Coverage kept = tiles.coverage(Engine::first_row(), Engine::kTiling.warp_rows, j);
    const bool all = warp_keys.cover(j, Engine::kTileColumns) && kept == Coverage::all;
    allowed = scoring.score(rS, j, all);
    excluded = excluded || scoring.may_exclude(allowed);
  }
  /// Whether dot products of these keys are scores.
  __device__ bool is_plain(int j) const {
    return Engine::kScores == FlashScores::products && plain_first <= j && j <= plain_last;
  }
  /// Dot products of the keys j and following become weights.
  __device__ void weigh(Scores& rS, int j) {
    score(rS, j);
    softmax.add(rS, factors);
    scoring.apply_dropout(rS, j);
  }
};

/// Outputs of a tile of queries, where its keys and values from the n-th on are those from `begin`
/// on: while products run the warps do something else.
template <class Engine, class V>
__device__ void attend_overlapped(FlashTile<Engine, V>& at, const TileUser<Engine>& user,
                                  const typename Engine::QueryRows& sQ, int begin, unsigned& n) {
  using Scores = typename Engine::Scores;
  const int end = at.tiles.end();
  typename Engine::Weights rP;
  {
    Scores rS;
    at.scoring.fetch(begin);
    user.wait(n);
    Engine::begin_dot_products(rS, Engine::queries(sQ), user.tile(n));
    Engine::template wait<0>(rS);
    user.release(n);
    at.weigh(rS, begin);
    rP = Engine::weights(rS);
  }
  ++n;  // the tile of values whose weights these are
  int next = at.tiles.after(begin);
  // Scores of the next tile of keys, and outputs of this one. `change` makes weights of the
  // scores, and says which tile comes after.
  const auto step = [&](auto change) {
    Scores rS;
    const int j = next;
    at.scoring.fetch(j);
    user.wait_for_two(n);
    const typename Engine::Operand keys = user.tile(n + 1), values = user.tile(n);
    Engine::begin_dot_products(rS, Engine::queries(sQ), keys);
    Engine::begin_products(at.rO, rP, values);
    Engine::template wait<1>(rS);
    user.release(n + 1);
    next = change(rS, j);
    Engine::template wait<0>(at.rO);
    user.release(n);
    rescale<Engine>(at.rO, at.factors);
    rP = Engine::weights(rS);
    n += 2;
  };
  while (next < end) {
    // Where branches meet, results of products would have to be copied: a tile that is taken as
    // it is has a branch for itself.
    if (at.is_plain(next)) {
      step([&](Scores& rS, int j) {
        at.softmax.add(rS, at.factors);
        return j + Engine::kTileColumns;
      });
    } else {
      step([&](Scores& rS, int j) {
        at.weigh(rS, j);
        return at.tiles.after(j);
      });
    }
  }
  user.wait(n);
  Engine::add_products(at.rO, rP, user.tile(n));
  user.release(n++);
}

/// The same, one thing after the other: sums of few products are added up in registers, which a
/// warpgroup waits for all the time, while others' products run.
template <class Engine, class V>
__device__ void attend_in_turn(FlashTile<Engine, V>& at, const TileUser<Engine>& user,
                               const typename Engine::QueryRows& sQ, int begin, unsigned& n) {
  for (int j = begin; j < at.tiles.end(); j = at.tiles.after(j)) {
    typename Engine::Scores rS;
    at.scoring.fetch(j);
    user.wait(n);
    Engine::dot_products(rS, sQ, Engine::keys(user.tile(n)));
    user.release(n++);
    if (at.is_plain(j)) {
      at.softmax.add(rS, at.factors);
    } else {
      at.weigh(rS, j);
    }
    rescale<Engine>(at.rO, at.factors);
    user.wait(n);
    Engine::add_products(at.rO, Engine::weights(rS), Engine::values(user.tile(n)));
    user.release(n++);
  }
}

/// Outputs of the block's `turn`-th tile of queries, whose tiles of keys and values are the n-th
/// and following.
template <class Engine, class V>
__device__ void compute(const Problem& problem, const V& variant,
                        const ForwardTensors<typename Engine::Element>& tensors,
                        const MaskBits& mask, const SplitResults<float>& results,
                        WarpgroupShared<Engine>& shared, int turn, unsigned& n) {
  const TileUser<Engine> user(shared);
  FlashTile<Engine, V> at(problem, variant, mask, user.wait_for_queries(turn).rows);
  auto& sQ = shared.q[turn % WarpgroupShared<Engine>::kQueryTiles];
  const int begin = at.tiles.first();
  int end = at.tiles.end();
  if (!at.rows.warpgroup_sees(Engine::warpgroup())) {
    // Of few queries another warpgroup has all: for this one no keys are left.
    for (int j = begin; j < end; j = at.tiles.after(j))
      for (int x = 0; x < 2; ++x) user.wait(n), user.release(n++);
    end = begin;
  }

  if (begin < end) {
    if constexpr (Engine::kTiling.unit == ProductUnit::warpgroup_of_parts) {
      attend_in_turn(at, user, sQ, begin, n);
    } else {
      attend_overlapped(at, user, sQ, begin, n);
    }
  }

  // Excluded keys weigh 0, which keeps their values out unless one is infinite or NaN. Then outputs
  // are NaN, which does not pass; nor do sums that may have overflowed. A lane has part of the sums
  // that its row's other lanes' keys go into.
  using T = typename Engine::Element;
  static_assert(Engine::kNotFinite != NotFinite::nan || kMayOverflow<T>);
  const bool looks = __any_sync(kAllLanes, at.excluded) || kMayOverflow<T>;
  bool spoiled = at.softmax.is_doubtful([&](int r) { return at.scoring.has_met_key(r); }) ||
                 (looks && has_not_finite<Engine>(at.rO));
  if constexpr (Engine::kNotFinite == NotFinite::nan)
    spoiled = spoiled || at.softmax.has_not_finite() || at.scoring.user_met_nan();
  const RegisterOutputs<Engine, V> outputs(problem, variant, tensors, results, at.rows);
  const unsigned empty = outputs.finish(at.rO, at.softmax, 1);
  if (results.work.parts > 1) {
    outputs.leave(at.rO);
  } else {
    Engine::sync_warpgroup();  // products of other warps may still read queries
    outputs.store(at.rO, sQ, ~0u);
  }
  user.release_queries(turn);
  if (spoiled || (variant.empty_row == EmptyRow::uniform && empty != 0))
    atomicOr(&shared.again[turn / 32], 1u << turn % 32);
}

/// The same for the n-th tile of all, one thing after the other, with a look at each value,
/// whatever the scores; and means for rows without keys. When all is done that others bring.
template <class Engine, class V>
__device__ void compute_closely(const Problem& problem, const V& variant,
                                const ForwardTensors<typename Engine::Element>& tensors,
                                const MaskBits& mask, const SplitResults<float>& results,
                                WarpgroupShared<Engine>& shared, unsigned n) {
  using T = typename Engine::Element;
  constexpr int kThreads = Engine::kThreads;
  auto& rows = shared.of_queries[0].rows;
  auto& keys_values = shared.of_queries[0].keys_values;
  auto &sQ = shared.q[0], &sP = sQ;  // weights go where the queries are
  auto &sK = Engine::whole(shared.tile[0]), &sV = Engine::whole(shared.tile[1]);
  const int thread = static_cast<int>(threadIdx.x);
  Engine::sync();
  rows.template find<kThreads>(problem, variant, mask, Engine::kWidth, results.work, n, thread,
                               [] { Engine::sync(); });
  keys_values.find(tensors, rows.tile);
  Engine::sync();

  FlashTile<Engine, V> at(problem, variant, mask, rows);
  at.scoring.look_closely();
  const float unit = weight_unit<T>(problem.len_k);
  const RowsInTensor<typename Engine::Rows, const T> gQ(rows, tensors.q);
#pragma unroll 1
  for (int j = at.tiles.first(); j < at.tiles.end(); j = at.tiles.after(j)) {
    const auto& [k, v] = keys_values;
    begin_copy<kThreads>(sQ, gQ, row_layout(tensors.q), opaque(thread));
    begin_copy<kThreads>(sK, k.rows(j, at.tiles.end()), k.layout);
    begin_copy<kThreads>(sV, v.rows(j, at.tiles.end()), v.layout);
    cp_async_commit_group();
    cp_async_wait_group<0>();
    fence_proxy_async();
    Engine::sync();
    typename Engine::Scores rS;
    Engine::dot_any_products(rS, sQ, sK);
    const auto is_allowed = [&](int r, int c) { return at.scoring.is_allowed(at.allowed, r, c); };
    at.scoring.fetch(j);
    at.score(rS, j);
    at.softmax.add_any(rS, at.factors, is_allowed, unit);
    at.scoring.apply_dropout(rS, j);
    rescale<Engine>(at.rO, at.factors);
    const auto rP = Engine::weights(rS);
    const bool select = Engine::sync_or(meets_not_finite<kThreads>(sV));
    if (select) {
      Engine::add_selected(at.rO, rP, is_allowed, sV, sP);
    } else {
      Engine::add_products(at.rO, rP, sV);
    }
    Engine::sync();
  }

  const RegisterOutputs<Engine, V> outputs(problem, variant, tensors, results, rows);
  const unsigned empty = outputs.finish(at.rO, at.softmax, unit);
  if (results.work.parts > 1) return outputs.leave(at.rO);
  outputs.store(at.rO, sQ, ~0u);
  if (variant.empty_row != EmptyRow::uniform) return;
  outputs.average(at.rO, sV, sP, keys_values.v, at.scoring);
  outputs.store(at.rO, sQ, empty);
}

/// The tile of queries that is a block's `turn`-th: blocks go through all tiles in turns, each time
/// in the other direction. (Of long causal rows some blocks still get most of the work: a launch
/// gives such tiles a block each.)
__device__ inline unsigned tile_of_turn(int turn) {
  const unsigned block = turn % 2 == 0 ? blockIdx.x : gridDim.x - 1 - blockIdx.x;
  return static_cast<unsigned>(turn) * gridDim.x + block;
}

/// The most turns that a block may have.
inline constexpr int kMostTurns = 64;

/// What a block does with `count` tiles of queries that all blocks share.
template <class Engine, class V>
__device__ void flash_on_warpgroups(const Problem& problem, const V& variant,
                                    const ForwardTensors<typename Engine::Element>& tensors,
                                    const MaskBits& mask, const SplitResults<float>& results,
                                    unsigned count) {
  auto& shared = dynamic_shared<WarpgroupShared<Engine>>();
  if (threadIdx.x == 0) shared.init();
  __syncthreads();
  if (Engine::is_producer()) {
    setmaxnreg_dec<Engine::kProducerRegisters>();
    TileProducer<Engine> producer(shared);
#pragma unroll 1
    for (int turn = 0; tile_of_turn(turn) < count; ++turn)
      producer.bring(problem, variant, tensors, mask, results.work, tile_of_turn(turn), turn);
    mbarrier_arrive(shared.brought);
  } else {
    setmaxnreg_inc<Engine::kRegisters>();
    unsigned n = 0;
#pragma unroll 1
    for (int turn = 0; tile_of_turn(turn) < count; ++turn)
      compute<Engine>(problem, variant, tensors, mask, results, shared, turn, n);
    Engine::sync();
    mbarrier_wait(shared.brought, 0);
#pragma unroll 1
    for (int turn = 0; tile_of_turn(turn) < count; ++turn)
      if ((shared.again[turn / 32] >> turn % 32 & 1) != 0)
        compute_closely<Engine>(problem, variant, tensors, mask, results, shared,
                                tile_of_turn(turn));
  }
}

/// Blocks share `count` tiles of queries and parts of the keys.
template <class Engine, class V>
__global__ void __launch_bounds__(kWarpgroupThreads<Engine::kBlockThreads>, 1)
    flash_warpgroup(Problem problem, V variant, ForwardTensors<typename Engine::Element> tensors,
                    MaskBits mask, SplitResults<float> results, unsigned count) {
  if constexpr (is_compiled(Engine::kCompiled))
    flash_on_warpgroups<Engine>(problem, variant, tensors, mask, results, count);
}

}  // namespace attend::cuda
