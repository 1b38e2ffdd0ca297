#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "tile_place.hpp"

/// @file
/// A user's mask, applied to the bits of a tile: by loops over kLanes lanes, a constant that fits
/// the engine's vectors, of which compilers make vectors too.

namespace attend::cpu {

/// What a mask says of a whole tile; `some` where the lanes are not queries of one head in a row.
template <class MaskMod>
Coverage coverage_of(const MaskMod& mask, const TilePlace& place) {
  if (!place.in_a_row()) return Coverage::some;
  return mask.coverage({place.b, place.head[0], place.query[0], place.query[0] + place.rows,
                        place.first_key, place.first_key + place.keys});
}

/// Bits of a tile's mask that were looked at.
struct MaskBits {
  std::uint32_t cleared = 0;  ///< keys that the mask excludes for a lane that saw them
  std::uint32_t kept = 0;     ///< keys that a lane still sees

  /// Clears the bits of a lane that the mask does not allow.
  void narrow(std::uint32_t& allowed, std::uint32_t by) {
    cleared |= allowed & ~by;
    kept |= allowed &= by;
  }
};

/// Asks a variant's mask for up to 32 keys and kLanes lanes, whose indices
/// `index_of(lane, key)` tells.
template <int kLanes, class V, class IndexOf>
void narrow_lanes(const V& v, int keys, const IndexOf& index_of, std::uint32_t* allowed,
                  MaskBits& bits) {
  constexpr int kChains = 4;  // keys that do not wait for each other
  std::uint32_t word[kChains][kLanes] = {};
  for (int key = 0; key < keys; ++key) {
    std::uint32_t* const chain = word[key % kChains];
    for (int lane = 0; lane < kLanes; ++lane)
      chain[lane] |= std::uint32_t{v.mask_mod(index_of(lane, key))} << key;
  }
  MaskBits found;
  for (int lane = 0; lane < kLanes; ++lane)
    found.narrow(allowed[lane], word[0][lane] | word[1][lane] | word[2][lane] | word[3][lane]);
  bits.cleared |= found.cleared;
  bits.kept |= found.kept;
}

/// Clears the bits of keys that a variant's mask excludes, cuts off keys at the end that no lane
/// sees, and says what is left: all bits, some or none.
template <class V, int kLanes>
Coverage mask_tile(const void* variant, TilePlace& tile_place, std::uint32_t* allowed) {
  const V& v = *static_cast<const V*>(variant);
  const TilePlace place = tile_place;
  const Coverage coverage = coverage_of(v.mask_mod, place);
  if (coverage != Coverage::some) return coverage;
  const bool in_a_row = place.in_a_row();
  std::uint32_t cleared = 0;
  std::int64_t seen = 0;
  for (std::int64_t n = 0; n < place.keys; n += 32) {
    const int keys = static_cast<int>(std::min<std::int64_t>(32, place.keys - n));
    MaskBits bits;
    for (int r = 0; r < place.rows; r += kLanes) {
      std::uint32_t* const words = allowed + place.word(r, n);
      const Index at = place.at(r, n);
      if (place.rows - r < kLanes) {
        for (int lane = 0; lane < place.rows - r; ++lane) {
          std::uint32_t word = 0;
          for (int key = 0; key < keys; ++key)
            word |= std::uint32_t{v.mask_mod(place.at(r + lane, n + key))} << key;
          bits.narrow(words[lane], word);
        }
      } else if (in_a_row) {
        narrow_lanes<kLanes>(
            v, keys,
            [&](int lane, int key) {
              return Index{at.b, at.h, at.i + lane, at.j + key};
            },
            words, bits);
      } else {
        narrow_lanes<kLanes>(
            v, keys, [&](int lane, int key) { return place.at(r + lane, n + key); }, words, bits);
      }
    }
    cleared |= bits.cleared;
    if (bits.kept != 0) seen = n + std::bit_width(bits.kept);
  }
  tile_place.keys = seen;
  return seen == 0 ? Coverage::none : cleared == 0 ? Coverage::all : Coverage::some;
}

}  // namespace attend::cpu
