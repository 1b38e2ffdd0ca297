#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "../core/keys.hpp"
#include "../core/variant.hpp"
#include "engine/mask_word.hpp"
#include "fused_hooks.hpp"

/// @file
/// Which keys of a tile each lane may see, as bits: whatever excludes a key (position, mask, user's
/// function) clears bits, and the engines look at nothing else.

namespace attend::cpu {

/// What a tile's bits cover after the user's mask, which left so much of them.
constexpr Coverage narrowed(Coverage before, Coverage left) {
  if (left == Coverage::all) return before;
  return left == Coverage::none ? Coverage::none : Coverage::some;
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

/// What a tile's bits come to.
struct TileBits {
  Coverage coverage;  ///< of the keys below: `none` is skipped, `all` needs no masking
  std::int64_t keys;  ///< keys of the tile up to the last one that any lane sees
};

/// Sets the bits of a tile. Lanes past the rows count as seeing nothing. `mask_words`: the
/// engine's.
inline TileBits fill_allowed(const TileMask& mask, const TilePlace& place, MaskWords mask_words,
                             std::uint32_t* allowed) {
  if (mask.mask_row != nullptr) {
    const std::int64_t skipped = place.first_key * mask.mask_stride;
    mask_words({mask.mask_row, mask.mask_stride, mask.same_row ? 1 : place.rows, place.keys},
               skipped, allowed, place.width);
  }
  TileBits bits{Coverage::all, 0};
  for (std::int64_t n = (place.keys - 1) / 32 * 32; n >= 0; n -= 32) {
    std::uint32_t* const words = allowed + n / 32 * place.width;
    if (mask.mask_row == nullptr || mask.same_row)
      std::fill_n(words, place.rows, mask.mask_row == nullptr ? low_bits(place.keys - n) : *words);
    if (mask.visible != nullptr)
      for (int r = 0; r < place.rows; ++r)
        words[r] &= range_word(mask.visible[r], place.first_key + n);
    std::uint32_t any = 0, every = ~std::uint32_t{0};
    for (int r = 0; r < place.rows; ++r) {
      any |= words[r];
      every &= words[r];
    }
    std::fill(words + place.rows, words + place.width, 0);
    if (bits.keys == 0 && any != 0) bits.keys = n + std::bit_width(any);
    if ((low_bits(bits.keys - n) & ~every) != 0) bits.coverage = Coverage::some;
  }
  if (bits.keys == 0) bits.coverage = Coverage::none;
  return bits;
}

/// The same with the user's mask of a pass' hooks; cuts off the keys of the place that no lane
/// sees.
template <class Hooks>
Coverage fill_bits(const TileMask& mask, TilePlace& place, MaskWords mask_words, const Hooks& hooks,
                   std::uint32_t* allowed) {
  const auto [coverage, seen] = fill_allowed(mask, place, mask_words, allowed);
  place.keys = seen;
  if (coverage == Coverage::none || hooks.mask == nullptr) return coverage;
  return narrowed(coverage, hooks.mask(hooks.variant, place, allowed));
}

}  // namespace attend::cpu
