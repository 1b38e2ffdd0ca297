#pragma once

#include <cstdint>

#include "../arch/dot.cuh"
#include "../block/mask_bits.hpp"
#include "../block/query_tile.cuh"

/// @file
/// A mask's bytes become bits, once for all heads and tiles that look at them.

namespace attend::cuda {

/// Threads of a block of `pack_mask`.
inline constexpr int kPackThreads = kMaskTileRows * kMaskTileWords;

/// The word of `count` keys: of 32 of them, four neighbours of every sixteen.
__device__ inline std::uint32_t packed_keys(const bool* keys, std::int64_t stride, int count) {
  std::uint32_t fours[kMaskTileKeys / 16] = {};  // bytes, none of which is 0 where a key is kept
  const auto* const bytes = reinterpret_cast<const unsigned char*>(keys);  // others may write them
  const bool in_fours = stride == 1 && reinterpret_cast<std::uintptr_t>(keys) % 4 == 0;
  if (in_fours && count > kMaskTileKeys - 16 + 3) {
#pragma unroll
    for (int x = 0; x < kMaskTileKeys / 16; ++x)
      fours[x] = *reinterpret_cast<const std::uint32_t*>(keys + 16 * x);
  } else {
#pragma unroll
    for (int x = 0; x < kMaskTileKeys / 16; ++x)
#pragma unroll
      for (int y = 0; y < 4; ++y)
        if (16 * x + y < count) fours[x] |= std::uint32_t{bytes[(16 * x + y) * stride]} << 8 * y;
  }
  std::uint32_t bits = 0;
#pragma unroll
  for (int x = 0; x < kMaskTileKeys / 16; ++x) {
    const std::uint32_t top_bits = (fours[x] & 0x7f7f7f7f) + 0x7f7f7f7f | fours[x];
    bits |= dp4a(top_bits >> 7 & 0x01010101, 0x08040201, 0) << 4 * x;
  }
  return bits;
}

/// One block for each tile of the mask, of which all axes of extent 1 are one. Words may be null:
/// then only tiles are looked through. (`V` gives each program that has functions of its own a
/// kernel of its own.)
template <class V>
__global__ void __launch_bounds__(kPackThreads)
    pack_mask(View<const bool, 4> mask, View<std::uint32_t, 4> words, View<bool, 4> tiles) {
  std::int64_t at[4] = {blockIdx.x, 0, 0, 0};  // the tile
#pragma unroll
  for (int axis = 3; axis > 0; --axis) {
    const std::int64_t before = divided(at[0], tiles.extent(axis));
    at[axis] = at[0] - before * tiles.extent(axis);
    at[0] = before;
  }
  const auto [b, h, m, n] = at;
  const int thread = static_cast<int>(threadIdx.x), word = thread % kMaskTileWords;
  const std::int64_t i = m * kMaskTileRows + thread / kMaskTileWords;
  std::uint32_t bits = 0;
  if (i < mask.extent(2)) {
    const std::int64_t first = n * kMaskTileKeys + word * 4, left = mask.extent(3) - first;
    bits = packed_keys(mask.data() + mask.offset(b, h, i, first), mask.stride(3),
                       static_cast<int>(min(left, std::int64_t{kMaskTileKeys})));
    if (words) words(b, h, i, n * kMaskTileWords + word) = bits;
  }
  const bool some = __syncthreads_or(bits != 0) != 0;
  if (thread == 0) tiles(b, h, m, n) = some;
}

}  // namespace attend::cuda
