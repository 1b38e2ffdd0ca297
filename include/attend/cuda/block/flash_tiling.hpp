#pragma once

#include <cstdint>

/// @file
/// How the flash kernel divides its work: tile sizes as rows of data.

namespace attend::cuda {

/// Where the fragments of the queries are while keys go by.
enum class QueryFragments {
  registers,      ///< read once
  shared_memory,  ///< read for each tile of keys: registers are short
};

/// What stands between dot products and scores, for which there are kernels of their own.
enum class FlashScores {
  products,  ///< nothing but the scale, which the exponential takes in; position excludes keys, and
             ///< in the forward pass a mask
  any,       ///< all that a variant may ask for, dropout too
};

/// What a thread reads of a bias before the dot products it belongs to are there.
enum class FetchAhead {
  nothing,      ///< registers are short
  row_of_bias,  ///< half as many registers as scores, for one of two rows
  bias,         ///< as many
};

/// Who computes a product together.
enum class ProductUnit {
  warp,                ///< mma.sync: capability 8.0 and later
  warpgroup,           ///< wgmma, four warps: 9.0 only
  warp_of_parts,       ///< mma.sync of floats' parts: capability 8.0 and later
  warpgroup_of_parts,  ///< wgmma of floats' parts: 9.0 only
};

/// Whether those are warpgroups.
constexpr bool is_of_warpgroups(ProductUnit unit) {
  return unit == ProductUnit::warpgroup || unit == ProductUnit::warpgroup_of_parts;
}

/// What an engine's products make of operands that are infinite or NaN.
enum class NotFinite {
  as_products,  ///< what arithmetic makes of them
  nan,          ///< NaN, for all is to be done again by multiply-add
};

/// A block of the flash kernel: `warps` of `warp_rows` queries each, on `keys` keys at a time, of
/// which `slots` tiles (of keys or of values) are in shared memory.
struct FlashTiling {
  ProductUnit unit;        ///< whose products
  int head_dim;            ///< greatest head dim, of q and k and of v
  FlashScores scores;      ///< which kernel
  int warps;               ///< of a block
  int warp_rows;           ///< queries of a warp: 16, or 32 so that each key read serves twice
  int keys;                ///< of a tile
  int slots;               ///< of the ring of tiles
  QueryFragments queries;  ///< where they are kept
  int blocks;              ///< on a multiprocessor together: registers are limited to allow it
  FetchAhead ahead = FetchAhead::nothing;  ///< of a bias

  /// Queries of a block.
  constexpr int rows() const { return warps * warp_rows; }
};

/// The tilings there are. Those of warps were chosen by arithmetic: a product of 16 x 8 x 16
/// takes two cycles of a multiprocessor of capability 8.0, and reading its keys (256 bytes) two
/// cycles of its shared memory, so that warps have 32 rows where 255 registers hold their outputs.
/// A float is four bytes and its product three: warps have 32 rows or 16, and keys are few, as the
/// parts of operands take registers. At head dim 32 all devices have tilings of
/// warps: counted, they take half the instructions of warpgroups whose tiles are padded to 64.
/// All fit the 99 KiB of shared memory that capabilities 8.6, 8.9 and 12.0 have for a block, and
/// two blocks (one of 256) the 164 KiB that 8.0 has for all. Those of warpgroups were timed on an
/// H200 (2026-11-27): of head dim 64, 192 queries on 128 keys run at 1.13 to 1.16 times the speed
/// of 128 on 128 from 2048 keys on; 64 keys for any scores at 0.7 times that of 128, with a mask,
/// which these took then. Turns of the warpgroups at the tensor cores gained nothing. Those of
/// floats' parts, not timed yet, have what shared memory has room for: a tile of 64 keys is 64 KiB
/// at head dim 128.
inline constexpr FlashTiling kFlashTilings[] = {
    {ProductUnit::warp, 32, FlashScores::products, 4, 32, 64, 4, QueryFragments::shared_memory, 3},
    {ProductUnit::warp, 64, FlashScores::products, 4, 32, 64, 4, QueryFragments::registers, 2},
    {ProductUnit::warp, 128, FlashScores::products, 4, 32, 64, 2, QueryFragments::shared_memory, 2},
    {ProductUnit::warp, 256, FlashScores::products, 8, 16, 32, 2, QueryFragments::shared_memory, 1},
    {ProductUnit::warp, 32, FlashScores::any, 4, 32, 64, 4, QueryFragments::shared_memory, 2},
    {ProductUnit::warp, 64, FlashScores::any, 4, 32, 64, 4, QueryFragments::shared_memory, 2},
    {ProductUnit::warp, 128, FlashScores::any, 4, 32, 32, 4, QueryFragments::shared_memory, 2},
    {ProductUnit::warp, 256, FlashScores::any, 8, 16, 32, 2, QueryFragments::shared_memory, 1,
     FetchAhead::bias},
    {ProductUnit::warpgroup, 64, FlashScores::products, 12, 16, 128, 6,
     QueryFragments::shared_memory, 1},
    {ProductUnit::warpgroup, 128, FlashScores::products, 8, 16, 128, 4,
     QueryFragments::shared_memory, 1},
    {ProductUnit::warpgroup, 256, FlashScores::products, 8, 16, 64, 4,
     QueryFragments::shared_memory, 1},
    {ProductUnit::warpgroup, 64, FlashScores::any, 8, 16, 128, 6, QueryFragments::shared_memory, 1,
     FetchAhead::bias},
    {ProductUnit::warpgroup, 128, FlashScores::any, 8, 16, 128, 4, QueryFragments::shared_memory, 1,
     FetchAhead::row_of_bias},
    {ProductUnit::warpgroup, 256, FlashScores::any, 8, 16, 64, 4, QueryFragments::shared_memory, 1},
    {ProductUnit::warp_of_parts, 64, FlashScores::products, 4, 32, 32, 4,
     QueryFragments::shared_memory, 2},
    {ProductUnit::warp_of_parts, 128, FlashScores::products, 4, 16, 32, 2,
     QueryFragments::shared_memory, 2},
    {ProductUnit::warp_of_parts, 64, FlashScores::any, 4, 32, 32, 4, QueryFragments::shared_memory,
     2},
    {ProductUnit::warp_of_parts, 128, FlashScores::any, 4, 16, 32, 2, QueryFragments::shared_memory,
     2},
    {ProductUnit::warpgroup_of_parts, 64, FlashScores::products, 8, 16, 64, 4,
     QueryFragments::shared_memory, 1},
    {ProductUnit::warpgroup_of_parts, 128, FlashScores::products, 8, 16, 64, 2,
     QueryFragments::shared_memory, 1},
    {ProductUnit::warpgroup_of_parts, 64, FlashScores::any, 8, 16, 64, 4,
     QueryFragments::shared_memory, 1, FetchAhead::bias},
    {ProductUnit::warpgroup_of_parts, 128, FlashScores::any, 8, 16, 64, 2,
     QueryFragments::shared_memory, 1},
};

/// The first tiling that has room for both head dims; the last if none has.
constexpr const FlashTiling& flash_tiling(std::int64_t head_dim, std::int64_t head_dim_v,
                                          FlashScores scores, ProductUnit unit) {
  const std::int64_t most = head_dim > head_dim_v ? head_dim : head_dim_v;
  const FlashTiling* found = nullptr;
  for (const FlashTiling& tiling : kFlashTilings) {
    if (tiling.unit != unit || tiling.scores != scores) continue;
    found = &tiling;
    if (most <= tiling.head_dim) break;
  }
  return *found;
}

/// Whether these warpgroups have a tiling of just this head dim.
constexpr bool has_warpgroup_tiling(int head_dim, ProductUnit unit = ProductUnit::warpgroup) {
  return flash_tiling(head_dim, head_dim, FlashScores::any, unit).head_dim == head_dim;
}

}  // namespace attend::cuda
