#pragma once

#include <cstdint>

#include "../arch/ld_global.cuh"
#include "async_copy.cuh"
#include "float_tile.cuh"
#include "key_order.cuh"
#include "rows.cuh"

/// @file
/// Matrices in shared memory as products of warpgroups take floats: in two parts, and with the
/// numbers that a product sums over next to each other, as it knows no other order of 32-bit
/// elements. So the right operand of a weighted sum is transposed. They are brought there by way of
/// registers: what is loaded while the place is still in use is written as soon as it is not. They
/// begin where `wgmma`'s swizzle does.

namespace attend::cuda {

/// Rows as they are: the order of a matrix' rows in a tile.
struct PlainOrder {
  /// Which row of the matrix is the n-th of the tile.
  static constexpr __device__ int row(int n) { return n; }
};
/// Rows in the order of the columns of scores (`key_in_row`).
struct ScoreOrder {
  /// @copydoc PlainOrder::row
  static constexpr __device__ int row(int n) { return key_in_row(n); }
};

/// What becomes of numbers that have no two finite parts.
enum class WithoutParts {
  nan,    ///< of products of both parts comes NaN (`has_parts`)
  whole,  ///< the big part is the number, and the small one 0
};

/// One piece of a row in its two parts.
template <WithoutParts without>
__device__ inline void write_parts(Piece<float>& big, Piece<float>& small, const Piece<float>& x) {
#pragma unroll
  for (int n = 0; n < 4; ++n) {
    FloatParts<1> parts;
    parts.split(0, x.at[n]);
    const bool whole = without == WithoutParts::whole && !has_parts(x.at[n]);
    big.at[n] = whole ? x.at[n] : __uint_as_float(parts.big[0]);
    small.at[n] = whole ? 0 : __uint_as_float(parts.small[0]);
  }
}

/// A matrix whose rows are columns of a product: scores' keys.
template <int RowCount, int Width, class Order>
struct alignas(1024) RowParts {
  using Tile = FloatTile<RowCount, Width>;
  static constexpr int kRows = RowCount;
  Tile big, small;

  /// An element.
  __device__ float at(int row, int column) const {
    return big.at(row, column) + small.at(row, column);
  }

  /// What one of `Threads` threads brings: fours of pieces, one below the other.
  template <int Threads>
  struct Share {
    static constexpr int kRowsAtOnce = Threads / (Width / 4);
    static constexpr int kFours = RowCount / kRowsAtOnce / 4;
    static_assert(Threads % (Width / 4) == 0 && kRowsAtOnce * kFours * 4 == RowCount);
    int first, piece;  ///< place of the first of them

    __device__ explicit Share(int thread)
        : first(thread / (Width / 4)), piece(thread % (Width / 4)) {}
    /// The column where all of them begin.
    __device__ int column() const { return 4 * piece; }
    /// Of the n-th four, the row that the i-th one is part of.
    __device__ int row(int n, int i) const { return Order::row(first + (4 * n + i) * kRowsAtOnce); }
    /// Writes the n-th four.
    template <WithoutParts without>
    __device__ void write(RowParts& to, int n, const Piece<float> (&four)[4]) const {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int at = first + (4 * n + i) * kRowsAtOnce;
        write_parts<without>(to.big.piece(at, piece), to.small.piece(at, piece), four[i]);
      }
    }
  };
};

/// A matrix whose rows are summed over, transposed: outputs' values. As a left operand has a
/// thread's score in column 2t of each eight in column t and that in 2t + 1 in column t + 4, so has
/// this: of eight of the order's rows piece 0 holds rows 0, 2, 4, 6 and piece 1 rows 1, 3, 5, 7.
/// And columns are in an order that gives a thread four neighbouring ones of each sixteen of the
/// sums: row r of the tile is the matrix' column `key_in_row(r)`.
template <int RowCount, int Width, class Order>
struct alignas(1024) TransposedParts {
  using Tile = FloatTile<Width, RowCount>;
  static constexpr int kRows = RowCount;
  Tile big, small;

  /// Of sixteen columns of the matrix, the row of the tile that is the n-th of the t-th four.
  static constexpr __device__ int row_of(int t, int n) { return n / 2 * 8 + 2 * t + n % 2; }
  /// The order's n-th row's column in the tile.
  static constexpr __device__ int column_of(int n) { return n / 8 * 8 + n % 2 * 4 + n % 8 / 2; }

  /// What one of `Threads` threads brings: fours of pieces, each of four rows of the matrix. Of
  /// eight threads that write at once no two write to the same banks.
  template <int Threads>
  struct Share {
    static constexpr int kSixteens = Width / 16;                   // of columns
    static constexpr int kEightsAtOnce = Threads / 8 / kSixteens;  // of rows
    static constexpr int kFours = RowCount / 8 / kEightsAtOnce;
    static_assert(kEightsAtOnce * kSixteens * 8 == Threads &&
                  kFours * kEightsAtOnce * 8 == RowCount);
    int t, parity, sixteen, eight;

    __device__ explicit Share(int thread)
        : t(thread % 4),
          parity(thread / 4 % 2),
          sixteen(thread / 8 % kSixteens),
          eight(thread / 8 / kSixteens) {}
    /// The column where all pieces begin.
    __device__ int column() const { return 16 * sixteen + 4 * t; }
    /// Of the n-th four, the row that the i-th one is part of.
    __device__ int row(int n, int i) const {
      return Order::row(8 * (eight + n * kEightsAtOnce) + 2 * i + parity);
    }
    /// Writes the n-th four.
    template <WithoutParts without>
    __device__ void write(TransposedParts& to, int n, const Piece<float> (&four)[4]) const {
      const int piece = 2 * (eight + n * kEightsAtOnce) + parity;
#pragma unroll
      for (int x = 0; x < 4; ++x) {
        const int at = 16 * sixteen + row_of(t, x);
        write_parts<without>(to.big.piece(at, piece), to.small.piece(at, piece),
                             {four[0].at[x], four[1].at[x], four[2].at[x], four[3].at[x]});
      }
    }
  };
};

/// Fills a tile of parts with rows, of which `rows.exists(n)` says whether there is an n-th and
/// `rows.address(n)` where it begins, if there is; what lies outside is 0. `Threads` threads do it,
/// of which this one is the `number`-th. Until `wait()` returns the tile is in use. Returns whether
/// this thread met a great number, if such are to be whole.
template <int Threads, WithoutParts without, class Parts, class RowsOf, class Wait>
__device__ bool bring_parts(Parts& to, const RowsOf& rows, const RowLayout& layout, int number,
                            Wait wait) {
  using Share = typename Parts::template Share<Threads>;
  const Share share(opaque(number));
  const int column = share.column();
  bool met = false;
  const auto write = [&](int n, const Piece<float>(&four)[4]) {
    share.template write<WithoutParts::nan>(to, n, four);
    if constexpr (without == WithoutParts::whole) {
      bool great = false;
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int x = 0; x < 4; ++x) great = great || is_great(four[i].at[x]);
      if (great) share.template write<WithoutParts::whole>(to, n, four);
      met = met || great;
    }
  };
  Piece<float> pieces[Share::kFours][4];
  const auto load = [&](auto load_piece) {
#pragma unroll
    for (int n = 0; n < Share::kFours; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) pieces[n][i] = load_piece(share.row(n, i));
  };
  if (layout.access >= Access::quads) {
    load([&](int row) {
      const bool there = rows.exists(row) && column < layout.columns;
      const float4 four = ld_global_v4_or_zero(rows.address(row) + column, there);
      return Piece<float>{four.x, four.y, four.z, four.w};
    });
  } else {
    load([&](int row) {
      return gathered(rows.exists(row) ? rows.address(row) : nullptr, column, layout);
    });
  }
  wait();
#pragma unroll
  for (int n = 0; n < Share::kFours; ++n) write(n, pieces[n]);
  return met;
}

}  // namespace attend::cuda
