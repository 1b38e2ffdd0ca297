#pragma once

#include <algorithm>
#include <cstdint>

#include "../core/problem.hpp"
#include "engine/kernels.hpp"

/// @file
/// How the fused path cuts a problem into pieces: a function of one batch element's sizes alone, so
/// that results do not depend on the number of threads, on the batch or on what else is in it.

namespace attend::cpu {

/// Pieces of a fused forward pass. A *row* is one query of one head; the rows of a *block* read the
/// same keys and are computed by one thread, in *panels* of the engine's vectors. Where queries are
/// few, all heads of a group share a block, and the keys are cut into *splits* whose partial
/// results are merged in order.
struct FusedPlan {
  std::int64_t heads_per_block = 1;  ///< query heads whose rows share a block
  std::int64_t head_sets = 0;        ///< sets of such heads
  std::int64_t rows = 0;             ///< rows of a head set
  std::int64_t block_rows = 1;       ///< rows of a block, a multiple of the panel's
  std::int64_t blocks = 0;           ///< blocks of a head set
  int panel_vectors = 1;             ///< vectors of a panel
  int panel_rows = 1;                ///< rows of a panel
  std::int64_t key_tile = 1;         ///< keys of a tile
  std::int64_t split_keys = 1;       ///< keys of a split, a multiple of the tile
  std::int64_t splits = 1;           ///< splits of the keys

  /// Blocks of all head sets, each of which has `splits` pieces.
  std::int64_t pieces(const Problem& problem) const { return problem.batch * head_sets * blocks; }
};

/// Splits are made until a batch element has this many pieces...
constexpr std::int64_t kPiecesWanted = 32;
/// ...but never shorter than this, where the partial results would begin to cost.
constexpr std::int64_t kLeastSplitKeys = 1024;

/// Vectors per panel for so many vectors of rows: the preferred width, unless another
/// leaves notably fewer lanes empty.
inline int panel_vectors(std::int64_t vectors, const Tuning& tuning) {
  if (vectors <= tuning.max_vectors) return static_cast<int>(std::max<std::int64_t>(vectors, 1));
  int best = tuning.panel_vectors;
  const auto empty = [&](int width) { return (vectors + width - 1) / width * width - vectors; };
  for (int width = tuning.max_vectors; width >= 2; --width)
    if ((empty(best) - empty(width)) * 32 > vectors) best = width;
  return best;
}

/// The plan for a problem on an engine of this tuning.
inline FusedPlan plan_fused(const Problem& problem, const Tuning& tuning) {
  const auto pieces = [](std::int64_t size, std::int64_t piece) {
    return (size + piece - 1) / piece;
  };
  FusedPlan plan;
  const std::int64_t most_rows = std::int64_t{tuning.block_vectors} * tuning.lanes;
  plan.heads_per_block = problem.len_q < most_rows ? problem.group() : 1;
  plan.head_sets = problem.heads / std::max<std::int64_t>(plan.heads_per_block, 1);
  plan.rows = problem.len_q * plan.heads_per_block;

  const std::int64_t vectors = pieces(plan.rows, tuning.lanes);
  plan.panel_vectors = panel_vectors(vectors, tuning);
  plan.panel_rows = plan.panel_vectors * tuning.lanes;
  const std::int64_t panels = std::max<std::int64_t>(pieces(plan.rows, plan.panel_rows), 1);
  const std::int64_t most_panels =
      std::max<std::int64_t>(tuning.block_vectors / plan.panel_vectors, 1);
  // Blocks of equal size rather than a small one at the end.
  const std::int64_t blocks = pieces(panels, most_panels);
  plan.block_rows = pieces(panels, blocks) * plan.panel_rows;
  plan.blocks = pieces(plan.rows, plan.block_rows);

  plan.key_tile = std::min<std::int64_t>(tuning.key_tile, pieces(problem.len_k, 32) * 32);
  plan.key_tile = std::max<std::int64_t>(plan.key_tile, 32);
  const std::int64_t whole = plan.head_sets * plan.blocks;
  const std::int64_t splits_wanted = whole > 0 ? pieces(kPiecesWanted, whole) : 1;
  const std::int64_t keys =
      std::max(kLeastSplitKeys, pieces(problem.len_k, std::max<std::int64_t>(splits_wanted, 1)));
  plan.split_keys = pieces(keys, plan.key_tile) * plan.key_tile;
  plan.splits = std::max<std::int64_t>(pieces(problem.len_k, plan.split_keys), 1);
  return plan;
}

}  // namespace attend::cpu
