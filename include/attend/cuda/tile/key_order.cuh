#pragma once

#include "../../core/config.hpp"

/// @file
/// The order of keys in a tile. Of every sixteen columns of scores a product gives a thread four:
/// two neighbours of each eight. Keys (and their values) are put in rows of a tile so that these
/// four are neighbours among the keys: what a mask, a bias or dropout says of them is one word.

namespace attend::cuda {

/// The key in a row of a tile, or in a column of scores.
ATTEND_HD constexpr int key_in_row(int row) {
  return (row & ~0xe) | (row & 0x6) << 1 | (row & 0x8) >> 2;
}

/// Keys, or values, as the rows of a tile have them.
template <class Rows>
struct InKeyOrder {
  Rows rows;  ///< one after the other

  /// Those from the n-th on; what is then asked for must have no bit in common with n.
  __device__ InKeyOrder from(int n) const { return {rows.from(key_in_row(n))}; }
  /// Whether there is such a row.
  __device__ bool exists(int n) const { return rows.exists(key_in_row(n)); }
  /// Where it begins.
  __device__ auto address(int n) const { return rows.address(key_in_row(n)); }
};

}  // namespace attend::cuda
