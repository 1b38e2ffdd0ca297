#pragma once

#include "../arch/compiled.cuh"
#include "../tile/async_copy.cuh"
#include "flash_gradient_fragments.cuh"
#include "warpgroup_product.cuh"

/// @file
/// The products of the flash kernels' backward pass on warpgroups: four warps' rows of a block's
/// own tile against a tile that came to it. Tiles are read from shared memory by the tensor cores
/// themselves; scores, their gradients and sums are in registers.

namespace attend::cuda {

/// The engine of `HeadDim`'s tiling.
template <class T, int HeadDim, FlashGradient kind, FlashScores scores>
struct WarpgroupGradientEngine
    : FlashGradientFragments<T, HeadDim, kind, scores, ProductUnit::warpgroup> {
  using Fragments = FlashGradientFragments<T, HeadDim, kind, scores, ProductUnit::warpgroup>;
  using Fragments::kTileColumns, Fragments::row_warp, Fragments::first_out_column;
  using typename Fragments::Output, typename Fragments::Own, typename Fragments::Scores,
      typename Fragments::Tile;
  static constexpr FlashScores kScores = scores;
  static constexpr Compiled kCompiled = Compiled::with_wgmma;
  /// Whether products run on while others begin.
  static constexpr bool kOverlaps = Fragments::kTiling.stages > 2;

  using Weights = WarpgroupWeights<kTileColumns>;  ///< rounded

  /// Begins to fill a tile, as `begin_copy` does. Where scores are products, rows have to be such
  /// that they can be read as octets: registers are short.
  template <int Rows, class RowsOf>
  static __device__ void begin_copy(HalfTile<T, Rows, HeadDim>& tile, const RowsOf& rows,
                                    const RowLayout& layout) {
    if constexpr (scores == FlashScores::products)
      begin_copy_of_pieces<Fragments::kThreads>(tile, rows, layout.columns);
    else
      cuda::begin_copy<Fragments::kThreads>(tile, rows, layout);
  }

  /// Begins rS = A B^T, as a group.
  static __device__ void begin_dot_products(Scores& rS, const Own& sA, const Tile& sB) {
    cuda::begin_dot_products<Own, Tile>(rS, rows_of_warpgroup(sA, of_warp(row_warp() / 4)), sB);
  }
  /// Begins rO += rP B, as a group.
  static __device__ void begin_weighted(Output& rO, const Weights& rP, const Tile& sB) {
    begin_weighted_sums(rO, rP.at, columns_from(sB, first_out_column()));
  }
  /// Rounds weights to elements.
  static __device__ void round(Weights& rounded, const Scores& rP) {
    round_to<kTileColumns>(rounded, rP, T{});
  }
  /// Waits until all groups but the `Pending` latest are done, one of which had results in `x`.
  template <int Pending, int Columns>
  static __device__ void wait(float (&x)[2][Columns]) {
    wait_for_products<Pending>(x);
  }
  /// rO += rP B, done.
  static __device__ void add_weighted(Output& rO, const Scores& rP, const Tile& sB) {
    Weights rounded;
    round(rounded, rP);
    begin_weighted(rO, rounded, sB);
    wait<0>(rO);
  }
};

}  // namespace attend::cuda
