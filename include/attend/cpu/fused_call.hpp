#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "../core/forward_tensors.hpp"
#include "../core/variant.hpp"
#include "engine/kernels.hpp"
#include "fused_hooks.hpp"
#include "fused_plan.hpp"

/// @file
/// One call of the fused path.

namespace attend::cpu {

/// The place of one item of work.
struct FusedItem {
  std::int64_t b;      ///< batch element
  std::int64_t set;    ///< head set
  std::int64_t block;  ///< block of the head set's rows
  std::int64_t split;  ///< split of the keys
};

/// One call of the fused path: what all of its blocks read.
template <class T>
struct FusedCall {
  /// Type of scores.
  using Real = RealOf<T>;

  const Problem& problem;            ///< sizes
  const Variant<Real>& variant;      ///< without the user's functions
  const FusedHooks<T>& hooks;        ///< the user's functions
  const ForwardTensors<T>& tensors;  ///< inputs and outputs
  const Kernels<T>& kernels;         ///< the engine
  const FusedPlan& plan;             ///< the pieces
  View<Real, 3> partial;             ///< partial results; none: rows are written at once

  /// Whether scores need more than a scale before the softmax.
  bool changes_scores() const { return variant.changes_score() || hooks.score != nullptr; }
  /// What raw products are multiplied by when they were not changed; the sign is in the queries.
  Real late_scale() const {
    return changes_scores() || variant.scale == 0 ? Real{1} : std::abs(variant.scale);
  }
  /// The same for exponents of 2; finite, as infinity times a difference of 0 would be NaN.
  Real exponent_scale() const {
    return std::min(late_scale() * kLog2E<Real>, std::numeric_limits<Real>::max());
  }
  /// What queries are multiplied by when they are packed: exact in every type.
  Real query_factor() const {
    if (changes_scores() || variant.scale > 0) return 1;
    return variant.scale < 0 ? Real{-1} : variant.scale * 0;
  }
};

}  // namespace attend::cpu
