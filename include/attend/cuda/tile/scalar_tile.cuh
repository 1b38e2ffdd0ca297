#pragma once

#include <cstdint>

#include "../arch/convert.cuh"
#include "rows.cuh"

/// @file
/// Matrices of numbers in shared memory, for products by multiply-add.

namespace attend::cuda {

/// Four neighbouring numbers, moved at once.
template <class Real>
struct alignas(16) Quad {
  Real at[4];  ///< in memory's order
};

/// A Rows x Columns matrix in shared memory. Rows are four numbers longer than need be: the quads
/// of eight rows below each other then lie in different banks.
template <class RealType, int RowCount, int ColumnCount>
struct alignas(16) ScalarTile {
  using Real = RealType;
  static constexpr int kRows = RowCount;
  static constexpr int kColumns = ColumnCount;
  static constexpr int kStride = kColumns + 4;
  static_assert(kColumns % 4 == 0);

  Real element[kRows * kStride];

  /// One number.
  __device__ Real& at(int row, int column) { return element[row * kStride + column]; }
  /// The numbers at columns column to column + 3, a multiple of four.
  __device__ const Quad<Real>& quad(int row, int column) const {
    return reinterpret_cast<const Quad<Real>&>(element[row * kStride + column]);
  }
};

/// Whether a number is infinite or NaN.
template <class Real>
__device__ inline bool not_finite(Real x) {
  return !(x - x == 0);
}

/// Fills a tile with columns column, column + 1, ... of the rows that `row_of` points to; what lies
/// outside is 0. Returns whether this thread, of `Threads`, met a number that is not finite.
template <int Threads, class Real, int Rows, int Columns, class RowOf>
__device__ bool load_tile(ScalarTile<Real, Rows, Columns>& tile, RowOf row_of, std::int64_t column,
                          const RowLayout& layout) {
  bool met = false;
  for (int n = static_cast<int>(threadIdx.x); n < Rows * Columns; n += Threads) {
    const auto* const begin = row_of(n / Columns);
    const std::int64_t from = column + n % Columns;
    Real x = 0;
    if (begin != nullptr && from < layout.columns) x = to_real(begin[from * layout.stride]);
    met = met || not_finite(x);
    tile.at(n / Columns, n % Columns) = x;
  }
  return met;
}

}  // namespace attend::cuda
