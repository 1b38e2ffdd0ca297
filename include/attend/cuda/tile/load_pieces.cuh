#pragma once

#include <cstdint>

#include "rows.cuh"
#include "swizzled_tile.cuh"

/// @file
/// Filling swizzled tiles by loads, and looking through them.

namespace attend::cuda {

/// Whether this thread, of `Threads`, meets an element in a tile that is sought. Each looks at its
/// part.
template <int Threads, class T, int Rows, int Columns, class IsSought>
__device__ bool meets(const SwizzledTile<T, Rows, Columns>& tile, IsSought is_sought) {
  using Tile = SwizzledTile<T, Rows, Columns>;
  bool met = false;
#pragma unroll 1
  for (int n = static_cast<int>(threadIdx.x); n < Rows * Tile::kPieces; n += Threads)
    for (int x = 0; x < Tile::kInPiece; ++x) met = met || is_sought(tile.pieces[n].at[x]);
  return met;
}

/// Fills a tile with columns column, column + 1, ... of the rows that `row_of` points to; what lies
/// outside is 0. Returns whether this thread, of `Threads`, met an element that is sought.
template <int Threads, class T, int Rows, int Columns, class RowOf, class IsSought>
__device__ bool load_pieces(SwizzledTile<T, Rows, Columns>& tile, RowOf row_of, std::int64_t column,
                            const RowLayout& layout, IsSought is_sought) {
  constexpr int kInPiece = Piece<T>::kCount, kPieces = Columns / kInPiece;
  bool met = false;
#pragma unroll 2
  for (int n = static_cast<int>(threadIdx.x); n < Rows * kPieces; n += Threads) {
    const T* const begin = row_of(n / kPieces);
    const std::int64_t from = column + n % kPieces * kInPiece;
    Piece<T> piece{};
    if (begin != nullptr && from < layout.columns) {
      if (static_cast<int>(layout.access) >= kInPiece) {
        piece = *reinterpret_cast<const Piece<T>*>(begin + from);
      } else {
        for (int x = 0; x < kInPiece; ++x)
          if (from + x < layout.columns) piece.at[x] = begin[(from + x) * layout.stride];
      }
    }
    for (int x = 0; x < kInPiece; ++x) met = met || is_sought(piece.at[x]);
    tile.piece(n / kPieces, n % kPieces) = piece;
  }
  return met;
}

}  // namespace attend::cuda
