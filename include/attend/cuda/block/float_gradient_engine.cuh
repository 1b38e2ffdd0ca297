#pragma once

#include "../arch/compiled.cuh"
#include "../arch/warp.cuh"
#include "../tile/float_tile.cuh"
#include "../tile/scalar_tile.cuh"
#include "float_product.cuh"
#include "scalar_gradient_engine.cuh"
#include "tensor_core_product.cuh"

/// @file
/// The products of a backward pass for floats, on tensor cores.

namespace attend::cuda {

/// Four warps on tiles of 64 rows, 16 each; head dims up to `Width`, so that each tile is loaded
/// once for both of its products.
template <int Width>
struct FloatGradientEngine : TensorCorePart {
  using Element = float;
  using Real = float;
  static constexpr Compiled kCompiled = Compiled::from_8_0_without_wgmma;
  static constexpr InOrder kInOrder = InOrder::if_asked;
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

  /// The n-th column of this thread, of gradients.
  static __device__ int out_column(int n) {
    return Product::first_out_column() + Product::out_column_from_first(n);
  }

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

  /// rS = A B^T for the rows that `a_row` and `b_row` point to; whether B is such that its weighted
  /// sums are tensor cores' too. The product of keys comes first. `a_there`: A's tile is that of
  /// the call before. `in_order`: by multiply-add, column by column, as rows are measured.
  template <class ARow, class BRow>
  static __device__ Values dot_products(Scores& rS, Shared& shared, Factor factor, ARow a_row,
                                        const RowLayout& a_layout, BRow b_row,
                                        const RowLayout& b_layout, bool a_there,
                                        bool in_order = false) {
    Tiles& tiles = shared.tiles[static_cast<int>(factor)];
    int& great_rows = shared.great_rows[static_cast<int>(factor)];
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kColumns; ++c) rS[r][c] = 0;
    // The columns before are done with; those of values were before keys were loaded.
    if (factor == Factor::keys) __syncthreads();
    if (!a_there) {
      const int met = __syncthreads_or(load_tile<kThreads>(tiles.rows, a_row, a_layout));
      if (threadIdx.x == 0) great_rows = met;
    }
    const int great = __syncthreads_or(load_tile<kThreads>(tiles.columns, b_row, b_layout));
    if (great || great_rows || in_order) {
      Product::add_any_dot_products(rS, tiles.rows, first_row(), tiles.columns);
    } else {
      Product::add_dot_products(rS, tiles.rows, first_row(), tiles.columns);
    }
    return great ? Values::any : Values::finite;
  }

  /// rO += rP B for the columns that `dot_products` loaded, and said `values` of.
  template <class BRow>
  static __device__ void add_weighted(Output& rO, const Scores& rP, Shared& shared, Factor factor,
                                      Values values, BRow, const RowLayout&, std::int64_t) {
    const auto& sB = shared.tiles[static_cast<int>(factor)].columns;
    bool great = values == Values::any;
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kColumns; ++c) great = great || is_great(rP[r][c]);
    if (__any_sync(kAllLanes, great)) {
      Product::add_selected(rO, rP, shared.staged, first_row(), sB);
    } else {
      Product::add_products(rO, rP, sB);
    }
  }
};

}  // namespace attend::cuda
