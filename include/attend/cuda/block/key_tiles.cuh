#pragma once

#include "mask_bits.hpp"
#include "tile_rows.cuh"

/// @file
/// Which tiles of keys a block goes through.

namespace attend::cuda {

/// The tiles of keys that position lets some row of a block see, in order, without those that the
/// mask or the user's function excludes whole.
template <class Engine, class V>
class KeyTiles {
 public:
  /// Of a block's rows.
  __device__ KeyTiles(const V& variant, const MaskBits& mask, const typename Engine::Rows& rows)
      : variant_(variant), mask_(mask), rows_(rows) {}

  /// The first of them; like all that come after the last, from key `end()` on where there is none.
  __device__ int first() const { return from(rows_.block.any_begin / kColumns * kColumns); }
  /// The one after that of keys j and following.
  __device__ int after(int j) const { return from(j + kColumns); }
  /// One past the last key.
  __device__ int end() const { return rows_.block.any_end; }

  /// How much the user's function keeps of the tile of keys j and following, for `count` rows from
  /// the n-th on.
  __device__ Coverage coverage(int n, int count, int j) const {
    return rows_.tile.coverage(variant_, n, count, j, min(j + kColumns, end()));
  }

 private:
  static constexpr int kColumns = Engine::kTileColumns;
  static_assert(kMaskTileKeys % kColumns == 0, "a tile's keys are in one of the mask's");

  __device__ int from(int j) const {
    if (V::kHasMaskMod || mask_)
      while (j < end() && is_excluded(j)) j += kColumns;
    return j;
  }
  __device__ bool is_excluded(int j) const {
    if (mask_ && !rows_.kept.any(j)) return true;
    return V::kHasMaskMod && coverage(0, Engine::kTileRows, j) == Coverage::none;
  }

  const V& variant_;
  const MaskBits& mask_;
  const typename Engine::Rows& rows_;
};

}  // namespace attend::cuda
