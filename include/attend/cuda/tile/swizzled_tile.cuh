#pragma once

#include <cstdint>

/// @file
/// Matrices in shared memory whose rows are pieces of 16 bytes.

namespace attend::cuda {

/// Neighbouring elements that are moved at once: 16 bytes.
template <class T>
struct alignas(16) Piece {
  static constexpr int kCount = 16 / static_cast<int>(sizeof(T));
  T at[kCount];  ///< in memory's order
};

/// A matrix of rows of pieces in shared memory, in panels of 128 bytes of a row, one after the
/// other (64 where rows have no more). Piece c of a row of a panel lies at place c ^ flip(row), so
/// that the same piece of eight rows below each other lies in eight different groups of banks.
/// (This is what wgmma knows as the 128-byte or the 64-byte swizzle, where a panel begins at a
/// multiple of 1024 or 512 bytes.) It is aligned so that the swizzle can flip bits of addresses.
template <class Element, int RowCount, int ColumnCount>
struct alignas(128) SwizzledTile {
  using T = Element;
  static constexpr int kRows = RowCount;
  static constexpr int kColumns = ColumnCount;
  static constexpr int kInPiece = Piece<T>::kCount;  ///< elements
  static constexpr int kPieces = kColumns / kInPiece;
  static constexpr int kPanelPieces = kPieces < 8 ? 4 : 8;       ///< of a row of a panel
  static constexpr std::uint32_t kRowBytes = kPanelPieces * 16;  ///< of a row of a panel
  static constexpr std::uint32_t kPanelBytes = kRows * kRowBytes;
  static_assert(kPieces % kPanelPieces == 0, "the swizzle permutes a panel's pieces");

  Piece<T> pieces[kRows * kPieces];

  /// Which bits of a piece's number its row flips: those of its line of 128 bytes, of eight.
  static constexpr __device__ int flip(int row) { return row * kPanelPieces / 8 % kPanelPieces; }

  /// The c-th piece of a row.
  __device__ Piece<T>& piece(int row, int c) { return pieces[place(row, c)]; }
  /// @copydoc piece(int, int)
  __device__ const Piece<T>& piece(int row, int c) const { return pieces[place(row, c)]; }
  /// One element.
  __device__ T& at(int row, int column) {
    return piece(row, column / kInPiece).at[column % kInPiece];
  }
  /// @copydoc at(int, int)
  __device__ const T& at(int row, int column) const {
    return piece(row, column / kInPiece).at[column % kInPiece];
  }

 private:
  static __device__ int place(int row, int c) {
    return (c / kPanelPieces * kRows + row) * kPanelPieces + (c ^ flip(row)) % kPanelPieces;
  }
};

}  // namespace attend::cuda
