#pragma once

#include <algorithm>
#include <cstdint>

#include "../core/dropout.hpp"
#include "../core/keys.hpp"
#include "../core/variant.hpp"
#include "engine/kernels.hpp"
#include "tile_place.hpp"

/// @file
/// What the engines ask of each lane of a tile of scores beside its bits, in both passes.

namespace attend::cpu {

/// Distances up to this are exact in every type of scores.
inline constexpr std::int64_t kExactDistance = 1 << 22;

/// Writes each lane's position minus the tile's first key, for ALiBi. Returns false if one of them
/// may not be exact in the scores' type.
template <class Real>
bool set_distances(const KeyBand& band, const TilePlace& place, Real* distance) {
  for (int r = 0; r < place.rows; ++r) {
    const std::int64_t exact = saturating_add(band.position(place.query[r]), -place.first_key);
    if (exact > kExactDistance || exact < -kExactDistance) return false;
    distance[r] = static_cast<Real>(exact);
  }
  std::fill(distance + place.rows, distance + place.width, Real{0});
  return true;
}

/// ALiBi of a tile whose distances are too great for that, score by score.
template <class Real>
void add_far_alibi(const Variant<Real>& variant, const KeyBand& band, const TilePlace& place,
                   Real* scores) {
  for (std::int64_t n = 0; n < place.keys; ++n)
    for (int r = 0; r < place.rows; ++r)
      scores[n * place.width + r] -=
          variant.alibi(place.b, place.head[r]) *
          Variant<Real>::distance(band.position(place.query[r]), place.first_key + n);
}

/// Dropout of a tile; the lanes' counters are written to `low` and `high`.
inline LaneDropout lane_dropout(const Problem& problem, const Dropout& dropout,
                                const TilePlace& place, std::uint32_t* low, std::uint32_t* high) {
  for (int r = 0; r < place.width; ++r) {
    const std::uint64_t counter =
        r < place.rows ? dropout.row_counter(problem, place.b, place.head[r], place.query[r]) +
                             static_cast<std::uint64_t>(place.first_key / 4)
                       : 0;
    low[r] = static_cast<std::uint32_t>(counter);
    high[r] = static_cast<std::uint32_t>(counter >> 32);
  }
  // A probability of 1 drops by its scale of 0; its threshold of 2^32 is no word.
  const auto threshold =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(dropout.threshold, UINT32_MAX));
  return {low, high, dropout.rng.seed, threshold};
}

}  // namespace attend::cpu
