#pragma once

#include <cstdint>

#include "../arch/convert.cuh"

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

/// Fills a tile with columns column, column + 1, ... of rows that `row_of(n)` points to the begin
/// of (null: no such row); what lies outside `columns` columns is 0. Returns whether this thread,
/// of `Threads`, met a number that is not finite.
template <int Threads, class Tile, class RowOf>
__device__ bool load_tile(Tile& tile, RowOf row_of, std::int64_t column, std::int64_t columns,
                          std::int64_t stride) {
  bool met = false;
  for (int n = static_cast<int>(threadIdx.x); n < Tile::kRows * Tile::kColumns; n += Threads) {
    const int row = n / Tile::kColumns;
    const int c = n % Tile::kColumns;
    const auto* const begin = row_of(row);
    typename Tile::Real x = 0;
    if (begin != nullptr && column + c < columns) x = to_real(begin[(column + c) * stride]);
    met = met || not_finite(x);
    tile.at(row, c) = x;
  }
  return met;
}

}  // namespace attend::cuda
