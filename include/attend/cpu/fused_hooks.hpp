#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "../core/forward_tensors.hpp"
#include "../core/variant.hpp"
#include "exact_row.hpp"

/// @file
/// What of the fused path depends on the types of a user's functions, as a table of plain
/// functions: the engines and the driver are compiled once, not once per user's function.

namespace attend::cpu {

/// Where a tile of scores stands: lane r is query `query[r]` of head `head[r]`, row n is key
/// `first_key + n`.
struct TilePlace {
  std::int64_t b;             ///< batch element
  const std::int64_t* head;   ///< query head of each lane
  const std::int64_t* query;  ///< query of each lane
  int rows;                   ///< lanes that are queries
  std::int64_t width;         ///< lanes, padding included
  std::int64_t first_key;     ///< key of row 0
  std::int64_t keys;          ///< keys

  /// The score in lane r and row n.
  Index at(int r, std::int64_t n) const { return {b, head[r], query[r], first_key + n}; }
  /// The word that has bit n % 32 for lane r and row n.
  std::int64_t word(int r, std::int64_t n) const { return n / 32 * width + r; }
};

/// What a mask says of a whole tile; `some` where the lanes are not queries of one head in a row.
template <class MaskMod>
Coverage coverage_of(const MaskMod& mask, const TilePlace& place) {
  const int last = place.rows - 1;
  if (place.head[0] != place.head[last] || place.query[last] - place.query[0] != last)
    return Coverage::some;
  return mask.coverage({place.b, place.head[0], place.query[0], place.query[last] + 1,
                        place.first_key, place.first_key + place.keys});
}

/// Lanes that a user's function is called for in one loop.
constexpr int kLanesAtOnce = 16;

/// Calls body(lane) for up to kLanesAtOnce lanes. That is the usual number and a constant, so that
/// compilers can make vectors of it.
template <class Body>
void for_each_lane(int lanes, const Body& body) {
  if (lanes >= kLanesAtOnce) {
    for (int lane = 0; lane < kLanesAtOnce; ++lane) body(lane);
  } else {
    for (int lane = 0; lane < lanes; ++lane) body(lane);
  }
}

/// Applies a variant's change of scores to a tile of which nothing is excluded.
template <class V>
void change_scores(const V& v, const TilePlace& place, typename V::Real* scores) {
  for (std::int64_t n = 0; n < place.keys; ++n) {
    for (int r = 0; r < place.rows; r += kLanesAtOnce) {
      typename V::Real* const at = scores + n * place.width + r;
      typename V::Real changed[kLanesAtOnce];  // no memory that the function may read
      for_each_lane(place.rows - r, [&](int lane) {
        changed[lane] = static_cast<typename V::Real>(v.score_mod(at[lane], place.at(r + lane, n)));
      });
      for_each_lane(place.rows - r, [&](int lane) { at[lane] = changed[lane]; });
    }
  }
}

/// Functions of one variant.
template <class T>
struct FusedHooks {
  /// Type of scores.
  using Real = RealOf<T>;

  /// Clears the bits of keys that the user's mask excludes; false if it excludes the whole tile.
  /// Null: no such mask.
  bool (*mask)(const void* variant, const TilePlace& place, std::uint32_t* allowed) = nullptr;
  /// Applies the user's change of scores to a tile (keys x width); null: no such change.
  void (*score)(const void* variant, const TilePlace& place, const std::uint32_t* allowed,
                Real* scores) = nullptr;
  /// One row by the definition.
  void (*exact_row)(const Problem& problem, const void* variant, const ForwardTensors<T>& tensors,
                    Index row) = nullptr;
  /// What the functions are called with.
  const void* variant = nullptr;
};

/// The table for a variant, which it points to.
template <class T, class V>
FusedHooks<T> fused_hooks(const V& variant) {
  using Real = RealOf<T>;
  FusedHooks<T> hooks;
  hooks.variant = &variant;
  hooks.exact_row = [](const Problem& problem, const void* self, const ForwardTensors<T>& tensors,
                       Index row) {
    cpu::exact_row(problem, *static_cast<const V*>(self), tensors, row);
  };
  if constexpr (V::kHasMaskMod) {
    hooks.mask = [](const void* self, const TilePlace& place, std::uint32_t* allowed) {
      const V& v = *static_cast<const V*>(self);
      const Coverage coverage = coverage_of(v.mask_mod, place);
      if (coverage == Coverage::all) return true;
      if (coverage == Coverage::none) {
        std::fill_n(allowed, (place.keys + 31) / 32 * place.width, 0);
        return false;
      }
      std::uint32_t any = 0;
      for (std::int64_t n = 0; n < place.keys; n += 32) {
        const int keys = static_cast<int>(std::min<std::int64_t>(32, place.keys - n));
        for (int r = 0; r < place.rows; r += kLanesAtOnce) {
          std::uint32_t word[kLanesAtOnce] = {};
          for (int key = 0; key < keys; ++key) {
            for_each_lane(place.rows - r, [&](int lane) {
              word[lane] |= std::uint32_t{v.mask_mod(place.at(r + lane, n + key))} << key;
            });
          }
          std::uint32_t* const words = allowed + place.word(r, n);
          for_each_lane(place.rows - r, [&](int lane) { any |= words[lane] &= word[lane]; });
        }
      }
      return any != 0;
    };
  }
  if constexpr (V::kHasScoreMod) {
    hooks.score = [](const void* self, const TilePlace& place, const std::uint32_t* allowed,
                     Real* scores) {
      const V& v = *static_cast<const V*>(self);
      if (allowed == nullptr && !v.bias) return change_scores(v, place, scores);
      constexpr Real kLowest = -std::numeric_limits<Real>::infinity();
      for (std::int64_t n = 0; n < place.keys; ++n) {
        for (int r = 0; r < place.rows; ++r) {
          Real& score = scores[n * place.width + r];
          const Index at = place.at(r, n);
          if (allowed != nullptr && (allowed[place.word(r, n)] >> (n % 32) & 1) == 0) continue;
          const bool excluded = v.bias && v.bias(at.b, at.h, at.i, at.j) == kLowest;
          score = excluded ? kLowest : static_cast<Real>(v.score_mod(score, at));
        }
      }
    };
  }
  return hooks;
}

/// The variant without the user's functions.
template <class V>
Variant<typename V::Real> without_functions(const V& v) {
  Variant<typename V::Real> plain;
  plain.scale = v.scale;
  plain.softcap = v.softcap;
  plain.bias = v.bias;
  plain.alibi = v.alibi;
  plain.mask = v.mask;
  plain.sink = v.sink;
  plain.causal = v.causal;
  plain.window = v.window;
  plain.alignment = v.alignment;
  plain.offsets = v.offsets;
  plain.key_lengths = v.key_lengths;
  plain.dropout = v.dropout;
  plain.empty_row = v.empty_row;
  return plain;
}

}  // namespace attend::cpu
