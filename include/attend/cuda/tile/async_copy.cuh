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

/// How the rows of a tensor may be copied: octets of a row at once where each begins at a multiple
/// of 16 bytes. The last one need not be whole.
template <class T>
ATTEND_HD inline RowLayout copied_layout(const View<const T, 4>& tensor) {
  const std::int64_t steps = tensor.stride(0) | tensor.stride(1) | tensor.stride(2);
  const bool aligned = tensor.stride(3) == 1 && steps % 8 == 0 &&
                       reinterpret_cast<std::uintptr_t>(tensor.data()) % (8 * sizeof(T)) == 0;
  return {tensor.extent(3), tensor.stride(3), aligned ? Access::octets : Access::elements};
}

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

/// Begins to fill a tile with the rows that `row_of` points to; what lies outside is 0. Rows that
/// can't be copied by octets are there at once (after a barrier, as all that is written).
template <int Threads, class T, int Rows, int Columns, class RowOf>
__device__ void begin_copy(HalfTile<T, Rows, Columns>& tile, RowOf row_of,
                           const RowLayout& layout) {
  constexpr int kOctets = Columns / 8;
  constexpr int kRowsAtOnce = Threads / kOctets;
  static_assert(Threads % kOctets == 0 && Rows % kRowsAtOnce == 0);
  static_assert(kRowsAtOnce % 8 == 0 || 8 % kRowsAtOnce == 0, "the swizzle goes by eight rows");
  const int first = static_cast<int>(threadIdx.x) / kOctets;
  const int c = static_cast<int>(threadIdx.x) % kOctets;  // a thread's octets: one below the other
  if (layout.access == Access::octets) {
    const std::int64_t left = layout.columns - 8 * c;
    const int bytes = left <= 0 ? 0 : left >= 8 ? 16 : static_cast<int>(left) * 2;
    const std::uint32_t to = shared_address(&tile.octet(first, c));
#pragma unroll
    for (int n = 0; n < Rows; n += kRowsAtOnce) {
      const T* const row = row_of(first + n);
      const bool there = row != nullptr && bytes > 0;
      cp_async_16((to ^ static_cast<std::uint32_t>(n % 8 * 16)) +
                      static_cast<std::uint32_t>(n * Columns * 2),
                  there ? row + 8 * c : nullptr, there ? bytes : 0);
    }
  } else {
#pragma unroll 1
    for (int n = 0; n < Rows; n += kRowsAtOnce)
      tile.octet(first + n, c) = gathered(row_of(first + n), 8 * c, layout);
  }
}

/// The same in fewer instructions, for a layout whose octets are whole (`row_layout`) and rows that
/// know of each other: `rows.from(n)` are those from the n-th on, and of these `exists(n)` says
/// whether there is an n-th, and `address(n)` where it begins, if there is.
template <int Threads, class T, int Rows, int Columns, class RowsOf>
__device__ void begin_copy_rows(HalfTile<T, Rows, Columns>& tile, const RowsOf& rows,
                                const RowLayout& layout) {
  constexpr int kOctets = Columns / 8;
  constexpr int kRowsAtOnce = Threads / kOctets;
  static_assert(Threads % kOctets == 0 && Rows % kRowsAtOnce == 0 && kRowsAtOnce % 8 == 0);
  const std::uint32_t thread = opaque(std::uint32_t{threadIdx.x});
  const int first = static_cast<int>(thread / kOctets);
  const int c = static_cast<int>(thread % kOctets);  // a thread's octets: one below the other
  const RowsOf below = rows.from(first);
  if (layout.access == Access::octets) {
    const bool there = 8 * c < layout.columns;
    const std::uint32_t to = shared_address(&tile.octet(first, c));
#pragma unroll
    for (int n = 0; n < Rows; n += kRowsAtOnce)
      cp_async_16_or_zero(to + static_cast<std::uint32_t>(n * Columns * 2),
                          below.address(n) + 8 * c, there && below.exists(n));
  } else {
#pragma unroll 1
    for (int n = 0; n < Rows; n += kRowsAtOnce)
      tile.octet(first + n, c) =
          gathered(below.exists(n) ? below.address(n) : nullptr, 8 * c, layout);
  }
}

}  // namespace attend::cuda
