#pragma once

#include <cstdint>

#include "../core/forward_tensors.hpp"
#include "../core/variant.hpp"
#include "engine/compiled_for.hpp"
#include "exact_row.hpp"
#include "mask_hook.hpp"
#include "score_hook.hpp"
#include "tile_place.hpp"

/// @file
/// What of the fused path depends on the types of a user's functions, as a table of plain
/// functions: the engines and the driver are compiled once, not once per user's function. What
/// calls the user's functions for whole tiles is compiled for the engine's instructions.

namespace attend::cpu {

/// Functions of one variant.
template <class T>
struct FusedHooks {
  /// Type of scores.
  using Real = RealOf<T>;

  /// Clears the bits of keys that the user's mask excludes, cuts off keys at the end that no lane
  /// sees, and says what is left: all bits, some or none. Null: no such mask.
  Coverage (*mask)(const void* variant, TilePlace& place, std::uint32_t* allowed) = nullptr;
  /// Applies the user's change of scores to a tile; null: no such change.
  void (*score)(const void* variant, const TilePlace& place, const ScoreTile<Real>& tile) = nullptr;
  /// One row by the definition.
  void (*exact_row)(const Problem& problem, const void* variant, const ForwardTensors<T>& tensors,
                    Index row, ValueMean<Real>& mean) = nullptr;
  /// What the functions are called with.
  const void* variant = nullptr;
};

/// The table for a variant, which it points to.
template <class T, class V>
FusedHooks<T> fused_hooks(const V& variant) {
  constexpr int kLanes = kAvx2Lanes<typename V::Real>;
  const Engine engine = EngineOverride::engine();
  FusedHooks<T> hooks;
  hooks.variant = &variant;
  hooks.exact_row = [](const Problem& problem, const void* self, const ForwardTensors<T>& tensors,
                       Index row, ValueMean<RealOf<T>>& mean) {
    cpu::exact_row(problem, *static_cast<const V*>(self), tensors, row, mean);
  };
  if constexpr (V::kHasMaskMod)
    hooks.mask = compiled_for<&mask_tile<V, 16>, &mask_tile<V, kLanes>>(engine);
  if constexpr (V::kHasScoreMod)
    hooks.score = compiled_for<&score_tile<V, false, 16>, &score_tile<V, false, kLanes>>(engine);
  return hooks;
}

}  // namespace attend::cpu
