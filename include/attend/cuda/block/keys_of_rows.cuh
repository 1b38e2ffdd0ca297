#pragma once

#include <cstdint>

#include "../../core/view.hpp"
#include "../arch/opaque.cuh"
#include "../arch/warp.cuh"
#include "flash_tiling.hpp"
#include "tile_rows.cuh"

/// @file
/// A tensor (b h i j), mask or bias, as a thread of a tile of scores reads it.

namespace attend::cuda {

/// Four neighbours, as they are read at once.
template <class Number>
struct FourOf;
/// Of a bias.
template <>
struct FourOf<float> {
  using Type = float4;
};
/// Of a mask: bytes, each 0 or 1.
template <>
struct FourOf<bool> {
  using Type = std::uint32_t;
};

/// What a tensor says of the keys of a tile's rows: a thread has four neighbouring keys of every
/// sixteen, which are read at once where they lie so.
template <class Engine, class Number>
class KeysOfRows {
 public:
  using Rows = typename Engine::Rows;
  using Four = typename FourOf<Number>::Type;

  /// Of a tile's rows. The tensor may be null: then nothing may be asked.
  __device__ KeysOfRows(const View<const Number, 4>& tensor, const Rows& rows)
      : tensor_(tensor), rows_(rows), last_of_fours_(last_of_fours()) {
    if constexpr (kKeepsTile) tile_ = find_tile();
    if constexpr (kKeepsRows)
      for (int r = 0; r < Engine::kRows; ++r) kept_[r] = find(r) + Engine::first_key();
  }

  /// Whether all rows have the same keys.
  __device__ bool same_for_rows() const { return tensor_.stride(1) == 0 && tensor_.stride(2) == 0; }

  /// Whether keys of the tile that begins with key `first` are read four at once.
  __device__ bool come_in_fours(int first) const { return first <= last_of_fours_; }

  /// The keys of a row that come in fours: `use(n, four)` for the n-th of the thread's, in order.
  /// Those past the last key are 0.
  template <class Use>
  __device__ void each_four(int r, int first, Use use) const {
    const auto* const fours = reinterpret_cast<const Four*>(row(r) + first);
    const int left = static_cast<int>(tensor_.extent(3)) - first;
    if (left >= Engine::kTileColumns) {
#pragma unroll
      for (int n = 0; n < kFours; ++n) use(n, fours[4 * n]);
    } else {
      const int own = left - Engine::first_key(opaque(lane()));
#pragma unroll
      for (int n = 0; n < kFours; ++n) use(n, 16 * n < own ? fours[4 * n] : Four{});
    }
  }

  /// The keys of a row one by one: `use(c, number)` for those that there are. `AtOnce` is for how
  /// many there is code.
  template <int AtOnce, class Use>
  __device__ void each(int r, int first, Use use) const {
    const int from = first + Engine::first_key(opaque(lane()));
    const Number* const keys = find(r) + from * tensor_.stride(3);
    const int left = static_cast<int>(tensor_.extent(3)) - from;
#pragma unroll(AtOnce)
    for (int c = 0; c < Engine::kColumns; ++c)
      if (Engine::key_from_first(c) < left)
        use(c, keys[Engine::key_from_first(c) * tensor_.stride(3)]);
  }

 private:
  static constexpr int kFours = Engine::kColumns / 4;
  // Where the tile and, if there are few, rows begin is kept in registers if these are not short.
  static constexpr bool kKeepsTile = Engine::kTiling.ahead != FetchAhead::nothing;
  static constexpr bool kKeepsRows =
      Engine::kRows <= 2 && Engine::kTiling.ahead == FetchAhead::mask_and_bias;

  // The first key of the last tile whose keys are read four at once; -1: of none.
  __device__ int last_of_fours() const {
    const auto address = reinterpret_cast<std::uintptr_t>(tensor_.data());
    const std::int64_t multiples = tensor_.stride(0) | tensor_.stride(1) | tensor_.stride(2);
    if (address % sizeof(Four) != 0 || multiples % 4 != 0 || tensor_.stride(3) != 1) return -1;
    const int keys = static_cast<int>(tensor_.extent(3));
    return keys % 4 == 0 ? keys : keys - Engine::kTileColumns;
  }
  // Where the first row of the tile begins.
  __device__ const Number* find_tile() const {
    const QueryTile& tile = rows_.tile;
    return tensor_.data() + tensor_.offset(tile.b, tile.first_h, tile.first_i);
  }
  // Where the thread's r-th row begins.
  __device__ const Number* find(int r) const {
    const TileRow& row = rows_.row[Engine::row(r)];
    const auto h = static_cast<unsigned>(row.h), i = static_cast<unsigned>(row.i);
    const Number* tile = tile_;
    if constexpr (!kKeepsTile) tile = find_tile();
    return tile + h * tensor_.stride(1) + i * tensor_.stride(2);
  }
  // Where its first key is.
  __device__ const Number* row(int r) const {
    if constexpr (kKeepsRows) {
      return kept_[r];
    } else {
      return find(r) + Engine::first_key(opaque(lane()));
    }
  }

  const View<const Number, 4>& tensor_;
  const Rows& rows_;
  const Number* tile_ = nullptr;
  int last_of_fours_;
  const Number* kept_[kKeepsRows ? Engine::kRows : 1];
};

}  // namespace attend::cuda
