#pragma once

#include <algorithm>
#include <cstdint>

#include "../core/problem.hpp"
#include "engine/gradient_kernels.hpp"
#include "fused_plan.hpp"

/// @file
/// How the fused path's backward pass cuts a problem into pieces: a function of one batch element's
/// sizes alone, so that results do not depend on the number of threads.

namespace attend::cpu {

/// Pieces of a fused backward pass. A *chunk* of the keys of one key and value head is computed by
/// one thread, which owns these keys' gradients and adds up what the chunk gives to the queries'
/// gradients; sums over chunks are taken at the end, in order.
struct FusedGradientPlan {
  int panel_vectors = 1;         ///< vectors of a panel of queries
  int panel_rows = 1;            ///< queries of a panel
  std::int64_t panels = 0;       ///< panels of a head
  std::int64_t key_tile = 32;    ///< keys of a tile
  std::int64_t chunk_keys = 32;  ///< keys of a chunk, a multiple of the tile
  std::int64_t chunks = 1;       ///< chunks of the keys
  ColumnBlocks columns;          ///< of Q, K and their gradients
  ColumnBlocks columns_v;        ///< of dO and dV

  /// Queries of all panels, padding included.
  std::int64_t padded_rows() const { return panels * panel_rows; }
};

/// Keys of a tile: a multiple of the 4, 6 and 8 rows of engines' register blocks whose scores stay
/// in the second-level cache (on Zen 3 at head dims of 32 and 64 1 to 18% faster than 64, at 128 as
/// fast; as fast as 128 or faster, with less memory).
constexpr std::int64_t kGradientKeyTile = 96;
/// Chunks are made until a batch element has this many pieces...
constexpr std::int64_t kChunksWanted = 16;
/// ...but never shorter than this, where packing the queries again would begin to cost.
constexpr std::int64_t kLeastChunkKeys = 512;

/// The plan for a problem on an engine of this tuning.
inline FusedGradientPlan plan_fused_gradient(const Problem& problem, const Tuning& tuning) {
  const auto pieces = [](std::int64_t size, std::int64_t piece) {
    return (size + piece - 1) / piece;
  };
  FusedGradientPlan plan{.columns = {problem.head_dim, tuning},
                         .columns_v = {problem.head_dim_v, tuning}};
  plan.panel_vectors = panel_vectors(pieces(problem.len_q, tuning.lanes), tuning);
  plan.panel_rows = plan.panel_vectors * tuning.lanes;
  plan.panels = pieces(problem.len_q, plan.panel_rows);
  plan.key_tile = std::clamp<std::int64_t>(pieces(problem.len_k, 32) * 32, 32, kGradientKeyTile);
  const std::int64_t wanted = pieces(kChunksWanted, std::max<std::int64_t>(problem.heads_kv, 1));
  const std::int64_t keys = std::max(kLeastChunkKeys, pieces(problem.len_k, wanted));
  plan.chunk_keys =
      pieces(std::min(keys, std::max<std::int64_t>(problem.len_k, 1)), plan.key_tile) *
      plan.key_tile;
  plan.chunks = std::max<std::int64_t>(pieces(problem.len_k, plan.chunk_keys), 1);
  return plan;
}

}  // namespace attend::cpu
