#pragma once

#include <cstdint>
#include <type_traits>

#include "../arch/cp_async.cuh"
#include "../arch/opaque.cuh"
#include "../arch/shared_memory.cuh"
#include "rows.cuh"
#include "swizzled_tile.cuh"

/// @file
/// Tiles that are filled while the block does other things.

namespace attend::cuda {

/// A piece of a row from `column` on, its elements one by one; what lies past the end is 0.
template <class T>
__device__ inline Piece<T> gathered(const T* row, int column, const RowLayout& layout) {
  Piece<T> piece{};
  column = opaque(column);
  for (int x = 0; x < Piece<T>::kCount; ++x)
    if (row != nullptr && column + x < layout.columns)
      piece.at[x] = row[(column + x) * layout.stride];
  return piece;
}

/// Begins to fill a tile by copies of `Width` elements. A thread copies a piece of every
/// `RowsAtOnce`-th row, `c`, from row `first` of the tile on, where `rows` begins.
template <int Width, int RowsAtOnce, class T, int Rows, int Columns, class RowsOf>
__device__ void begin_copies(SwizzledTile<T, Rows, Columns>& tile, const RowsOf& rows, int first,
                             int c, std::int64_t columns) {
  static_assert(RowsAtOnce % 8 == 0 || 8 % RowsAtOnce == 0, "the swizzle goes by eight rows");
  constexpr int kInPiece = Piece<T>::kCount;
  const std::uint32_t to = shared_address(&tile.piece(first, c));
#pragma unroll(Width == kInPiece ? Rows / RowsAtOnce : 1)
  for (int n = 0; n < Rows; n += RowsAtOnce)
#pragma unroll
    for (int x = 0; x < kInPiece; x += Width)
      cp_async_or_zero<Width * sizeof(T)>((to ^ static_cast<std::uint32_t>(tile.flip(n) * 16)) +
                                              static_cast<std::uint32_t>(n) * tile.kRowBytes +
                                              static_cast<std::uint32_t>(x) * sizeof(T),
                                          rows.address(n) + kInPiece * c + x,
                                          kInPiece * c + x < columns && rows.exists(n));
}

/// Begins to fill a tile with rows that know of each other: `rows.from(n)` are those from the n-th
/// on, and of these `exists(n)` says whether there is an n-th, and `address(n)` where it begins, if
/// there is. What lies outside is 0. Elements that are not copied but read one by one are there at
/// once (after a barrier, as all that is written). `Threads` threads do it, of which this one is
/// the `number`-th.
template <int Threads, class T, int Rows, int Columns, class RowsOf>
__device__ void begin_copy(SwizzledTile<T, Rows, Columns>& tile, const RowsOf& rows,
                           const RowLayout& layout, int number = static_cast<int>(threadIdx.x)) {
  constexpr int kInPiece = Piece<T>::kCount;
  constexpr int kPieces = Columns / kInPiece;
  constexpr int kUsed = Threads >= 256 ? 256 : Threads >= 128 ? 128 : 64;  // of the threads
  constexpr int kRowsAtOnce = kUsed / kPieces;
  static_assert(Threads >= kUsed && kUsed % kPieces == 0 && Rows % kRowsAtOnce == 0);
  if (kUsed < Threads && number >= kUsed) return;
  const auto thread = static_cast<std::uint32_t>(opaque(number));
  const int first = static_cast<int>(thread / kPieces);
  const int c = static_cast<int>(thread % kPieces);  // a thread's pieces: one below the other
  const RowsOf below = rows.from(first);
  const auto copy = [&](auto width) {
    begin_copies<width.value, kRowsAtOnce>(tile, below, first, c, layout.columns);
  };
  const int at_once = static_cast<int>(layout.access);
  if (at_once >= kInPiece) return copy(std::integral_constant<int, kInPiece>{});
  if constexpr (kInPiece > 4)
    if (at_once == 4) return copy(std::integral_constant<int, 4>{});
  if (at_once == 2) return copy(std::integral_constant<int, 2>{});
  if constexpr (sizeof(T) == 4)  // as few bytes as there are copies of
    if (layout.stride == 1) return copy(std::integral_constant<int, 1>{});
#pragma unroll 1
  for (int n = 0; n < Rows; n += kRowsAtOnce)
    tile.piece(first + n, c) =
        gathered(below.exists(n) ? below.address(n) : nullptr, kInPiece * c, layout);
}

/// The same of rows that are all read as pieces.
template <int Threads, class T, int Rows, int Columns, class RowsOf>
__device__ void begin_copy_of_pieces(SwizzledTile<T, Rows, Columns>& tile, const RowsOf& rows,
                                     std::int64_t columns) {
  constexpr int kPieces = Columns / Piece<T>::kCount;
  constexpr int kRowsAtOnce = Threads / kPieces;
  static_assert(Threads % kPieces == 0 && Rows % kRowsAtOnce == 0);
  const std::uint32_t thread = opaque(std::uint32_t{threadIdx.x});
  const int first = static_cast<int>(thread / kPieces);
  const int c = static_cast<int>(thread % kPieces);
  begin_copies<Piece<T>::kCount, kRowsAtOnce>(tile, rows.from(first), first, c, columns);
}

}  // namespace attend::cuda
