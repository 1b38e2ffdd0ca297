#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "../core/keys.hpp"
#include "fused_hooks.hpp"

/// @file
/// Which keys of a tile each lane may see, as bits: whatever excludes a key (position, mask, user's
/// function) clears bits, and the engines look at nothing else.

namespace attend::cpu {

/// What a tile's bits say together.
enum class Visibility {
  none,  ///< no lane sees any key: the tile is skipped
  some,  ///< the bits have to be looked at
  all,   ///< every lane sees every key: no masking at all
};

/// The bits of up to 32 keys of a mask's row; true = keep.
inline std::uint32_t mask_word(const bool* mask, std::int64_t stride, std::int64_t count) {
  std::uint32_t word = 0;
  std::int64_t n = 0;
  if (stride == 1) {
    // Byte k (0 or 1) times 2^(56 - 7k) is bit k of the top byte.
    for (; n + 8 <= count; n += 8) {
      std::uint64_t eight;
      std::memcpy(&eight, mask + n, sizeof eight);
      word |= static_cast<std::uint32_t>(eight * 0x0102040810204080 >> 56) << n;
    }
  }
  for (; n < count; ++n) word |= std::uint32_t{mask[n * stride]} << n;
  return word;
}

/// The lowest `count` bits, none for count <= 0 and all from 32 on.
constexpr std::uint32_t low_bits(std::int64_t count) {
  return count <= 0 ? 0 : count >= 32 ? ~std::uint32_t{0} : (std::uint32_t{1} << count) - 1;
}

/// The bits of keys first <= j < first + 32 that lie in a range.
constexpr std::uint32_t range_word(const KeyRange& range, std::int64_t first) {
  return low_bits(range.end - first) & ~low_bits(range.begin - first);
}

/// What narrows a tile.
struct TileMask {
  const KeyRange* visible = nullptr;      ///< of each lane; null: position excludes nothing here
  const bool* const* mask_row = nullptr;  ///< mask of key 0, of each lane; null: no mask
  std::int64_t mask_stride = 0;           ///< between keys
  bool same_row = false;                  ///< whether the mask's rows are one row (a padding mask)
};

/// Sets the bits of a tile and says what they come to. Lanes past the rows count as seeing nothing.
inline Visibility fill_allowed(const TileMask& mask, const TilePlace& place,
                               std::uint32_t* allowed) {
  std::uint32_t any = 0;
  bool all = true;
  for (std::int64_t n = 0; n < place.keys; n += 32) {
    std::uint32_t* const words = allowed + n / 32 * place.width;
    const std::int64_t first = place.first_key + n;
    const std::int64_t count = std::min<std::int64_t>(place.keys - n, 32);
    const std::uint32_t full = low_bits(count);
    std::uint32_t shared = full;
    if (mask.mask_row != nullptr && mask.same_row)
      shared &= mask_word(mask.mask_row[0] + first * mask.mask_stride, mask.mask_stride, count);
    std::uint32_t every = ~std::uint32_t{0};
    for (int r = 0; r < place.rows; ++r) {
      std::uint32_t word = shared;
      if (mask.visible != nullptr) word &= range_word(mask.visible[r], first);
      if (mask.mask_row != nullptr && !mask.same_row && word != 0)
        word &= mask_word(mask.mask_row[r] + first * mask.mask_stride, mask.mask_stride, count);
      words[r] = word;
      any |= word;
      every &= word;
    }
    std::fill(words + place.rows, words + place.width, 0);
    all = all && (every & full) == full;
  }
  return any == 0 ? Visibility::none : all ? Visibility::all : Visibility::some;
}

}  // namespace attend::cpu
