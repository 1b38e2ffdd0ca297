#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "math_forward.hpp"
#include "query_states.hpp"

/// @file
/// The gradients of a block of scores, pair by pair, by two matrix products.

namespace attend::cpu {

/// A log-sum-exp that is trusted where maximum and sum can be had for little, scores being in
/// memory: the rounding of greater ones is seen in weights of wider types.
template <class T>
inline constexpr double kTrustedBesideScores = sizeof(T) < sizeof(float) ? kTrustedLse<T> : 16;

/// What is known of the row of `at`, whose dot products are `dots`. Where the log-sum-exp says too
/// little, maximum and sum are those of the very logits that gradients are then computed from.
template <class T, class V, class Dots>
RowGradient<RealOf<T>> state_of_row(const BackwardCall<T, V>& call, Index at, std::int64_t position,
                                    const KeyRange& keys, const Dots& dots) {
  using Real = RealOf<T>;
  RowGradient<Real> state = call.states(at);
  if (!beyond(call.tensors.lse(at.b, at.h, at.i), kTrustedBesideScores<T>)) return state;
  SoftmaxState<Real> of_row;
  const Real sink = call.variant.sink_logit(at.b, at.h);
  if (sink != -kInfinity<Real>) of_row = of_row.with(sink);
  for (at.j = keys.begin; at.j < keys.end; ++at.j)
    if (call.variant.allows(at))
      of_row = of_row.with(PairLogit<Real>(call.variant, at, position, dots(at.j)).logit.value);
  state.shift = of_row.max;
  state.factor = 1 / of_row.sum;
  return state;
}

/// Calls `visit(at, pair_gradient)` for each allowed pair of queries `first <= i < first +
/// q.rows()` of a head, row by row. Excluded pairs are not looked at. `q`, `grad_out`: those
/// queries' rows; `k`, `v`: all keys.
template <class T, class V, class Visit>
void for_each_pair(const BackwardCall<T, V>& call, std::int64_t b, std::int64_t h,
                   std::int64_t first, const Matrix<RealOf<T>>& q, const Matrix<RealOf<T>>& k,
                   const Matrix<RealOf<T>>& grad_out, const Matrix<RealOf<T>>& v, Visit&& visit) {
  const Matrix<RealOf<T>> dots = q * k.transpose();
  const Matrix<RealOf<T>> grad_weights = grad_out * v.transpose();
  const KeyBand band = call.variant.band(call.problem, b);
  for (std::int64_t row = 0; row < q.rows(); ++row) {
    Index at{b, h, first + row, 0};
    const std::int64_t position = band.position(at.i);
    const KeyRange keys = band.row(at.i);
    const RowGradient<RealOf<T>> state = state_of_row(call, at, position, keys, dots.row(row));
    for (at.j = keys.begin; at.j < keys.end; ++at.j)
      if (call.variant.allows(at))
        visit(at, pair_gradient(call.variant, at, position, dots(row, at.j),
                                grad_weights(row, at.j), call.dropout_factor(at), state));
  }
}

/// Calls `visit(at, weight)` for each key of the rows of a head that give the mean of v.
template <class T, class V, class Visit>
void for_each_uniform_pair(const BackwardCall<T, V>& call, std::int64_t b, std::int64_t h,
                           Visit&& visit) {
  if (call.variant.empty_row != EmptyRow::uniform) return;
  const std::int64_t length = call.variant.band(call.problem, b).length();
  Index at{b, h, 0, 0};
  for (at.i = 0; at.i < call.problem.len_q; ++at.i) {
    const RealOf<T> uniform = call.states(at).uniform;
    if (uniform == 0) continue;
    for (at.j = 0; at.j < length; ++at.j) visit(at, uniform * call.dropout_factor(at));
  }
}

}  // namespace attend::cpu
