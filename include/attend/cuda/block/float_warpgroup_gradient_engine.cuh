#pragma once

#include "../arch/barrier.cuh"
#include "../arch/compiled.cuh"
#include "../arch/warp.cuh"
#include "../tile/float_parts_tile.cuh"
#include "../tile/float_tile.cuh"
#include "float_product.cuh"
#include "float_warpgroup_product.cuh"
#include "scalar_gradient_engine.cuh"
#include "tensor_core_product.cuh"

/// @file
/// The products of a backward pass for floats, on warpgroups.

namespace attend::cuda {

/// Rows as `bring_parts` asks for them, of a function from a row to where it begins.
template <class RowOf>
struct RowsByFunction {
  RowOf row_of;
  __device__ bool exists(int n) const { return row_of(n) != nullptr; }
  __device__ const float* address(int n) const { return row_of(n); }
};

/// Warpgroups of 64 rows each; head dims up to `Width`. Columns of a tile lie in parts, once for
/// each of their products.
template <int Width>
struct FloatWarpgroupGradientEngine : TensorCorePart {
  using Element = float;
  using Real = float;
  static constexpr Compiled kCompiled = Compiled::with_wgmma;
  static constexpr InOrder kInOrder = InOrder::if_asked;
  /// What fits the 227 KiB of shared memory that a block has on 9.0.
  static constexpr int kThreads = Width <= 64 ? 256 : 128;
  static constexpr int kTileRows = kThreads / 2;
  static constexpr int kTileColumns = Width <= 64 ? 64 : 32;
  static constexpr int kBlocks = 1;  ///< on a multiprocessor together
  static constexpr int kWidth = Width;
  static constexpr int kColumns = kTileColumns / 4;  ///< columns of one thread, of scores
  static constexpr int kOutColumns = Width / 4;      ///< its columns of gradients

  using Product = FloatWarpgroupProduct;
  using WarpProduct = FloatProduct<1>;
  using Scores = Real[kRows][kColumns];     ///< a thread's part of a tile of scores
  using Output = Real[kRows][kOutColumns];  ///< a thread's part of a gradient

  /// The n-th column of this thread, of gradients.
  static __device__ int out_column(int n) {
    return WarpProduct::first_out_column() + WarpProduct::out_column_from_first(n);
  }

  /// Both sides of a product of dots, and the columns of that as rows of a weighted sum.
  struct Tiles {
    FloatTile<kTileRows, Width> rows;
    RowParts<kTileColumns, Width, PlainOrder> columns;
    TransposedParts<kTileColumns, Width, PlainOrder> transposed;
  };
  /// Shared memory.
  struct Shared {
    Tiles tiles[2];     ///< by `Factor`
    int great_rows[2];  ///< by `Factor`: whether a row has a great number
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
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) rS[r][c] = 0;
    // The columns before are done with; those of values were before keys were loaded.
    if (factor == Factor::keys) __syncthreads();
    if (!a_there) {
      const int met = __syncthreads_or(load_tile<kThreads>(tiles.rows, a_row, a_layout));
      if (threadIdx.x == 0) great_rows = met;
    }
    const RowsByFunction<BRow> rows{b_row};
    const auto bring = [&](auto& to) {
      return bring_parts<kThreads, WithoutParts::whole>(to, rows, b_layout,
                                                        static_cast<int>(threadIdx.x), [] {});
    };
    const bool met = bring(tiles.columns);
    bring(tiles.transposed);
    fence_proxy_async();
    const int great = __syncthreads_or(met);
    if (great || great_rows || in_order) {
      WarpProduct::add_any_dot_products(rS, tiles.rows, first_row(), tiles.columns);
    } else {
      Product::add_dot_products(rS, tiles.rows, first_row(), tiles.columns);
    }
    return great ? Values::any : Values::finite;
  }

  /// rO += rP B for the columns that `dot_products` loaded, and said `values` of.
  template <class BRow>
  static __device__ void add_weighted(Output& rO, const Scores& rP, Shared& shared, Factor factor,
                                      Values values, BRow, const RowLayout&, std::int64_t) {
    const auto& sB = shared.tiles[static_cast<int>(factor)].transposed;
    bool great = values == Values::any;
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) great = great || is_great(rP[r][c]);
    if (barrier_red_or<kWarpgroup>(1 + static_cast<int>(threadIdx.x) / kWarpgroup, great)) {
      Product::add_selected(rO, rP, sB);
    } else {
      Product::add_products(rO, rP, sB);
    }
  }
};

}  // namespace attend::cuda
