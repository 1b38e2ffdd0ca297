#pragma once

#include <cstdint>

#include "../arch/convert.cuh"
#include "rows.cuh"

/// @file
/// Matrices of 16-bit elements in shared memory, for products on tensor cores.

namespace attend::cuda {

/// Whether an element is infinite or NaN: its exponent is all ones.
__device__ inline bool not_finite(F16 x) { return (x.bits & 0x7c00) == 0x7c00; }
/// @copydoc not_finite(F16)
__device__ inline bool not_finite(BF16 x) { return (x.bits & 0x7f80) == 0x7f80; }

/// Eight neighbouring elements, moved at once.
template <class T>
struct alignas(16) Octet {
  T at[8];  ///< in memory's order
};

/// A matrix of rows of octets in shared memory, in panels of 64 columns, one after the other. Octet
/// c of a row of a panel lies at place c ^ (row % 8), so that the same octet of eight rows below
/// each other lies in eight different groups of banks. (This is what wgmma knows as the 128-byte
/// swizzle, where a panel begins at a multiple of 1024 bytes.)
template <class Element, int RowCount, int ColumnCount>
struct HalfTile {
  using T = Element;
  static constexpr int kRows = RowCount;
  static constexpr int kColumns = ColumnCount;
  static constexpr int kOctets = kColumns / 8;
  static constexpr int kPanelOctets = 8;           ///< of a row of a panel
  static constexpr std::uint32_t kRowBytes = 128;  ///< of a row of a panel
  static constexpr std::uint32_t kPanelBytes = kRows * kRowBytes;
  static_assert(kOctets % kPanelOctets == 0, "the swizzle permutes eight octets");

  Octet<T> octets[kRows * kOctets];

  /// Elements 8 c to 8 c + 7 of a row.
  __device__ Octet<T>& octet(int row, int c) { return octets[place(row, c)]; }
  /// @copydoc octet(int, int)
  __device__ const Octet<T>& octet(int row, int c) const { return octets[place(row, c)]; }
  /// One element.
  __device__ T& at(int row, int column) { return octet(row, column / 8).at[column % 8]; }
  /// @copydoc at(int, int)
  __device__ const T& at(int row, int column) const {
    return octet(row, column / 8).at[column % 8];
  }

 private:
  static __device__ int place(int row, int c) {
    return (c / kPanelOctets * kRows + row) * kPanelOctets + (c ^ row % 8) % kPanelOctets;
  }
};

/// Whether this thread, of `Threads`, meets a number in a tile that is not finite. Each looks at
/// its part.
template <int Threads, class T, int Rows, int Columns>
__device__ bool meets_not_finite(const HalfTile<T, Rows, Columns>& tile) {
  bool met = false;
#pragma unroll 1
  for (int n = static_cast<int>(threadIdx.x); n < Rows * Columns / 8; n += Threads)
    for (int x = 0; x < 8; ++x) met = met || not_finite(tile.octets[n].at[x]);
  return met;
}

/// Fills a tile with columns column, column + 1, ... of the rows that `row_of` points to; what lies
/// outside is 0. Returns whether this thread, of `Threads`, met a number that is not finite.
template <int Threads, class T, int Rows, int Columns, class RowOf>
__device__ bool load_tile(HalfTile<T, Rows, Columns>& tile, RowOf row_of, std::int64_t column,
                          const RowLayout& layout) {
  constexpr int kOctets = Columns / 8;
  bool met = false;
#pragma unroll 2
  for (int n = static_cast<int>(threadIdx.x); n < Rows * kOctets; n += Threads) {
    const T* const begin = row_of(n / kOctets);
    const std::int64_t from = column + n % kOctets * 8;
    Octet<T> octet{};
    if (begin != nullptr && from < layout.columns) {
      if (layout.access == Access::octets) {
        octet = *reinterpret_cast<const Octet<T>*>(begin + from);
      } else {
        for (int x = 0; x < 8; ++x)
          if (from + x < layout.columns) octet.at[x] = begin[(from + x) * layout.stride];
      }
    }
    for (int x = 0; x < 8; ++x) met = met || not_finite(octet.at[x]);
    tile.octet(n / kOctets, n % kOctets) = octet;
  }
  return met;
}

}  // namespace attend::cuda
