#pragma once

#include <cstdint>

#include "../arch/cp_async.cuh"
#include "../arch/opaque.cuh"
#include "../arch/shared_memory.cuh"
#include "half_tile.cuh"
#include "rows.cuh"

/// @file
/// Tiles of 16-bit elements, filled while the block does other things.

namespace attend::cuda {

/// Eight elements of a row from `column` on, one by one; what lies past the end is 0.
template <class T>
__device__ inline Octet<T> gathered(const T* row, int column, const RowLayout& layout) {
  Octet<T> octet{};
  column = opaque(column);
  for (int x = 0; x < 8; ++x)
    if (row != nullptr && column + x < layout.columns)
      octet.at[x] = row[(column + x) * layout.stride];
  return octet;
}

/// Begins to fill a tile by copies of `Width` elements. A thread copies an octet of every
/// `RowsAtOnce`-th row, `c`, from row `first` of the tile on, where `rows` begins.
template <int Width, int RowsAtOnce, class T, int Rows, int Columns, class RowsOf>
__device__ void begin_copies(HalfTile<T, Rows, Columns>& tile, const RowsOf& rows, int first, int c,
                             std::int64_t columns) {
  static_assert(RowsAtOnce % 8 == 0 || 8 % RowsAtOnce == 0, "the swizzle goes by eight rows");
  const std::uint32_t to = shared_address(&tile.octet(first, c));
#pragma unroll(Width == 8 ? Rows / RowsAtOnce : 1)
  for (int n = 0; n < Rows; n += RowsAtOnce)
#pragma unroll
    for (int x = 0; x < 8; x += Width)
      cp_async_or_zero<Width * sizeof(T)>((to ^ static_cast<std::uint32_t>(n % 8 * 16)) +
                                              static_cast<std::uint32_t>(n) * tile.kRowBytes +
                                              static_cast<std::uint32_t>(x) * sizeof(T),
                                          rows.address(n) + 8 * c + x,
                                          8 * c + x < columns && rows.exists(n));
}

/// Begins to fill a tile with rows that know of each other: `rows.from(n)` are those from the n-th
/// on, and of these `exists(n)` says whether there is an n-th, and `address(n)` where it begins, if
/// there is. What lies outside is 0. Rows whose elements come one by one are there at once (after a
/// barrier, as all that is written). `Threads` threads do it, of which this one is the `number`-th.
template <int Threads, class T, int Rows, int Columns, class RowsOf>
__device__ void begin_copy(HalfTile<T, Rows, Columns>& tile, const RowsOf& rows,
                           const RowLayout& layout, int number = static_cast<int>(threadIdx.x)) {
  constexpr int kOctets = Columns / 8;
  constexpr int kUsed = Threads >= 256 ? 256 : Threads >= 128 ? 128 : 64;  // of the threads
  constexpr int kRowsAtOnce = kUsed / kOctets;
  static_assert(Threads >= kUsed && kUsed % kOctets == 0 && Rows % kRowsAtOnce == 0);
  if (kUsed < Threads && number >= kUsed) return;
  const auto thread = static_cast<std::uint32_t>(opaque(number));
  const int first = static_cast<int>(thread / kOctets);
  const int c = static_cast<int>(thread % kOctets);  // a thread's octets: one below the other
  const RowsOf below = rows.from(first);
  switch (layout.access) {
    case Access::octets:
      return begin_copies<8, kRowsAtOnce>(tile, below, first, c, layout.columns);
    case Access::quads:
      return begin_copies<4, kRowsAtOnce>(tile, below, first, c, layout.columns);
    case Access::pairs:
      return begin_copies<2, kRowsAtOnce>(tile, below, first, c, layout.columns);
    case Access::elements:
#pragma unroll 1
      for (int n = 0; n < Rows; n += kRowsAtOnce)
        tile.octet(first + n, c) =
            gathered(below.exists(n) ? below.address(n) : nullptr, 8 * c, layout);
  }
}

/// The same of rows that are all read as octets.
template <int Threads, class T, int Rows, int Columns, class RowsOf>
__device__ void begin_copy_of_octets(HalfTile<T, Rows, Columns>& tile, const RowsOf& rows,
                                     std::int64_t columns) {
  constexpr int kOctets = Columns / 8;
  constexpr int kRowsAtOnce = Threads / kOctets;
  static_assert(Threads % kOctets == 0 && Rows % kRowsAtOnce == 0);
  const std::uint32_t thread = opaque(std::uint32_t{threadIdx.x});
  const int first = static_cast<int>(thread / kOctets);
  const int c = static_cast<int>(thread % kOctets);
  begin_copies<8, kRowsAtOnce>(tile, rows.from(first), first, c, columns);
}

}  // namespace attend::cuda
