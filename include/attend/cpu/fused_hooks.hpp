#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "../core/forward_tensors.hpp"
#include "../core/variant.hpp"
#include "engine/compiled_for.hpp"
#include "exact_row.hpp"

/// @file
/// What of the fused path depends on the types of a user's functions, as a table of plain
/// functions: the engines and the driver are compiled once, not once per user's function. What
/// calls the user's functions for whole tiles is compiled for the engine's instructions.

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
  /// Whether the lanes are queries of one head in a row.
  bool in_a_row() const {
    const int last = rows - 1;
    return head[0] == head[last] && query[last] - query[0] == last;
  }
  /// The word that has bit n % 32 for lane r and row n.
  std::int64_t word(int r, std::int64_t n) const { return n / 32 * width + r; }
};

/// What a mask says of a whole tile; `some` where the lanes are not queries of one head in a row.
template <class MaskMod>
Coverage coverage_of(const MaskMod& mask, const TilePlace& place) {
  if (!place.in_a_row()) return Coverage::some;
  return mask.coverage({place.b, place.head[0], place.query[0], place.query[0] + place.rows,
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

/// Calls body(lane, index) for up to kLanesAtOnce lanes from r in row n of a tile. Lanes in a row
/// have indices that need no memory, and what depends on the head is the same for all.
template <class Body>
void for_each_index(const TilePlace& place, int r, std::int64_t n, const Body& body) {
  const Index first = place.at(r, n);
  if (place.in_a_row()) {
    for_each_lane(place.rows - r, [&](int lane) {
      body(lane, Index{first.b, first.h, first.i + lane, first.j});
    });
  } else {
    for_each_lane(place.rows - r, [&](int lane) { body(lane, place.at(r + lane, n)); });
  }
}

/// Applies a variant's change of scores to a tile of which nothing is excluded.
template <class V>
void change_scores(const V& v, const TilePlace& place, typename V::Real* scores) {
  for (std::int64_t n = 0; n < place.keys; ++n) {
    for (int r = 0; r < place.rows; r += kLanesAtOnce) {
      typename V::Real* const at = scores + n * place.width + r;
      typename V::Real changed[kLanesAtOnce];  // no memory that the function may read
      for_each_index(place, r, n, [&](int lane, Index index) {
        changed[lane] = static_cast<typename V::Real>(v.score_mod(at[lane], index));
      });
      for_each_lane(place.rows - r, [&](int lane) { at[lane] = changed[lane]; });
    }
  }
}

/// `FusedHooks::mask` of a variant.
template <class V>
Coverage mask_tile(const void* variant, TilePlace& place, std::uint32_t* allowed) {
  const V& v = *static_cast<const V*>(variant);
  const Coverage coverage = coverage_of(v.mask_mod, place);
  if (coverage != Coverage::some) return coverage;
  std::uint32_t cleared = 0;
  std::int64_t seen = 0;
  for (std::int64_t n = 0; n < place.keys; n += 32) {
    const int keys = static_cast<int>(std::min<std::int64_t>(32, place.keys - n));
    std::uint32_t kept = 0;
    for (int r = 0; r < place.rows; r += kLanesAtOnce) {
      std::uint32_t word[kLanesAtOnce] = {};
      for (int key = 0; key < keys; ++key) {
        for_each_index(place, r, n + key, [&](int lane, Index index) {
          word[lane] |= std::uint32_t{v.mask_mod(index)} << key;
        });
      }
      std::uint32_t* const words = allowed + place.word(r, n);
      for_each_lane(place.rows - r, [&](int lane) {
        cleared |= words[lane] & ~word[lane];
        kept |= words[lane] &= word[lane];
      });
    }
    if (kept != 0) seen = n + std::bit_width(kept);
  }
  place.keys = seen;
  return seen == 0 ? Coverage::none : cleared == 0 ? Coverage::all : Coverage::some;
}

/// `FusedHooks::score` of a variant.
template <class V>
void score_tile(const void* variant, const TilePlace& place, const std::uint32_t* allowed,
                typename V::Real* scores) {
  using Real = typename V::Real;
  const V& v = *static_cast<const V*>(variant);
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
}

/// Functions of one variant.
template <class T>
struct FusedHooks {
  /// Type of scores.
  using Real = RealOf<T>;

  /// Clears the bits of keys that the user's mask excludes, cuts off keys at the end that no lane
  /// sees, and says what is left: all bits, some or none. Null: no such mask.
  Coverage (*mask)(const void* variant, TilePlace& place, std::uint32_t* allowed) = nullptr;
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
  const Engine engine = EngineOverride::engine();
  FusedHooks<T> hooks;
  hooks.variant = &variant;
  hooks.exact_row = [](const Problem& problem, const void* self, const ForwardTensors<T>& tensors,
                       Index row) {
    cpu::exact_row(problem, *static_cast<const V*>(self), tensors, row);
  };
  if constexpr (V::kHasMaskMod) hooks.mask = compiled_for<&mask_tile<V>>(engine);
  if constexpr (V::kHasScoreMod) hooks.score = compiled_for<&score_tile<V>>(engine);
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
