#pragma once

#include "../arch/compiled.cuh"
#include "float_fragments.cuh"

/// @file
/// The products of the flash kernel for floats, on tensor cores: a warp's rows against a tile of
/// keys or values that is in shared memory.

namespace attend::cuda {

/// The engine of `HeadDim`'s tiling.
template <int HeadDim, FlashScores scores>
struct FloatEngine : FloatFragments<HeadDim, scores, ProductUnit::warp_of_parts> {
  using Fragments = FloatFragments<HeadDim, scores, ProductUnit::warp_of_parts>;
  using Fragments::first_row;
  using typename Fragments::Product, typename Fragments::QueryRows, typename Fragments::Scores,
      typename Fragments::Tile;
  static constexpr Compiled kCompiled = Compiled::from_8_0_without_wgmma;

  /// The queries, which stay in shared memory.
  struct Queries {
    const QueryRows& tile;
    /// Of the tile, which has to be there when they are read.
    __device__ explicit Queries(const QueryRows& sQ) : tile(sQ) {}
  };

  /// rS = Q K^T. NaN where an operand is infinite or NaN.
  static __device__ void dot_products(Scores& rS, const Queries& rQ, const Tile& sK) {
    Fragments::clear(rS);
    Product::add_dot_products(rS, rQ.tile, first_row(), sK);
  }
};

}  // namespace attend::cuda
