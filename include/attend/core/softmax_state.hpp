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

/// A row after its last key, when the sink has joined.
template <class Real>
struct RowEnd {
  SoftmaxState<Real> state;  ///< with the sink
  Real factor = 0;           ///< what sums of weighted values are multiplied by

  /// Of a row's keys, and of its sink: no sink if that is -inf. A key that is infinitely great
  /// makes it NaN, as infinity - infinity does, a sink 0. Without keys an output is 0, whatever the
  /// sink.
  ATTEND_HD RowEnd(const SoftmaxState<Real>& keys, Real sink)
      : state(sink == -kInfinity<Real> ? keys : keys.merged({sink, 1})) {
    if (keys.sum == 0) return;
    factor = keys.rescale(state.max) / state.sum;
    if (keys.max == state.max) factor += keys.max - keys.max;
  }
};

}  // namespace attend
