#pragma once

#include <cstdint>

#include "../arch/convert.cuh"
#include "../arch/opaque.cuh"
#include "../arch/warp.cuh"
#include "../tile/excluded.cuh"
#include "../tile/fours.cuh"
#include "../tile/half_tile.cuh"
#include "../tile/rotate.cuh"
#include "flash_gradient_tiling.hpp"

/// @file
/// What the engines of the flash kernels' backward pass have in common: which rows and columns of
/// scores and gradients a thread holds, in registers.

namespace attend::cuda {

/// The fragments of `HeadDim`'s tiling.
template <class T, int HeadDim, FlashGradient kind, FlashScores scores, ProductUnit unit>
struct FlashGradientFragments {
  using Element = T;
  using Real = float;
  static constexpr FlashGradientTiling kTiling =
      flash_gradient_tiling(HeadDim, HeadDim, kind, scores, unit);
  static constexpr int kThreads = kTiling.warps() * kWarp;
  static constexpr int kTileRows = kTiling.rows();
  static constexpr int kTileColumns = kTiling.columns;
  static constexpr int kWidth = HeadDim;
  static constexpr int kRows = kTiling.warp_rows / 8;  ///< rows of one thread
  static constexpr int kColumns = kTileColumns / 4;    ///< its columns of scores
  /// Whether groups divide the columns of gradients among them.
  static constexpr bool kDividesColumns = unit == ProductUnit::warpgroup && kTiling.groups > 1;
  static constexpr int kOutWidth = kDividesColumns ? kWidth / kTiling.groups : kWidth;
  static constexpr int kOutColumns = kOutWidth / 4;  ///< its columns of gradients
  static constexpr int kBands = kRows / 2;           ///< 16 rows each: those of a product
  static constexpr int kSteps = kWidth / 16;         ///< products along the head dim
  static constexpr bool kOutPairs = true;            ///< neighbours, columns 2n and 2n + 1
  static constexpr Fours kRowFours = kFragmentRowFours, kColumnFours = kFragmentColumnFours;

  using Own = HalfTile<T, kTileRows, kWidth>;      ///< the block's own rows
  using Tile = HalfTile<T, kTileColumns, kWidth>;  ///< those that come to it
  using Scores = Real[kRows][kColumns];            ///< a thread's part of a tile of scores
  using Output = Real[kRows][kOutColumns];         ///< a thread's part of a gradient

  /// The group of this thread's warp.
  static __device__ int group() {
    return static_cast<int>(threadIdx.x) / (kTiling.row_warps * kWarp);
  }
  /// This thread's warp, of those that divide the rows among them.
  static __device__ int row_warp() {
    return static_cast<int>(threadIdx.x) / kWarp % kTiling.row_warps;
  }
  /// The first row of this thread's warp.
  static __device__ int first_row() { return row_warp() * kTiling.warp_rows; }
  /// The n-th row of this thread.
  static __device__ int row(int n) { return first_row() + lane() / 4 + 8 * n; }
  /// The n-th column of this thread, of scores.
  static __device__ int column(int n) { return n / 2 * 8 + lane() % 4 * 2 + n % 2; }
  /// The first column of this thread's group, of gradients.
  static __device__ int first_out_column() { return kDividesColumns ? group() * kOutWidth : 0; }
  /// The n-th column of this thread, of gradients.
  static __device__ int out_column(int n) { return first_out_column() + column(n); }

  /// rO += rP B by multiply-add, leaving excluded pairs out one by one: for rows of B that have
  /// numbers that are not finite. Weights come to their rows' lanes in turn.
  static __device__ void add_selected(Output& rO, Scores& rP, const Tile& sB) {
    const int t = opaque(lane()) % 4;
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll 1
      for (int n = 0; n < kColumns; ++n, rotate(rP))
#pragma unroll 1
        for (int source = 0; source < 4; ++source) {
          const Real p = __shfl_sync(kAllLanes, rP[0][0], lane() / 4 * 4 + source);
          if (is_excluded(p)) continue;
          const int from = n / 2 * 8 + source * 2 + n % 2;
#pragma unroll
          for (int c = 0; c < kOutColumns; ++c)
            rO[r][c] +=
                p * to_real(sB.octet(from, first_out_column() / 8 + c / 2).at[2 * t + c % 2]);
        }
  }
};

}  // namespace attend::cuda
