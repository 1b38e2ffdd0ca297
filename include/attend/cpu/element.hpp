#pragma once

#include <Eigen/Core>

#include "../core/dtype.hpp"

/// @file
/// Eigen's half types as element types.

namespace attend {

/// IEEE half precision; computed in float.
template <>
struct ElementTraits<Eigen::half> {
  /// Scores and sums.
  using Real = float;
  /// As a value.
  static constexpr Dtype kDtype = Dtype::f16;
};

/// bfloat16; computed in float.
template <>
struct ElementTraits<Eigen::bfloat16> {
  /// Scores and sums.
  using Real = float;
  /// As a value.
  static constexpr Dtype kDtype = Dtype::bf16;
};

}  // namespace attend
