#pragma once

#include <cmath>

#include "config.hpp"
#include "dtype.hpp"

/// @file
/// The online softmax (Milakov, Gimelshein, "Online normalizer calculation for softmax", 2018) as a
/// monoid: states of disjoint sets of keys merge, in any grouping, into the state of their union.

namespace attend {

/// Maximum and sum of exponentials of a set of logits: `sum = sum_j exp(s_j - max)`.
/// The empty set is (-inf, 0), the neutral element.
template <class Real>
struct SoftmaxState {
  Real max = -kInfinity<Real>;  ///< greatest logit
  Real sum = 0;                 ///< of exp(logit - max)

  /// What a sum that was taken against `max` is multiplied by when the maximum becomes `to`. An
  /// empty set keeps weight 0 (there -inf - -inf would be NaN).
  ATTEND_HD Real rescale(Real to) const {
    using std::exp;
    return max == to ? Real{1} : sum == 0 ? Real{0} : exp(max - to);
  }

  /// The state of two sets together.
  ATTEND_HD SoftmaxState merged(const SoftmaxState& other) const {
    const Real top = max < other.max ? other.max : max;
    return {top, sum * rescale(top) + other.sum * other.rescale(top)};
  }

  /// The state with one more logit.
  ATTEND_HD SoftmaxState with(Real logit) const { return merged({logit, 1}); }

  /// Log-sum-exp: ln(sum) + max; -inf for the empty set.
  ATTEND_HD Real lse() const {
    using std::log;
    return sum == 0 ? -kInfinity<Real> : log(sum) + max;
  }
};

}  // namespace attend
