#pragma once

#include <cstdint>
#include <vector>

#include "exact_gradient.hpp"
#include "fused_hooks.hpp"
#include "score_hook.hpp"

/// @file
/// What of the fused path's backward pass depends on the types of a user's functions, as a table of
/// plain functions.

namespace attend::cpu {

/// Functions of one variant's backward pass.
template <class T>
struct FusedGradientHooks {
  /// Type of scores.
  using Real = RealOf<T>;

  /// As `FusedHooks::mask`.
  Coverage (*mask)(const void* variant, TilePlace& place, std::uint32_t* allowed) = nullptr;
  /// Applies the user's change of scores to a tile, and takes its slopes; null: no such change.
  void (*score)(const void* variant, const TilePlace& place, const ScoreTile<Real>& tile) = nullptr;
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
    hooks.score =
        compiled_for<&score_tile<V, true, 16>, &score_tile<V, true, kAvx2Lanes<typename V::Real>>>(
            EngineOverride::engine());
  return hooks;
}

}  // namespace attend::cpu
