#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "../core/dual.hpp"
#include "exact_gradient.hpp"
#include "fused_hooks.hpp"

/// @file
/// What of the fused path's backward pass depends on the types of a user's functions, as a table of
/// plain functions.

namespace attend::cpu {

/// Applies a variant's change of scores to a tile of which nothing is excluded, and multiplies
/// `slopes` by its derivative.
template <class V>
void change_slopes(const V& v, const TilePlace& place, typename V::Real* scores,
                   typename V::Real* slopes) {
  using Real = typename V::Real;
  for (std::int64_t n = 0; n < place.keys; ++n) {
    for (int r = 0; r < place.rows; r += kLanesAtOnce) {
      Real* const score = scores + n * place.width + r;
      Real* const slope = slopes + n * place.width + r;
      Real values[kLanesAtOnce], derivatives[kLanesAtOnce];  // no memory the function may read
      for_each_index(place, r, n, [&](int lane, Index index) {
        const Dual<Real> logit = v.score_mod(Dual<Real>{score[lane], 1}, index);
        values[lane] = logit.value;
        derivatives[lane] = logit.slope;
      });
      for_each_lane(place.rows - r, [&](int lane) {
        score[lane] = values[lane];
        slope[lane] *= derivatives[lane];
      });
    }
  }
}

/// `FusedGradientHooks::score` of a variant.
template <class V>
void score_tile_gradient(const void* variant, const TilePlace& place, const std::uint32_t* allowed,
                         typename V::Real* scores, typename V::Real* slopes) {
  using Real = typename V::Real;
  const V& v = *static_cast<const V*>(variant);
  if (allowed == nullptr && !v.bias) return change_slopes(v, place, scores, slopes);
  constexpr Real kLowest = -std::numeric_limits<Real>::infinity();
  for (std::int64_t n = 0; n < place.keys; ++n) {
    for (int r = 0; r < place.rows; ++r) {
      const std::int64_t element = n * place.width + r;
      const Index at = place.at(r, n);
      if (allowed != nullptr && (allowed[place.word(r, n)] >> (n % 32) & 1) == 0) continue;
      if (v.bias && v.bias(at.b, at.h, at.i, at.j) == kLowest) continue;
      const Dual<Real> logit = v.score_mod(Dual<Real>{scores[element], 1}, at);
      scores[element] = logit.value;
      slopes[element] *= logit.slope;
    }
  }
}

/// Functions of one variant's backward pass.
template <class T>
struct FusedGradientHooks {
  /// Type of scores.
  using Real = RealOf<T>;

  /// As `FusedHooks::mask`.
  Coverage (*mask)(const void* variant, TilePlace& place, std::uint32_t* allowed) = nullptr;
  /// Applies the user's change of scores to a tile (keys x width), and multiplies `slopes` by its
  /// derivative; null: no such change.
  void (*score)(const void* variant, const TilePlace& place, const std::uint32_t* allowed,
                Real* scores, Real* slopes) = nullptr;
  /// Rows of the gradients by the definition; `call` is a `BackwardCall` of the variant's type.
  std::vector<Real> (*dq_row)(const void* call, Index row) = nullptr;
  /// Row (b, h_kv, j) of k's.
  std::vector<Real> (*dk_row)(const void* call, std::int64_t b, std::int64_t h_kv,
                              std::int64_t j) = nullptr;
  /// Row (b, h_kv, j) of v's.
  std::vector<Real> (*dv_row)(const void* call, std::int64_t b, std::int64_t h_kv,
                              std::int64_t j) = nullptr;
  /// What `mask` and `score` are called with.
  const void* variant = nullptr;
  /// What the others are called with.
  const void* call = nullptr;
};

/// The table for a call, which it points to.
template <class T, class V>
FusedGradientHooks<T> fused_gradient_hooks(const BackwardCall<T, V>& call) {
  using Call = BackwardCall<T, V>;
  FusedGradientHooks<T> hooks;
  hooks.mask = fused_hooks<T>(call.variant).mask;
  hooks.variant = &call.variant;
  hooks.call = &call;
  hooks.dq_row = [](const void* self, Index row) {
    return ExactGradient<T, V>(*static_cast<const Call*>(self)).dq_row(row);
  };
  hooks.dk_row = [](const void* self, std::int64_t b, std::int64_t h_kv, std::int64_t j) {
    return ExactGradient<T, V>(*static_cast<const Call*>(self)).dk_row(b, h_kv, j);
  };
  hooks.dv_row = [](const void* self, std::int64_t b, std::int64_t h_kv, std::int64_t j) {
    return ExactGradient<T, V>(*static_cast<const Call*>(self)).dv_row(b, h_kv, j);
  };
  if constexpr (V::kHasScoreMod)
    hooks.score = compiled_for<&score_tile_gradient<V>>(EngineOverride::engine());
  return hooks;
}

}  // namespace attend::cpu
