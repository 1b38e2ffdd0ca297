#pragma once

#include <cstdint>

#include "../arch/warp.cuh"
#include "mask_bits.hpp"
#include "query_tile.cuh"

/// @file
/// Which tiles of keys a mask leaves for a tile of queries.

namespace attend::cuda {

/// A bit for every 128 keys (a tile of the mask), in shared memory: whether the mask keeps one of
/// them for some query. What comes after the last bit counts as kept.
struct KeptKeys {
  static constexpr int kMostTiles = 1024;
  int first;  ///< tile
  std::uint32_t bits[kMostTiles / kWarp];

  /// Looks up the keys begin <= j < end for so many queries from the tile's first on, with the
  /// heads of its group. `Threads` threads do it, of which this one is the `thread`-th.
  template <int Threads>
  __device__ void find(const MaskBits& mask, const QueryTile& tile, int queries, int begin, int end,
                       int thread) {
    const View<const bool, 4>& tiles = mask.tiles;
    const int from = begin / kMaskTileKeys;
    const int count = min((end + kMaskTileKeys - 1) / kMaskTileKeys - from, kMostTiles);
    const bool same_for_queries = tiles.stride(2) == 0;
    const std::int64_t last = same_for_queries ? 0 : (tile.first_i + queries - 1) / kMaskTileRows;
    const std::int64_t heads = tiles.stride(1) == 0 ? 1 : tile.group;
    if (thread == 0) first = from;
    for (int n = thread; n - lane() < count; n += Threads) {
      bool kept = false;
      for (std::int64_t m = same_for_queries ? 0 : tile.first_i / kMaskTileRows; m <= last && !kept;
           ++m)
        for (std::int64_t h = 0; h < heads && !kept; ++h)
          kept = n < count && tiles(tile.b, tile.first_h + h, m, from + n);
      const unsigned of_warp = __ballot_sync(kAllLanes, kept);
      if (lane() == 0) bits[n / kWarp] = of_warp;
    }
  }

  /// Whether some of the keys of the mask's tile with key j are kept.
  __device__ bool any(int j) const {
    const int n = j / kMaskTileKeys - first;
    return n >= kMostTiles || (bits[n / kWarp] >> n % kWarp & 1) != 0;
  }
};

}  // namespace attend::cuda
