#pragma once

#include "../arch/compiled.cuh"
#include "../tile/float_tile.cuh"
#include "../tile/scalar_tile.cuh"
#include "float_gradient_dots.cuh"

/// @file
/// The products of a backward pass for floats, on tensor cores.

namespace attend::cuda {

/// Four warps on tiles of 64 rows, 16 each; head dims up to `Width`, so that each tile is loaded
/// once for both of its products.
template <int Width>
struct FloatGradientEngine : FloatGradientDots<FloatGradientEngine<Width>> {
  using Dots = FloatGradientDots<FloatGradientEngine<Width>>;
  using Dots::first_row, Dots::kRows, Dots::kThreads;
  using typename Dots::Real;
  static constexpr Compiled kCompiled = Compiled::from_8_0_without_wgmma;
  static constexpr int kBlocks = 2;  ///< on a multiprocessor: with more, registers don't suffice
  static constexpr int kTileRows = 64;
  /// What fits, beside the rows, the 99 KiB of shared memory that every device has from 8.0 on.
  static constexpr int kTileColumns = Width <= 64 ? 32 : 16;
  static constexpr int kWidth = Width;
  static constexpr int kColumns = kTileColumns / 4;  ///< columns of one thread, of scores
  static constexpr int kOutColumns = Width / 4;      ///< its columns of gradients

  using Product = FloatProduct<1>;
  using Scores = Real[kRows][kColumns];     ///< a thread's part of a tile of scores
  using Output = Real[kRows][kOutColumns];  ///< a thread's part of a gradient

  /// Both sides of a product of dots.
  struct Tiles {
    FloatTile<kTileRows, Width> rows;
    FloatTile<kTileColumns, Width> columns;
  };
  /// Shared memory.
  struct Shared {
    Tiles tiles[2];     ///< by `Factor`
    int great_rows[2];  ///< by `Factor`: whether a row has a great number
    ScalarTile<Real, kTileRows, kTileColumns> staged;
  };

  /// Fills a tile's columns; whether this thread met a great number.
  template <class RowOf>
  static __device__ bool load_columns(Tiles& tiles, RowOf row_of, const RowLayout& layout,
                                      Columns) {
    return load_tile<kThreads>(tiles.columns, row_of, layout);
  }

  /// rO += rP B for the columns that `dot_products` loaded, and said `values` of.
  template <class BRow>
  static __device__ void add_weighted(Output& rO, const Scores& rP, Shared& shared, Factor factor,
                                      Values values, BRow, const RowLayout&, std::int64_t) {
    const auto& sB = shared.tiles[static_cast<int>(factor)].columns;
    if (__any_sync(kAllLanes, values == Values::any || Dots::meets_great(rP))) {
      Product::add_selected(rO, rP, shared.staged, first_row(), sB);
    } else {
      Product::add_products(rO, rP, sB);
    }
  }
};

}  // namespace attend::cuda
