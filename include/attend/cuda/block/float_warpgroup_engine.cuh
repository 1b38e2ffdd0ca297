#pragma once

#include "../arch/compiled.cuh"
#include "../tile/float_parts_tile.cuh"
#include "float_fragments.cuh"
#include "float_warpgroup_product.cuh"
#include "warpgroup_roles.cuh"

/// @file
/// The products of the flash kernel for floats on warpgroups: four warps' rows against a tile of
/// keys or values, which lie in shared memory in parts.

namespace attend::cuda {

/// The engine of `HeadDim`'s tiling. Its producers have a tile of keys in registers on its way.
template <int HeadDim, FlashScores scores>
struct FloatWarpgroupEngine
    : WarpgroupRoles<FloatFragments<HeadDim, scores, ProductUnit::warpgroup_of_parts>, 104> {
  using Fragments = FloatFragments<HeadDim, scores, ProductUnit::warpgroup_of_parts>;
  using Fragments::first_row, Fragments::kTileColumns, Fragments::kWidth;
  using typename Fragments::Output, typename Fragments::QueryRows, typename Fragments::Scores,
      typename Fragments::Tile, typename Fragments::Weights;
  using Product = FloatWarpgroupProduct;
  static constexpr Compiled kCompiled = Compiled::with_wgmma;
  static constexpr int kQueryTiles = kWidth > 64 ? 1 : 2;  ///< that there is room for

  using Keys = RowParts<kTileColumns, kWidth, ScoreOrder>;
  using Values = TransposedParts<kTileColumns, kWidth, ScoreOrder>;
  /// Room for a tile.
  union Slot {
    Keys of_keys;
    Values of_values;
    Tile of_either;
  };
  /// A slot as a tile of keys.
  static __device__ Keys& keys(Slot& slot) { return slot.of_keys; }
  /// A slot as a tile of values.
  static __device__ Values& values(Slot& slot) { return slot.of_values; }
  /// A slot as one of either as it is.
  static __device__ Tile& whole(Slot& slot) { return slot.of_either; }

  /// rS = Q K^T. NaN where an operand is infinite or NaN.
  static __device__ void dot_products(Scores& rS, const QueryRows& sQ, const Keys& sK) {
    Fragments::clear(rS);
    Product::add_dot_products(rS, sQ, first_row(), sK);
  }

  using Fragments::add_products;
  /// rO += P V. NaN where a value is infinite or NaN.
  static __device__ void add_products(Output& rO, const Weights& rP, const Values& sV) {
    Product::add_products(rO, rP.at, sV);
  }
};

}  // namespace attend::cuda
