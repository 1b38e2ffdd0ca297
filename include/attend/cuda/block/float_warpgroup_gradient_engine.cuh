#pragma once

#include "../arch/barrier.cuh"
#include "../arch/compiled.cuh"
#include "../tile/float_parts_tile.cuh"
#include "../tile/float_tile.cuh"
#include "float_gradient_dots.cuh"
#include "float_warpgroup_product.cuh"

/// @file
/// The products of a backward pass for floats, on warpgroups.

namespace attend::cuda {

/// Rows as `bring_parts` asks for them, of a function from a row to where it begins.
template <class RowOf>
struct RowsByFunction {
  RowOf row_of;
  /// Whether there is an n-th.
  __device__ bool exists(int n) const { return row_of(n) != nullptr; }
  /// Where it begins.
  __device__ const float* address(int n) const { return row_of(n); }
};

/// Warpgroups of 64 rows each; head dims up to `Width`. Columns of a tile lie in parts, once for
/// each of their products.
template <int Width>
struct FloatWarpgroupGradientEngine : FloatGradientDots<FloatWarpgroupGradientEngine<Width>> {
  using Dots = FloatGradientDots<FloatWarpgroupGradientEngine<Width>>;
  using Dots::kRows;
  using typename Dots::Real;
  static constexpr Compiled kCompiled = Compiled::with_wgmma;
  static constexpr int kBlocks = 1;  ///< on a multiprocessor: shared memory suffices for no more
  static constexpr int kThreads = Width <= 64 ? 256 : 128;
  static constexpr int kTileRows = kThreads / 2;
  static constexpr int kTileColumns = Width <= 64 ? 64 : 32;
  static constexpr int kWidth = Width;
  static constexpr int kColumns = kTileColumns / 4;  ///< columns of one thread, of scores
  static constexpr int kOutColumns = Width / 4;      ///< its columns of gradients

  using Product = FloatWarpgroupProduct;
  using Scores = Real[kRows][kColumns];     ///< a thread's part of a tile of scores
  using Output = Real[kRows][kOutColumns];  ///< a thread's part of a gradient

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
  static_assert(sizeof(Shared) <= 200 * 1024, "a block has 227 KiB on 9.0, for queries too");

  /// Fills a tile's columns; whether this thread met a great number.
  template <class RowOf>
  static __device__ bool load_columns(Tiles& tiles, RowOf row_of, const RowLayout& layout,
                                      Columns serve) {
    const auto bring = [&](auto& to) {
      return bring_parts<kThreads, WithoutParts::whole>(to, RowsByFunction<RowOf>{row_of}, layout,
                                                        static_cast<int>(threadIdx.x), [] {});
    };
    const bool met = bring(tiles.columns);
    if (serve == Columns::of_dots_and_sums) bring(tiles.transposed);
    fence_proxy_async();
    return met;
  }

  /// rO += rP B for the columns that `dot_products` loaded, and said `values` of.
  template <class BRow>
  static __device__ void add_weighted(Output& rO, const Scores& rP, Shared& shared, Factor factor,
                                      Values values, BRow, const RowLayout&, std::int64_t) {
    const auto& sB = shared.tiles[static_cast<int>(factor)].transposed;
    const int own_barrier = 1 + static_cast<int>(threadIdx.x) / kWarpgroup;
    if (barrier_red_or<kWarpgroup>(own_barrier, values == Values::any || Dots::meets_great(rP))) {
      Product::add_selected(rO, rP, sB);
    } else {
      Product::add_products(rO, rP, sB);
    }
  }
};

}  // namespace attend::cuda
