#pragma once

#include <cstdint>

#include "../../core/view.hpp"
#include "../arch/opaque.cuh"
#include "../arch/warp.cuh"
#include "flash_tiling.hpp"
#include "tile_rows.cuh"

/// @file
/// A bias (b h i j), as a thread of a tile of scores reads it.

namespace attend::cuda {

/// What a bias says of the keys of a tile's rows: a thread has four neighbouring keys of every
/// sixteen, which are read at once where they lie so.
template <class Engine>
class BiasOfRows {
 public:
  using Rows = typename Engine::Rows;

  /// Of a tile's rows. The bias may be null: then nothing may be asked.
  __device__ BiasOfRows(const View<const float, 4>& bias, const Rows& rows)
      : bias_(bias), rows_(rows), last_of_fours_(last_of_fours()) {
    if constexpr (kKeepsTile) tile_ = find_tile();
    if constexpr (kKeepsRows)
      for (int r = 0; r < Engine::kRows; ++r) kept_[r] = find(r) + Engine::first_key();
  }

  /// Whether keys of the tile that begins with key `first` are read four at once.
  __device__ bool come_in_fours(int first) const { return first <= last_of_fours_; }

  /// The keys of a row that come in fours: `use(n, four)` for the n-th of the thread's, in order.
  /// Those past the last key are 0.
  template <class Use>
  __device__ void each_four(int r, int first, Use use) const {
    const auto* const fours = reinterpret_cast<const float4*>(row(r) + first);
    const int left = static_cast<int>(bias_.extent(3)) - first;
    if (left >= Engine::kTileColumns) {
#pragma unroll
      for (int n = 0; n < kFours; ++n) use(n, fours[4 * n]);
    } else {
      const int own = left - Engine::first_key(opaque(lane()));
#pragma unroll
      for (int n = 0; n < kFours; ++n) use(n, 16 * n < own ? fours[4 * n] : float4{});
    }
  }

  /// The keys of a row one by one: `use(c, x)` for those that there are. `AtOnce` is for how
  /// many there is code.
  template <int AtOnce, class Use>
  __device__ void each(int r, int first, Use use) const {
    const int from = first + Engine::first_key(opaque(lane()));
    const float* const keys = find(r) + from * bias_.stride(3);
    const int left = static_cast<int>(bias_.extent(3)) - from;
#pragma unroll(AtOnce)
    for (int c = 0; c < Engine::kColumns; ++c)
      if (Engine::key_from_first(c) < left)
        use(c, keys[Engine::key_from_first(c) * bias_.stride(3)]);
  }

 private:
  static constexpr int kFours = Engine::kColumns / 4;
  // Where the tile and, if there are few, rows begin is kept in registers if these are not short.
  static constexpr bool kKeepsTile = Engine::kTiling.ahead != FetchAhead::nothing;
  static constexpr bool kKeepsRows =
      Engine::kRows <= 2 && Engine::kTiling.ahead == FetchAhead::bias;

  // The first key of the last tile whose keys are read four at once; -1: of none.
  __device__ int last_of_fours() const {
    const auto address = reinterpret_cast<std::uintptr_t>(bias_.data());
    const std::int64_t multiples = bias_.stride(0) | bias_.stride(1) | bias_.stride(2);
    if (address % sizeof(float4) != 0 || multiples % 4 != 0 || bias_.stride(3) != 1) return -1;
    const int keys = static_cast<int>(bias_.extent(3));
    return keys % 4 == 0 ? keys : keys - Engine::kTileColumns;
  }
  // Where the first row of the tile begins.
  __device__ const float* find_tile() const {
    const QueryTile& tile = rows_.tile;
    return bias_.data() + bias_.offset(tile.b, tile.first_h, tile.first_i);
  }
  // Where the thread's r-th row begins.
  __device__ const float* find(int r) const {
    const TileRow& row = rows_.row[Engine::row(r)];
    const auto h = static_cast<unsigned>(row.h), i = static_cast<unsigned>(row.i);
    const float* tile = tile_;
    if constexpr (!kKeepsTile) tile = find_tile();
    return tile + h * bias_.stride(1) + i * bias_.stride(2);
  }
  // Where its first key is.
  __device__ const float* row(int r) const {
    if constexpr (kKeepsRows) {
      return kept_[r];
    } else {
      return find(r) + Engine::first_key(opaque(lane()));
    }
  }

  const View<const float, 4>& bias_;
  const Rows& rows_;
  const float* tile_ = nullptr;
  int last_of_fours_;
  const float* kept_[kKeepsRows ? Engine::kRows : 1];
};

}  // namespace attend::cuda
