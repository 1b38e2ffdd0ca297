#pragma once

#include <cstdint>

#include "../arch/opaque.cuh"
#include "../arch/shared_memory.cuh"
#include "../arch/warp.cuh"
#include "load_pieces.cuh"
#include "rows.cuh"
#include "swizzled_tile.cuh"

/// @file
/// Matrices of floats in shared memory, for products on tensor cores, which take floats in two
/// parts of 11 significant bits each (Ootomo, Yokota, "Recovering single precision accuracy from
/// Tensor Cores while surpassing the FP32 theoretical peak performance", 2022).

namespace attend::cuda {

/// A matrix of floats in shared memory, in panels of 32 columns.
template <int RowCount, int ColumnCount>
struct FloatTile : SwizzledTile<float, RowCount, ColumnCount> {};

/// Floats as operands of products: each is `big` + `small` but for the last of its 24 bits.
template <int Count>
struct FloatParts {
  std::uint32_t big[Count];    ///< rounded to 11 bits, halves away from zero
  std::uint32_t small[Count];  ///< the rest, of which products see 11 bits

  /// Of the n-th.
  __device__ void split(int n, float x) {
    big[n] = (__float_as_uint(x) + 0x1000) & 0xffffe000;
    small[n] = __float_as_uint(x - __uint_as_float(big[n]));
  }
  /// Of the n-th, given as bits.
  __device__ void split(int n, std::uint32_t x) { split(n, __uint_as_float(x)); }
};

/// Whether the parts of x are finite. If not, x is infinite or NaN, or would be rounded to
/// infinity; `small` is NaN or the opposite infinity, and NaN is what products of both parts add up
/// to.
__device__ inline bool has_parts(float x) { return (__float_as_uint(x) & 0x7fffffff) < 0x7f7ff000; }

/// Whether this thread, of `Threads`, meets a number in a tile that has no parts. Each looks at its
/// own.
template <int Threads, int Rows, int Columns>
__device__ bool meets_not_finite(const FloatTile<Rows, Columns>& tile) {
  return meets<Threads>(tile, [](float x) { return !has_parts(x); });
}

/// Whether x is NaN, or so great that its parts' products, or a sum of them, may overflow where
/// sums of products of floats don't.
__device__ inline bool is_great(float x) { return !(fabsf(x) < 0x1p60f); }

/// Fills a tile with the rows that `row_of` points to; what lies outside is 0. Returns whether this
/// thread, of `Threads`, met a great number.
template <int Threads, int Rows, int Columns, class RowOf>
__device__ bool load_tile(FloatTile<Rows, Columns>& tile, RowOf row_of, const RowLayout& layout) {
  return load_pieces<Threads>(tile, row_of, 0, layout, [](float x) { return is_great(x); });
}

/// The right operand of a product whose left one has key 2t in column t and key 2t + 1 in column
/// t + 4 (outputs: values are rows): for keys 8k to 8k + 7, four columns of results in two products
/// of 16 x 8 x 8. Result column g of the n-th of those is column 2g + n of the 16.
template <class Tile>
struct FloatRightOperand {
  std::uint32_t even, odd;  ///< where lanes read keys 2t, 2t + 1

  __device__ explicit FloatRightOperand(const Tile& tile)
      : even(opaque(address(tile, 2 * (lane() % 4)))),
        odd(opaque(address(tile, 2 * (lane() % 4) + 1))) {}

  /// Of columns 16n and following: b[i][x] is register x of the i-th product.
  __device__ void read(float (&b)[2][2], int n, int k) const {
    const std::uint32_t flip = static_cast<std::uint32_t>(n) % 2 * 64;
    const std::uint32_t further = static_cast<std::uint32_t>(n) / 2 * Tile::kPanelBytes +
                                  static_cast<std::uint32_t>(k) * 8 * Tile::kRowBytes;
    const float2 low = ld_shared_v2((even ^ flip) + further);
    const float2 high = ld_shared_v2((odd ^ flip) + further);
    b[0][0] = low.x, b[1][0] = low.y;
    b[0][1] = high.x, b[1][1] = high.y;
  }

 private:
  static __device__ std::uint32_t address(const Tile& tile, int row) {
    const int g = lane() / 4;
    return shared_address(&tile) + static_cast<std::uint32_t>(row) * Tile::kRowBytes +
           static_cast<std::uint32_t>(g / 2 ^ row) * 16 + static_cast<std::uint32_t>(g) % 2 * 8;
  }
};

}  // namespace attend::cuda
