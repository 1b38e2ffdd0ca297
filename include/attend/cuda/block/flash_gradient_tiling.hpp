#pragma once

#include <cstdint>

#include "flash_tiling.hpp"

/// @file
/// How the flash kernels divide the work of a backward pass: tile sizes as rows of data.

namespace attend::cuda {

/// What a kernel computes.
enum class FlashGradient {
  of_keys,   ///< dK and dV: a block's own tile is one of keys, to which queries come
  of_query,  ///< dQ: its own tile is one of queries, to which keys come
};

/// A block: a tile of its own of `row_warps` times `warp_rows` rows, against `columns` rows of the
/// other side at a time, of which `stages` tiles are in shared memory. Where one warp's registers
/// would not hold the sums of two gradients, `groups` is two: each group of warps has one of them,
/// each warpgroup half the columns of both.
struct FlashGradientTiling {
  ProductUnit unit;    ///< whose products
  int head_dim;        ///< greatest head dim, of q and k and of v
  FlashGradient kind;  ///< which kernel
  FlashScores scores;  ///< that it is for
  int row_warps;       ///< warps that divide the rows among them
  int warp_rows;       ///< rows of a warp: 16, or 32 so that what is read serves twice
  int groups;          ///< of warps
  int columns;         ///< of a tile of scores
  int stages;          ///< of tiles that come
  int blocks;          ///< on a multiprocessor together: registers are limited to allow it

  /// Rows of a block's own tile.
  constexpr int rows() const { return row_warps * warp_rows; }
  /// Warps of a block.
  constexpr int warps() const { return row_warps * groups; }
};

/// The tilings there are, by arithmetic (what they reach on an H200 is in bench/results). Those of
/// warps all fit the 99 KiB of shared memory that capabilities 8.6, 8.9 and 12.0 have for a block,
/// those of warpgroups the 227 KiB of 9.0. With four stages products run on while others begin,
/// with two each waits.
inline constexpr FlashGradientTiling kFlashGradientTilings[] = {
    {ProductUnit::warp, 32, FlashGradient::of_keys, FlashScores::any, 4, 32, 1, 32, 2, 2},
    {ProductUnit::warp, 64, FlashGradient::of_keys, FlashScores::any, 4, 16, 1, 64, 2, 2},
    {ProductUnit::warp, 128, FlashGradient::of_keys, FlashScores::any, 4, 16, 1, 32, 2, 2},
    {ProductUnit::warp, 256, FlashGradient::of_keys, FlashScores::any, 4, 16, 2, 16, 2, 1},
    {ProductUnit::warp, 32, FlashGradient::of_query, FlashScores::any, 4, 32, 1, 32, 2, 2},
    {ProductUnit::warp, 64, FlashGradient::of_query, FlashScores::any, 4, 32, 1, 32, 2, 2},
    {ProductUnit::warp, 128, FlashGradient::of_query, FlashScores::any, 4, 16, 1, 32, 2, 2},
    {ProductUnit::warp, 256, FlashGradient::of_query, FlashScores::any, 2, 16, 1, 16, 2, 2},
    {ProductUnit::warpgroup, 64, FlashGradient::of_keys, FlashScores::products, 8, 16, 1, 64, 4, 1},
    {ProductUnit::warpgroup, 128, FlashGradient::of_keys, FlashScores::products, 8, 16, 1, 64, 4,
     1},
    {ProductUnit::warpgroup, 256, FlashGradient::of_keys, FlashScores::products, 4, 16, 2, 32, 2,
     1},
    {ProductUnit::warpgroup, 64, FlashGradient::of_query, FlashScores::products, 8, 16, 1, 64, 4,
     1},
    {ProductUnit::warpgroup, 128, FlashGradient::of_query, FlashScores::products, 8, 16, 1, 64, 4,
     1},
    {ProductUnit::warpgroup, 256, FlashGradient::of_query, FlashScores::products, 8, 16, 1, 32, 2,
     1},
    {ProductUnit::warpgroup, 64, FlashGradient::of_keys, FlashScores::any, 8, 16, 1, 64, 2, 1},
    {ProductUnit::warpgroup, 128, FlashGradient::of_keys, FlashScores::any, 8, 16, 1, 32, 2, 1},
    {ProductUnit::warpgroup, 256, FlashGradient::of_keys, FlashScores::any, 4, 16, 2, 32, 2, 1},
    {ProductUnit::warpgroup, 64, FlashGradient::of_query, FlashScores::any, 8, 16, 1, 64, 2, 1},
    {ProductUnit::warpgroup, 128, FlashGradient::of_query, FlashScores::any, 8, 16, 1, 64, 2, 1},
    {ProductUnit::warpgroup, 256, FlashGradient::of_query, FlashScores::any, 8, 16, 1, 32, 2, 1},
};

/// The first tiling that has room for both head dims; the last if none has.
constexpr const FlashGradientTiling& flash_gradient_tiling(std::int64_t head_dim,
                                                           std::int64_t head_dim_v,
                                                           FlashGradient kind, FlashScores scores,
                                                           ProductUnit unit) {
  const std::int64_t most = head_dim > head_dim_v ? head_dim : head_dim_v;
  const FlashGradientTiling* found = nullptr;
  for (const FlashGradientTiling& tiling : kFlashGradientTilings) {
    if (tiling.unit != unit || tiling.kind != kind || tiling.scores != scores) continue;
    found = &tiling;
    if (most <= tiling.head_dim) break;
  }
  return *found;
}

}  // namespace attend::cuda
