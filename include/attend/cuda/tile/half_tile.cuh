#pragma once

#include <cstdint>

#include "../arch/convert.cuh"
#include "load_pieces.cuh"
#include "rows.cuh"
#include "swizzled_tile.cuh"

/// @file
/// Matrices of 16-bit elements in shared memory, for products on tensor cores.

namespace attend::cuda {

/// Whether an element is infinite or NaN: its exponent is all ones.
__device__ inline bool not_finite(F16 x) { return (x.bits & 0x7c00) == 0x7c00; }
/// @copydoc not_finite(F16)
__device__ inline bool not_finite(BF16 x) { return (x.bits & 0x7f80) == 0x7f80; }

/// Eight neighbouring elements, moved at once.
template <class T>
using Octet = Piece<T>;

/// A matrix of 16-bit elements in shared memory, in panels of 64 columns (32 where there are no
/// more).
template <class Element, int RowCount, int ColumnCount>
struct HalfTile : SwizzledTile<Element, RowCount, ColumnCount> {
  using T = Element;
  static_assert(sizeof(T) == 2);

  /// Elements 8 c to 8 c + 7 of a row.
  __device__ Octet<T>& octet(int row, int c) { return this->piece(row, c); }
  /// @copydoc octet(int, int)
  __device__ const Octet<T>& octet(int row, int c) const { return this->piece(row, c); }
};

/// Whether this thread, of `Threads`, meets a number in a tile that is not finite. Each looks at
/// its part.
template <int Threads, class T, int Rows, int Columns>
__device__ bool meets_not_finite(const HalfTile<T, Rows, Columns>& tile) {
  return meets<Threads>(tile, [](T x) { return not_finite(x); });
}

/// Fills a tile with columns column, column + 1, ... of the rows that `row_of` points to; what lies
/// outside is 0. Returns whether this thread, of `Threads`, met a number that is not finite.
template <int Threads, class T, int Rows, int Columns, class RowOf>
__device__ bool load_tile(HalfTile<T, Rows, Columns>& tile, RowOf row_of, std::int64_t column,
                          const RowLayout& layout) {
  return load_pieces<Threads>(tile, row_of, column, layout, [](T x) { return not_finite(x); });
}

}  // namespace attend::cuda
