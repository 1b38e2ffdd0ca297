#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "../core/backward_tensors.hpp"
#include "../core/score_gradient.hpp"
#include "exact_row.hpp"
#include "workers.hpp"

/// @file
/// What a backward pass knows of every row before it looks at any score.

namespace attend::cpu {

/// Whether query (row.b, row.h, row.i) is allowed any key; row.j is not looked at.
template <class V>
bool has_allowed_key(const Problem& problem, const V& variant, Index row) {
  const KeyRange keys = variant.band(problem, row.b).row(row.i);
  for (row.j = keys.begin; row.j < keys.end; ++row.j)
    if (variant.allows(row)) return true;
  return false;
}

/// Whether a log-sum-exp is finite and says too little, being beyond `trusted`.
template <class Real>
bool beyond(Real lse, double trusted) {
  return std::isfinite(lse) && std::abs(lse) > static_cast<Real>(trusted);
}

/// A log-sum-exp beyond this says nothing of the sum, not even to those who ask for single rows:
/// the sink's gradient, and rows by the definition. Others take a distrusted row's maximum and sum
/// from the products that they have.
inline constexpr double kTellingLse = 1024;

/// The dot product of row (row.b, row.h, row.i) of two tensors of one shape.
template <class T>
RealOf<T> product_of_rows(const View<const T, 4>& a, const View<const T, 4>& b, const Index& row) {
  using Real = RealOf<T>;
  const std::int64_t columns = a.extent(3);
  if (a.stride(3) == 1 && b.stride(3) == 1) {
    const auto in_order = [&](const View<const T, 4>& tensor) {
      using Row = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;
      return Row(tensor.address(row.b, row.h, row.i), columns).template cast<Real>();
    };
    return (in_order(a) * in_order(b)).sum();
  }
  Real product = 0;
  for (std::int64_t c = 0; c < columns; ++c)
    product +=
        static_cast<Real>(a(row.b, row.h, row.i, c)) * static_cast<Real>(b(row.b, row.h, row.i, c));
  return product;
}

/// One `RowGradient` per row (b, h, i).
template <class Real>
class QueryStates {
 public:
  /// Takes them from `out`, `lse` and their gradients.
  template <class T, class V>
  QueryStates(const Problem& problem, const V& variant, const BackwardTensors<T>& tensors,
              const Workers& workers)
      : heads_(problem.heads),
        len_q_(problem.len_q),
        states_(static_cast<std::size_t>(problem.batch * problem.heads * problem.len_q)) {
    workers.for_each(problem.batch * problem.heads, [&](std::int64_t head, int) {
      Index row{head / problem.heads, head % problem.heads, 0, 0};
      for (; row.i < problem.len_q; ++row.i)
        states_[place(row)] = state(problem, variant, tensors, row);
    });
  }

  /// Of a row; `row.j` is not looked at.
  const RowGradient<Real>& operator()(Index row) const { return states_[place(row)]; }
  /// Of query 0 of a head; the head's other queries follow.
  const RowGradient<Real>* head(std::int64_t b, std::int64_t h) const {
    return states_.data() + place({b, h, 0, 0});
  }

 private:
  template <class T, class V>
  static RowGradient<Real> state(const Problem& problem, const V& variant,
                                 const BackwardTensors<T>& tensors, Index row) {
    constexpr Real kInfinity = std::numeric_limits<Real>::infinity();
    const Real lse = tensors.lse(row.b, row.h, row.i);
    const Real grad_lse = tensors.grad_lse ? tensors.grad_lse(row.b, row.h, row.i) : Real{0};
    const Real product = product_of_rows(tensors.grad_out, tensors.out, row);

    RowGradient<Real> state{.shift = lse, .delta = product - grad_lse};
    if (beyond(lse, kTellingLse)) {
      const ForwardTensors<T> inputs{.q = tensors.q, .k = tensors.k, .v = tensors.v};
      const ProbabilityRow<T, V> probabilities(problem, variant, inputs, row);
      state.shift = probabilities.state().max;
      state.factor = 1 / probabilities.state().sum;
    }
    const bool without_logit = lse == -kInfinity;
    if ((without_logit || !std::isfinite(product)) && !has_allowed_key(problem, variant, row)) {
      state.delta = -grad_lse;             // the output is no function of anything
      if (without_logit) state.shift = 0;  // an excluded score is -inf, and -inf - -inf is NaN
      const std::int64_t length = variant.band(problem, row.b).length();
      if (without_logit && variant.empty_row == EmptyRow::uniform && length > 0)
        state.uniform = 1 / static_cast<Real>(length);
    } else if (!std::isfinite(lse)) {
      state.factor = std::numeric_limits<Real>::quiet_NaN();
    }
    return state;
  }

  std::size_t place(Index row) const {
    return static_cast<std::size_t>((row.b * heads_ + row.h) * len_q_ + row.i);
  }

  std::int64_t heads_, len_q_;
  std::vector<RowGradient<Real>> states_;
};

/// Everything a backward pass is computed from.
template <class T, class V>
struct BackwardCall {
  const Problem& problem;                ///< sizes
  const V& variant;                      ///< what was asked for; dropout as the forward pass had it
  const BackwardTensors<T>& tensors;     ///< what is read and written
  const QueryStates<RealOf<T>>& states;  ///< of every row

  /// Dropout's factor of a pair.
  RealOf<T> dropout_factor(Index at) const {
    if (!variant.dropout.active()) return 1;
    return static_cast<RealOf<T>>(
        variant.dropout.factor(variant.dropout.row_counter(problem, at.b, at.h, at.i), at.j));
  }
};

}  // namespace attend::cpu
