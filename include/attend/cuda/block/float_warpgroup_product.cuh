#pragma once

#include <cstdint>

#include "../arch/warp.cuh"
#include "../arch/wgmma.cuh"
#include "../tile/excluded.cuh"
#include "../tile/float_parts_tile.cuh"
#include "../tile/fragments.cuh"
#include "../tile/rotate.cuh"
#include "warpgroup_product.cuh"

/// @file
/// Products of tiles of floats by warpgroups, of parts as in float_product.cuh, whose rows and
/// columns of a thread they share. Right operands are split once for all rows of a block, by who
/// brings them; left ones, which are registers, by the warps whose they are.
///
/// What limits them is the tensor cores' time: a product of 64 x 64 x 8 takes 32 cycles of a
/// multiprocessor, and of its shared memory, for 2 KiB, half as many.

namespace attend::cuda {

/// The products of a warpgroup, of which each warp has 16 rows.
struct FloatWarpgroupProduct {
  static constexpr int kRows = 2;  ///< of one thread

  /// rS += A B^T, of A's rows `first_row` (of the warp) and following. NaN where an operand is
  /// infinite or NaN.
  template <class TileA, class Parts>
  static __device__ void add_dot_products(float (&rS)[kRows][Parts::kRows / 4], const TileA& sA,
                                          int first_row, const Parts& sB) {
    const LeftOperand<TileA> left(sA, first_row);
    const RightOperands<typename Parts::Tile> right(sB);
#pragma unroll
    for (int k = 0; k < TileA::kColumns / 8; k += kSteps) {
      Left a;
#pragma unroll
      for (int step = 0; step < kSteps; ++step) {
        std::uint32_t four[4];
        left.read(four, k + step);
#pragma unroll
        for (int x = 0; x < 4; ++x) a.at[step].split(x, four[x]);
      }
      add_product<Parts::kRows>(rS, 0, a, right, k);
    }
  }

  /// rO += P B, where B lies transposed. NaN where an operand is infinite or NaN.
  template <int OutColumns, class Parts>
  static __device__ void add_products(float (&rO)[kRows][OutColumns],
                                      const float (&rP)[kRows][Parts::kRows / 4], const Parts& sB) {
    const RightOperands<typename Parts::Tile> right(sB);
#pragma unroll
    for (int k = 0; k < Parts::kRows / 8; k += kSteps) {
      Left a;
#pragma unroll
      for (int step = 0; step < kSteps; ++step)
#pragma unroll
        for (int x = 0; x < 4; ++x) a.at[step].split(x, rP[x % 2][2 * (k + step) + x / 2]);
#pragma unroll
      for (int column = 0; column < 4 * OutColumns; column += 64)
        add_product<64>(rO, column, a, right, k);
    }
  }

  /// rO += P B by multiply-add, leaving out excluded pairs (`kExcluded`) one by one, where B lies
  /// transposed.
  template <int OutColumns, class Parts>
  static __device__ void add_selected(float (&rO)[kRows][OutColumns],
                                      const float (&weights)[kRows][Parts::kRows / 4],
                                      const Parts& sB) {
    constexpr int kColumns = Parts::kRows / 4;
    float rP[kRows][kColumns];
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) rP[r][c] = weights[r][c];
    const int own = opaque(lane()) % 4;
#pragma unroll 1
    for (int c = 0; c < kColumns; ++c) {
#pragma unroll 1
      for (int t = 0; t < 4; ++t) {
        const int column = Parts::column_of(c / 2 * 8 + 2 * t + c % 2);
        float p[kRows];
#pragma unroll
        for (int r = 0; r < kRows; ++r) p[r] = __shfl_sync(kAllLanes, rP[r][0], lane() - own + t);
#pragma unroll
        for (int n = 0; n < OutColumns; ++n) {
          const int row = n / 4 * 16 + Parts::row_of(own, n % 4);
          const float value = sB.big.at(row, column) + sB.small.at(row, column);
#pragma unroll
          for (int r = 0; r < kRows; ++r)
            if (!is_excluded(p[r])) rO[r][n] += p[r] * value;
        }
      }
      rotate(rP);
    }
  }

 private:
  /// Products one after the other, of eight elements of sums each, that tensor cores add up.
  static constexpr int kSteps = 2;

  /// Left operands of those.
  struct Left {
    FloatParts<4> at[kSteps];
  };
  /// Right ones: rows of a tile, along which products go.
  template <class Tile>
  struct RightOperands {
    WarpgroupOperand<Tile> big, small;
    template <class Parts>
    __device__ explicit RightOperands(const Parts& parts) : big(parts.big), small(parts.small) {}
  };

  // Adds products with the k-th and following eight columns of `Count` of the tile's rows, from
  // `first` on, which are columns of `to`.
  template <int Count, int Columns, class Tile>
  static __device__ void add_product(float (&to)[kRows][Columns], int first, const Left& a,
                                     const RightOperands<Tile>& right, int k) {
    static_assert(Count == 32 || Count == 64);
    float sum[kRows][Count / 4];
    const auto multiply = [&](auto part, const WarpgroupOperand<Tile>& with, bool adds) {
#pragma unroll
      for (int step = 0; step < kSteps; ++step) {
        const std::uint64_t b = with.descriptor + product_columns<Tile>(k + step) +
                                static_cast<std::uint64_t>(first) * Tile::kRowBytes / 16;
        if constexpr (Count == 32)
          wgmma_m64n32k8(sum[0], sum[1], a.at[step].*part, b, adds || step > 0);
        if constexpr (Count == 64)
          wgmma_m64n64k8(sum[0], sum[1], a.at[step].*part, b, adds || step > 0);
      }
    };
    wgmma_fence();
    multiply(&FloatParts<4>::small, right.big, false);
    multiply(&FloatParts<4>::big, right.small, true);
    multiply(&FloatParts<4>::big, right.big, true);
    wgmma_commit_group();
    wait_for_products<0>(sum);
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < Count / 4; ++c) to[r][first / 4 + c] += sum[r][c];
  }
};

}  // namespace attend::cuda
