#pragma once

#include <cmath>
#include <cstdint>

#include "config.hpp"
#include "dual.hpp"
#include "problem.hpp"

/// @file
/// The chain rule for one score: from the gradient of the output to the gradients of a probability,
/// a logit and a dot product.

namespace attend {

/// Above this size, for elements of type T, a stored log-sum-exp has lost the logarithm of the sum
/// to rounding (each of two keys with logits of 1e30 would get probability 1), and logits that are
/// summed in another order differ too much from those that it was taken of: maximum and sum are
/// computed again.
template <class T>
inline constexpr double kTrustedLse = sizeof(T) < sizeof(float) ? 1024 : 128;

/// The size of a log-sum-exp up to which it is trusted, for a problem. Lower where there are few
/// queries and keys: there the forward pass may have summed products in another order, which shows
/// in the wider types where few keys have most of the weight, and little has to be computed again.
/// (Keys that weigh alike give a log-sum-exp of the logarithm of their number.)
template <class T>
ATTEND_HD float trusted_lse(const Problem& problem) {
  using std::log;
  constexpr std::int64_t kFewRows = 8, kFewKeys = 4096;
  if (sizeof(T) < sizeof(float) || problem.len_q * problem.group() > kFewRows ||
      problem.len_k > kFewKeys)
    return static_cast<float>(kTrustedLse<T>);
  return 4 + log(static_cast<float>(problem.len_k));
}

/// What the gradients of one row (b, h, i) of the score matrix need to know of the whole row: the
/// probability of a logit s is `exp(s - shift) * factor`.
template <class Real>
struct RowGradient {
  Real shift = 0;  ///< the log-sum-exp, or the greatest logit
  /// Then 1, or 1 / sum exp(s - greatest). NaN where the probabilities are, as infinity - infinity
  /// is: the allowed keys' logits are all -inf, one is +inf or NaN.
  Real factor = 1;
  /// `sum_j weight_j <grad_out, v_j> - grad_lse = <grad_out, out> - grad_lse`, which every
  /// probability's gradient is measured from (Dao et al., "FlashAttention", 2022, section B.2).
  Real delta = 0;
  /// The weight of every key, before dropout, in a row without allowed keys under
  /// `EmptyRow::uniform`; 0 in every other row.
  Real uniform = 0;

  /// The probability of a logit.
  ATTEND_HD Real probability(Real logit) const {
    using std::exp;
    return exp(logit - shift) * factor;
  }
};

/// Gradients of the loss at one allowed pair of query and key.
template <class Real>
struct PairGradient {
  Real weight = 0;  ///< the probability with dropout's factor: what v's gradient takes of grad_out
  Real unmodified = 0;  ///< the score before the user's function
  Real logit = 0;       ///< by the logit
  Real score = 0;       ///< by the score before the user's function: the bias' gradient
  Real dot = 0;  ///< by the dot product of query and key: what q's gradient takes of k, k's of q
};

/// A pair's score, and its logit by the score, each with its derivative; from its dot product.
template <class Real>
struct PairLogit {
  Dual<Real> score;  ///< before the user's function, by the dot product
  Dual<Real> logit;  ///< by the score

  /// Of the pair `at`, whose query is at `position` among the keys.
  template <class V>
  ATTEND_HD PairLogit(const V& variant, Index at, std::int64_t position, Real dot)
      : score(variant.score(Dual<Real>{dot, 1}, at, position)),
        logit(variant.score_mod(Dual<Real>{score.value, 1}, at)) {}
};

/// The gradients at an allowed pair, from its dot product, `grad_weight = <grad_out, v_j>`,
/// dropout's factor, and what is known of the row. `position` is the query's.
template <class V>
ATTEND_HD PairGradient<typename V::Real> pair_gradient(const V& variant, Index at,
                                                       std::int64_t position, typename V::Real dot,
                                                       typename V::Real grad_weight,
                                                       typename V::Real dropout_factor,
                                                       const RowGradient<typename V::Real>& row) {
  using Real = typename V::Real;
  const auto [score, logit] = PairLogit<Real>(variant, at, position, dot);
  const Real probability = row.probability(logit.value);

  PairGradient<Real> gradient;
  gradient.weight = probability * dropout_factor;
  gradient.unmodified = score.value;
  gradient.logit = probability * (grad_weight * dropout_factor - row.delta);
  gradient.score = gradient.logit * logit.slope;
  gradient.dot = gradient.score * score.slope;
  return gradient;
}

}  // namespace attend
