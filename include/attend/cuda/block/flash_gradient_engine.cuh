#pragma once

#include <cstdint>

#include "../arch/convert.cuh"
#include "../tile/excluded.cuh"
#include "../tile/fours.cuh"
#include "../tile/fragments.cuh"
#include "../tile/half_tile.cuh"
#include "../tile/rotate.cuh"
#include "flash_gradient_tiling.hpp"
#include "tensor_core_product.cuh"

/// @file
/// The products of the flash kernels' backward pass: a warp's rows of a block's own tile against a
/// tile that came to it. Scores, their gradients and sums are in registers.

namespace attend::cuda {

/// The engine of `HeadDim`'s tiling.
template <class T, int HeadDim, FlashGradient kind>
struct FlashGradientEngine {
  using Element = T;
  using Real = float;
  static constexpr FlashGradientTiling kTiling = flash_gradient_tiling(HeadDim, HeadDim, kind);
  static constexpr int kThreads = kTiling.warps() * kWarp;
  static constexpr int kTileRows = kTiling.rows();
  static constexpr int kTileColumns = kTiling.columns;
  static constexpr int kWidth = HeadDim;
  static constexpr int kRows = kTiling.warp_rows / 8;  ///< rows of one thread
  static constexpr int kColumns = kTileColumns / 4;    ///< its columns of scores
  static constexpr int kOutColumns = kWidth / 4;       ///< its columns of gradients
  static constexpr int kBands = kRows / 2;             ///< 16 rows each: those of a product
  static constexpr int kSteps = kWidth / 16;           ///< products along the head dim
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
  /// The n-th column of this thread, of gradients.
  static __device__ int out_column(int n) { return column(n); }

  /// rS = A B^T.
  static __device__ void dot_products(Scores& rS, const Own& sA, const Tile& sB) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) rS[r][c] = 0;
    const LeftOperand<Own> left(sA, first_row());
    const TransposedOperand<Tile> right(sB);
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      std::uint32_t a[kBands][4];
#pragma unroll
      for (int m = 0; m < kBands; ++m) left.read(a[m], k, 16 * m);
#pragma unroll
      for (int n = 0; n < kTileColumns / 16; ++n) {
        std::uint32_t b[4];
        right.read(b, n, k);
        add_products(rS, 4 * n, a, b);
      }
    }
  }

  /// rO += rP B. A thread's weights are the fragment of the left operand.
  static __device__ void add_weighted(Output& rO, const Scores& rP, const Tile& sB) {
    const RightOperand<Tile> right(sB);
#pragma unroll
    for (int k = 0; k < kTileColumns / 16; ++k) {
      std::uint32_t a[kBands][4];
#pragma unroll
      for (int m = 0; m < kBands; ++m)
#pragma unroll
        for (int x = 0; x < 4; ++x) {
          const int r = 2 * m + x % 2, c = 4 * k + x / 2 * 2;
          a[m][x] = packed(rP[r][c], rP[r][c + 1], T{});
        }
#pragma unroll
      for (int n = 0; n < kSteps; ++n) {
        std::uint32_t b[4];
        right.read(b, n, k);
        add_products(rO, 4 * n, a, b);
      }
    }
  }

  /// The same by multiply-add, leaving excluded pairs out one by one: for rows of B that have
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
            rO[r][c] += p * to_real(sB.octet(from, c / 2).at[2 * t + c % 2]);
        }
  }

 private:
  // The products of all bands with columns 0 to 7 and 8 to 15 of an operand, into the thread's
  // columns c and following.
  template <int Columns>
  static __device__ void add_products(Real (&sum)[kRows][Columns], int c,
                                      const std::uint32_t (&a)[kBands][4],
                                      const std::uint32_t (&b)[4]) {
#pragma unroll
    for (int m = 0; m < kBands; ++m) {
      add_product(sum, c, a[m], {b[0], b[1]}, T{}, 2 * m);
      add_product(sum, c + 2, a[m], {b[2], b[3]}, T{}, 2 * m);
    }
  }
};

}  // namespace attend::cuda
