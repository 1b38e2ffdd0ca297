#pragma once

#include <cstdint>

#include "../arch/compiled.cuh"
#include "scalar_gradient_engine.cuh"
#include "tensor_core_product.cuh"

/// @file
/// The products of a backward pass on tensor cores, for 16-bit elements.

namespace attend::cuda {

/// Four warps on tiles of 64 x 32 scores, 16 rows each; `Width` columns of gradients, any head dim,
/// `Width` columns of it at a time. A head dim that is no wider has its tiles loaded once for both
/// products.
template <class T, int Width>
struct TensorCoreGradientEngine : TensorCorePart {
  using Element = T;
  using Real = float;
  /// From 8.0 on narrow head dims are flash's.
  static constexpr Compiled kCompiled = Width == 64 ? Compiled::before_8_0 : Compiled::from_8_0;
  static constexpr InOrder kInOrder = InOrder::never;
  static constexpr int kBlocks = 2;  ///< on a multiprocessor: with more, registers don't suffice
  static constexpr int kTileRows = 64;
  static constexpr int kTileColumns = 32;
  static constexpr int kWidth = Width;
  static constexpr int kColumns = kTileColumns / 4;  ///< columns of one thread, of scores
  static constexpr int kOutColumns = Width / 4;      ///< its columns of gradients

  using Scores = Real[kRows][kColumns];     ///< a thread's part of a tile of scores
  using Output = Real[kRows][kOutColumns];  ///< a thread's part of a gradient

  /// Both sides of a product of dots.
  struct Tiles {
    HalfTile<T, kTileRows, Width> rows;
    HalfTile<T, kTileColumns, Width> columns;
  };
  /// Shared memory.
  struct Shared {
    Tiles tiles[2];  ///< by `Factor`
    ScalarTile<Real, kTileRows, kTileColumns> staged;
  };
  /// A tile where scores are looked at one by one.
  static __device__ auto& staged(Shared& shared) { return shared.staged; }

  /// rS = A B^T for the rows that `a_row` and `b_row` point to; whether all of B is finite. The
  /// product of keys comes first. `a_there`: A's tile is that of the call before, and whole.
  template <class ARow, class BRow>
  static __device__ Values dot_products(Scores& rS, Shared& shared, Factor factor, ARow a_row,
                                        const RowLayout& a_layout, BRow b_row,
                                        const RowLayout& b_layout, bool a_there, bool = false,
                                        Columns = Columns::of_dots_and_sums) {
    Tiles& tiles = shared.tiles[static_cast<int>(factor)];
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kColumns; ++c) rS[r][c] = 0;
    a_there = a_there && a_layout.columns <= Width;
    int met = 0;
    for (std::int64_t d = 0; d < a_layout.columns; d += Width) {
      // The tiles before are done with; those of values were before keys were loaded.
      if (factor == Factor::keys || d > 0) __syncthreads();
      if (!a_there) load_tile<kThreads>(tiles.rows, a_row, d, a_layout);
      met |= __syncthreads_or(load_tile<kThreads>(tiles.columns, b_row, d, b_layout));
      add_dot_products(rS, tiles.rows, tiles.columns, T{});
    }
    return met ? Values::any : Values::finite;
  }

  /// rO += rP B for columns `column` and following of the rows that `b_row` points to, of which
  /// `dot_products` said `values`.
  template <class BRow>
  static __device__ void add_weighted(Output& rO, const Scores& rP, Shared& shared, Factor factor,
                                      Values values, BRow b_row, const RowLayout& layout,
                                      std::int64_t column) {
    auto& sB = shared.tiles[static_cast<int>(factor)].columns;
    if (layout.columns > Width) {
      __syncthreads();
      const bool met = load_tile<kThreads>(sB, b_row, column, layout);
      values = __syncthreads_or(met) ? Values::any : Values::finite;
    }
    if (values == Values::finite) {
      add_products(rO, rP, sB, T{});
    } else {
      add_selected(rO, rP, shared.staged, sB);
    }
  }
};

}  // namespace attend::cuda
