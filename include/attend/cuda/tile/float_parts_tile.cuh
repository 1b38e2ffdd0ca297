#pragma once

#include <cstdint>

#include "async_copy.cuh"
#include "float_tile.cuh"
#include "key_order.cuh"
#include "rows.cuh"

/// @file
/// Keys and values in shared memory as products of warpgroups take floats: in two parts, and with
/// the numbers that a product sums over next to each other, as it knows no other order of 32-bit
/// elements. So values are transposed. They are brought there by way of registers: what is loaded
/// while the place is still in use is written as soon as it is not.

namespace attend::cuda {

/// One piece of a row in its two parts.
__device__ inline void write_parts(Piece<float>& big, Piece<float>& small, const Piece<float>& x) {
  FloatParts<4> parts;
#pragma unroll
  for (int n = 0; n < 4; ++n) parts.split(n, x.at[n]);
#pragma unroll
  for (int n = 0; n < 4; ++n) {
    big.at[n] = __uint_as_float(parts.big[n]);
    small.at[n] = __uint_as_float(parts.small[n]);
  }
}

/// Keys, in the order of scores' columns (`key_in_row`).
template <int Keys, int Width>
struct KeyParts {
  FloatTile<Keys, Width> big, small;

  /// What one of `Threads` threads brings: fours of pieces, one below the other.
  template <int Threads>
  struct Share {
    static constexpr int kRowsAtOnce = Threads / (Width / 4);
    static constexpr int kFours = Keys / kRowsAtOnce / 4;
    static_assert(Threads % (Width / 4) == 0 && kRowsAtOnce * kFours * 4 == Keys);
    int row, piece;  ///< the first of them

    __device__ explicit Share(int thread) : row(thread / (Width / 4)), piece(thread % (Width / 4)) {}
    /// The column of the keys where all of them begin.
    __device__ int column() const { return 4 * piece; }
    /// Of the n-th four, the key that the i-th one is part of.
    __device__ int key(int n, int i) const { return key_in_row(row + (4 * n + i) * kRowsAtOnce); }
    /// Writes the n-th four.
    __device__ void write(KeyParts& to, int n, const Piece<float> (&four)[4]) const {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int at = row + (4 * n + i) * kRowsAtOnce;
        write_parts(to.big.piece(at, piece), to.small.piece(at, piece), four[i]);
      }
    }
  };
};

/// Values, a row for each column of them. As a left operand has the score of column 2t of each
/// eight in column t and that of 2t + 1 in column t + 4, so have these: of sixteen keys piece
/// 2h + x of a row is of keys 2h + x, 2h + x + 4, + 8 and + 12. And rows are in an order that gives
/// a thread four neighbouring columns of each sixteen: what is in row r of these is column
/// `key_in_row(r)`.
template <int Keys, int Width>
struct ValueParts {
  FloatTile<Width, Keys> big, small;

  /// What one of `Threads` threads brings: fours of pieces, of four keys each. Of eight threads
  /// that write at once no two write to the same banks.
  template <int Threads>
  struct Share {
    static constexpr int kSixteens = Width / 16;                // of columns
    static constexpr int kEightsAtOnce = Threads / 8 / kSixteens;  // of keys
    static constexpr int kFours = Keys / 8 / kEightsAtOnce;
    static_assert(kEightsAtOnce * kSixteens * 8 == Threads && kFours * kEightsAtOnce * 8 == Keys);
    int quarter, parity, sixteen, eight;

    __device__ explicit Share(int thread)
        : quarter(thread % 4),
          parity(thread / 4 % 2),
          sixteen(thread / 8 % kSixteens),
          eight(thread / 8 / kSixteens) {}
    /// The column of the values where all pieces begin.
    __device__ int column() const { return 16 * sixteen + 4 * quarter; }
    /// Of the n-th four, the key that the i-th one is part of.
    __device__ int key(int n, int i) const {
      const int at = eight + n * kEightsAtOnce;
      return at / 2 * 16 + at % 2 * 2 + parity + 4 * i;
    }
    /// Writes the n-th four.
    __device__ void write(ValueParts& to, int n, const Piece<float> (&four)[4]) const {
      const int piece = 2 * (eight + n * kEightsAtOnce) + parity;
#pragma unroll
      for (int x = 0; x < 4; ++x) {
        const int row = 16 * sixteen + x / 2 * 8 + 2 * quarter + x % 2;
        write_parts(to.big.piece(row, piece), to.small.piece(row, piece),
                    {four[0].at[x], four[1].at[x], four[2].at[x], four[3].at[x]});
      }
    }
  };
};

/// Fills a tile of parts with rows, of which `rows.exists(n)` says whether there is an n-th and
/// `rows.address(n)` where it begins; what lies outside is 0. `Threads` threads do it, of which
/// this one is the `number`-th. Until `wait()` returns the tile is in use.
template <int Threads, class Parts, class RowsOf, class Wait>
__device__ void bring_parts(Parts& to, const RowsOf& rows, const RowLayout& layout, int number,
                            Wait wait) {
  using Share = typename Parts::template Share<Threads>;
  const Share share(opaque(number));
  const int column = share.column();
  if (layout.access >= Access::quads) {
    Piece<float> pieces[Share::kFours][4];
#pragma unroll
    for (int n = 0; n < Share::kFours; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = share.key(n, i);
        pieces[n][i] = {};
        if (column < layout.columns && rows.exists(key))
          pieces[n][i] = *reinterpret_cast<const Piece<float>*>(rows.address(key) + column);
      }
    wait();
#pragma unroll
    for (int n = 0; n < Share::kFours; ++n) share.write(to, n, pieces[n]);
  } else {
    wait();
#pragma unroll 1
    for (int n = 0; n < Share::kFours; ++n) {
      Piece<float> four[4];
      for (int i = 0; i < 4; ++i) {
        const int key = share.key(n, i);
        four[i] = gathered(rows.exists(key) ? rows.address(key) : nullptr, column, layout);
      }
      share.write(to, n, four);
    }
  }
}

}  // namespace attend::cuda
