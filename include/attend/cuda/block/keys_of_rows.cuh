#pragma once

#include <cstdint>

#include "../../core/view.hpp"
#include "../arch/opaque.cuh"
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
      : tensor_(tensor),
        rows_(rows),
        tile_(tensor.address(rows.tile.b, rows.tile.first_h, rows.tile.first_i)) {}

  /// Whether all rows have the same keys.
  __device__ bool same_for_rows() const { return tensor_.stride(1) == 0 && tensor_.stride(2) == 0; }

  /// Whether the four keys at `four` are read at once, or none is there, for all rows and all tiles
  /// up to the one that begins with key `first`.
  __device__ bool come_in_fours(int first) const {
    const auto address = reinterpret_cast<std::uintptr_t>(tensor_.data());
    const std::int64_t multiples = tensor_.stride(0) | tensor_.stride(1) | tensor_.stride(2);
    const bool whole = first + Engine::kTileColumns <= tensor_.extent(3);
    return address % sizeof(Four) == 0 && multiples % 4 == 0 && tensor_.stride(3) == 1 &&
           (whole || tensor_.extent(3) % 4 == 0);
  }

  /// The keys of a row that come in fours: `use(n, four)` for the n-th of the thread's, in order.
  /// Those past the last key are 0.
  template <class Use>
  __device__ void each_four(int r, int first, Use use) const {
    const int from = first + opaque(Engine::first_key());
    const auto* const fours = reinterpret_cast<const Four*>(row(r) + from);
    const int left = static_cast<int>(tensor_.extent(3)) - from;
#pragma unroll
    for (int n = 0; n < Engine::kColumns / 4; ++n) use(n, 16 * n < left ? fours[4 * n] : Four{});
  }

  /// The keys of a row one by one: `use(c, number)` for those that there are. `AtOnce` is for how
  /// many there is code.
  template <int AtOnce, class Use>
  __device__ void each(int r, int first, Use use) const {
    const int from = first + opaque(Engine::first_key());
    const Number* const keys = row(r) + from * tensor_.stride(3);
    const int left = static_cast<int>(tensor_.extent(3)) - from;
#pragma unroll(AtOnce)
    for (int c = 0; c < Engine::kColumns; ++c)
      if (Engine::key_from_first(c) < left)
        use(c, keys[Engine::key_from_first(c) * tensor_.stride(3)]);
  }

 private:
  // Where the thread's r-th row begins.
  __device__ const Number* row(int r) const {
    const TileRow& row = rows_.row[Engine::row(r)];
    const auto h = static_cast<unsigned>(row.h), i = static_cast<unsigned>(row.i);
    return tile_ + h * tensor_.stride(1) + i * tensor_.stride(2);
  }

  const View<const Number, 4>& tensor_;
  const Rows& rows_;
  const Number* tile_;  // of its first row
};

}  // namespace attend::cuda
