#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "../core/dual.hpp"
#include "tile_place.hpp"

/// @file
/// A user's change of scores, applied to a tile. Most of it is loops over kLanes lanes, a constant
/// that fits the engine's vectors, of which compilers make vectors too.

namespace attend::cpu {

/// A tile of scores (keys x width) that a user's function is to change.
template <class Real>
struct ScoreTile {
  Real* scores;                            ///< times `scale` what the function is called with
  Real scale;                              ///< 1 where something else changed the scores before
  const std::uint32_t* allowed = nullptr;  ///< (keys / 32) x width words of bits; null: all
  Real* slopes = nullptr;                  ///< backward: for derivatives by the dot products, 0 of
                                           ///< excluded scores and of lanes that are no queries
  Real inner_slope = 1;                    ///< derivative of the scores so far, where it is one
  const Real* inner_slopes = nullptr;      ///< keys x width, where it is not; null: it is
};

/// Applies a variant's change of scores to kLanes lanes from r of rows [n, end), whose
/// indices `index_of(lane, n)` tells.
template <bool kSlopes, int kLanes, class V, class IndexOf>
void change_rows(const V& v, std::int64_t width, const ScoreTile<typename V::Real>& tile, int r,
                 std::int64_t n, std::int64_t end, const IndexOf& index_of) {
  using Real = typename V::Real;
  const Real scale = tile.scale, inner_slope = tile.inner_slope;
  for (; n < end; ++n) {
    const std::int64_t first = n * width + r;
    Real* const score = tile.scores + first;
    Real values[kLanes], slopes[kLanes];  // no memory that the function may read
    for (int lane = 0; lane < kLanes; ++lane) {
      if constexpr (kSlopes) {
        const Dual<Real> logit = v.score_mod(Dual<Real>{score[lane] * scale, 1}, index_of(lane, n));
        values[lane] = logit.value;
        slopes[lane] = logit.slope;
      } else {
        values[lane] = static_cast<Real>(v.score_mod(score[lane] * scale, index_of(lane, n)));
      }
    }
    std::copy_n(values, kLanes, score);
    if constexpr (kSlopes) {
      if (tile.inner_slopes == nullptr)
        for (Real& slope : slopes) slope *= inner_slope;
      else
        for (int lane = 0; lane < kLanes; ++lane) slopes[lane] *= tile.inner_slopes[first + lane];
      std::copy_n(slopes, kLanes, tile.slopes + first);
    }
  }
}

/// Whether a score is excluded by a bit, or by a bias of -infinity.
template <class V>
bool is_excluded(const V& v, const TilePlace& place, const ScoreTile<typename V::Real>& tile, int r,
                 std::int64_t n) {
  const Index at = place.at(r, n);
  const bool by_bit =
      tile.allowed != nullptr && (tile.allowed[place.word(r, n)] >> (n % 32) & 1) == 0;
  return by_bit || (v.bias && v.bias(at.b, at.h, at.i, at.j) ==
                                  -std::numeric_limits<typename V::Real>::infinity());
}

/// Applies it to those of some lanes of row n that are not excluded: the function is called for no
/// others.
template <bool kSlopes, class V>
void change_allowed(const V& v, const TilePlace& place, const ScoreTile<typename V::Real>& tile,
                    int r, int lanes, std::int64_t n) {
  using Real = typename V::Real;
  for (const int end = r + lanes; r < end; ++r) {
    const std::int64_t element = n * place.width + r;
    const Real score = tile.scores[element] * tile.scale;
    const bool excluded = is_excluded(v, place, tile, r, n);
    if constexpr (kSlopes) {
      const Real inner =
          tile.inner_slopes == nullptr ? tile.inner_slope : tile.inner_slopes[element];
      tile.slopes[element] = 0;
      if (excluded) continue;
      const Dual<Real> logit = v.score_mod(Dual<Real>{score, 1}, place.at(r, n));
      tile.scores[element] = logit.value;
      tile.slopes[element] = logit.slope * inner;
    } else if (!excluded) {
      tile.scores[element] = static_cast<Real>(v.score_mod(score, place.at(r, n)));
    }
  }
}

/// Bits of up to 32 rows from `first` in which kLanes lanes from r have no excluded score.
template <int kLanes, class V>
std::uint32_t whole_rows(const V& v, const TilePlace& place,
                         const ScoreTile<typename V::Real>& tile, int r, std::int64_t first) {
  using Real = typename V::Real;
  std::uint32_t whole = ~std::uint32_t{0};
  if (tile.allowed != nullptr) {
    const std::uint32_t* const words = tile.allowed + place.word(r, first);
    for (int lane = 0; lane < kLanes; ++lane) whole &= words[lane];
  }
  if (!v.bias) return whole;
  for (std::int64_t n = first; n < std::min(first + 32, place.keys); ++n) {
    const Real* const score = tile.scores + n * place.width + r;
    int excluded = 0;  // which the bias has made -infinity
    for (int lane = 0; lane < kLanes; ++lane)
      excluded |= score[lane] == -std::numeric_limits<Real>::infinity();
    whole &= ~(std::uint32_t{excluded != 0} << (n - first));
  }
  return whole;
}

/// Applies a variant's change of scores to a tile, and takes slopes where they are asked for.
template <class V, bool kSlopes, int kLanes>
void score_tile(const void* variant, const TilePlace& tile_place,
                const ScoreTile<typename V::Real>& scores) {
  using Real = typename V::Real;
  const V& v = *static_cast<const V*>(variant);
  const TilePlace place = tile_place;
  const ScoreTile<Real> tile = scores;
  if constexpr (kSlopes)
    for (std::int64_t n = 0; n < place.keys; ++n)
      std::fill_n(tile.slopes + n * place.width + place.rows, place.width - place.rows, Real{0});
  const bool in_a_row = place.in_a_row();
  for (int r = 0; r < place.rows; r += kLanes) {
    const int lanes = std::min<int>(kLanes, place.rows - r);
    const Index at = place.at(r, 0);
    for (std::int64_t first = 0; first < place.keys; first += 32) {
      const std::int64_t last = std::min(first + 32, place.keys);
      const std::uint32_t whole =
          lanes == kLanes ? whole_rows<kLanes>(v, place, tile, r, first) : 0;
      for (std::int64_t n = first; n < last;) {
        const std::int64_t end = std::min(n + std::countr_one(whole >> (n - first)), last);
        if (n == end) {
          change_allowed<kSlopes>(v, place, tile, r, lanes, n++);
        } else if (in_a_row) {
          change_rows<kSlopes, kLanes>(v, place.width, tile, r, n, end,
                                       [&](int lane, std::int64_t row) {
                                         return Index{at.b, at.h, at.i + lane, at.j + row};
                                       });
          n = end;
        } else {
          change_rows<kSlopes, kLanes>(
              v, place.width, tile, r, n, end,
              [&](int lane, std::int64_t row) { return place.at(r + lane, row); });
          n = end;
        }
      }
    }
  }
}

}  // namespace attend::cpu
