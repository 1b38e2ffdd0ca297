#pragma once

#include "tile_rows.cuh"

/// @file
/// Which tiles of keys a block goes through.

namespace attend::cuda {

/// The tiles of keys that position lets some row of a block see, in order, without those that the
/// user's function excludes whole.
template <class Engine, class V>
class KeyTiles {
 public:
  /// Of a block's tile of queries, which sees `keys`.
  __device__ KeyTiles(const V& variant, const QueryTile& tile, const SeenKeys& keys)
      : variant_(variant), tile_(tile), keys_(keys) {}

  /// The first of them; like all that come after the last, from key `end()` on where there is none.
  __device__ int first() const { return from(keys_.any_begin / kColumns * kColumns); }
  /// The one after that of keys j and following.
  __device__ int after(int j) const { return from(j + kColumns); }
  /// One past the last key.
  __device__ int end() const { return keys_.any_end; }

  /// How much the user's function keeps of the tile of keys j and following, for `count` rows from
  /// the n-th on.
  __device__ Coverage coverage(int n, int count, int j) const {
    return tile_.coverage(variant_, n, count, j, min(j + kColumns, keys_.any_end));
  }

 private:
  static constexpr int kColumns = Engine::kTileColumns;

  __device__ int from(int j) const {
    if constexpr (V::kHasMaskMod)
      while (j < end() && coverage(0, Engine::kTileRows, j) == Coverage::none) j += kColumns;
    return j;
  }

  const V& variant_;
  const QueryTile& tile_;
  const SeenKeys& keys_;
};

}  // namespace attend::cuda
