#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "../core/forward_tensors.hpp"
#include "../core/softmax_state.hpp"
#include "../core/variant.hpp"

/// @file
/// One output row by the definition, in scalar code: what the paths fall back to for rows that
/// matrix products cannot get right. A product weighs an excluded key by 0, and 0 * NaN is NaN; and
/// where probabilities are divided by their sum at the end, a sum of great values is infinite. So a
/// path multiplies first, and computes a row anew here if it came out non-finite, or if its
/// greatest logit is infinite (is the row empty, or are the logits -inf?) and it is not known that
/// no key was allowed.

namespace attend::cpu {

/// A row of the probability matrix, never stored: what normalises it, and whether there is anything
/// to normalise.
template <class T, class V>
class ProbabilityRow {
 public:
  using Real = RealOf<T>;

  ProbabilityRow(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
                 Index row)
      : problem_(problem),
        variant_(variant),
        tensors_(tensors),
        row_(row),
        band_(variant.band(problem, row.b)),
        keys_(band_.row(row.i)),
        row_counter_(variant.dropout.row_counter(problem, row.b, row.h, row.i)) {
    const Real sink = variant.sink_logit(row.b, row.h);
    has_sink_ = sink != -std::numeric_limits<Real>::infinity();
    if (has_sink_) state_ = state_.with(sink);
    for (std::int64_t j = keys_.begin; j < keys_.end; ++j) {
      if (!allowed(j)) continue;
      empty_ = false;
      state_ = state_.with(logit(j));
    }
  }

  /// Maximum and sum of the logits, sink included.
  const SoftmaxState<Real>& state() const { return state_; }

  /// Whether all keys weigh alike, as none is allowed.
  bool is_uniform() const {
    return empty_ && variant_.empty_row == EmptyRow::uniform && !has_sink_;
  }

  /// Calls `visit(j, p_j)` for each key that takes part in the output, with dropout's factor in
  /// p_j.
  template <class Visit>
  void for_each_key(Visit&& visit) const {
    using std::exp;
    if (!empty_) {
      for (std::int64_t j = keys_.begin; j < keys_.end; ++j)
        if (allowed(j)) visit(j, exp(logit(j) - state_.max) / state_.sum * dropout_factor(j));
    } else if (is_uniform()) {
      for (std::int64_t j = 0; j < band_.length(); ++j)
        visit(j, Real{1} / static_cast<Real>(band_.length()) * dropout_factor(j));
    }
  }

 private:
  Index at(std::int64_t j) const { return {row_.b, row_.h, row_.i, j}; }
  bool allowed(std::int64_t j) const { return variant_.allows(at(j)); }

  Real logit(std::int64_t j) const {
    const std::int64_t h_kv = problem_.head_kv(row_.h);
    Real dot = 0;
    for (std::int64_t c = 0; c < problem_.head_dim; ++c)
      dot += static_cast<Real>(tensors_.q(row_.b, row_.h, row_.i, c)) *
             static_cast<Real>(tensors_.k(row_.b, h_kv, j, c));
    return variant_.logit(dot, at(j), band_.position(row_.i));
  }

  Real dropout_factor(std::int64_t j) const {
    if (!variant_.dropout.active()) return 1;
    return static_cast<Real>(variant_.dropout.factor(row_counter_, j));
  }

  const Problem& problem_;
  const V& variant_;
  const ForwardTensors<T>& tensors_;
  Index row_;
  KeyBand band_;
  KeyRange keys_;
  std::uint64_t row_counter_;
  bool has_sink_ = false;
  bool empty_ = true;
  SoftmaxState<Real> state_;
};

/// The mean of a head's values, which rows without keys have in common unless dropout is on: kept
/// from one of them to the next.
template <class Real>
struct ValueMean {
  std::int64_t b = -1;        ///< batch element
  std::int64_t h_kv = -1;     ///< head of the values
  std::vector<Real> columns;  ///< head_dim_v
};

/// Which columns of a head's values are finite, kept from one row to the next.
class FiniteColumns {
 public:
  /// Of the first `length` values of head (b, h_kv): a flag for each column.
  template <class T>
  const std::vector<bool>& of(const View<const T, 4>& v, std::int64_t b, std::int64_t h_kv,
                              std::int64_t length) {
    if (b_ == b && h_kv_ == h_kv) return finite_;
    b_ = b, h_kv_ = h_kv;
    finite_.assign(static_cast<std::size_t>(v.extent(3)), true);
    for (std::int64_t j = 0; j < length; ++j)
      for (std::int64_t c = 0; c < v.extent(3); ++c)
        if (!std::isfinite(static_cast<RealOf<T>>(v(b, h_kv, j, c))))
          finite_[static_cast<std::size_t>(c)] = false;
    return finite_;
  }

 private:
  std::int64_t b_ = -1, h_kv_ = -1;
  std::vector<bool> finite_;
};

/// Computes output row (row.b, row.h, row.i) and its log-sum-exp; row.j is not looked at.
template <class T, class V>
void exact_row(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
               Index row, ValueMean<RealOf<T>>& mean) {
  using Real = RealOf<T>;
  const ProbabilityRow<T, V> probabilities(problem, variant, tensors, row);
  const std::int64_t h_kv = problem.head_kv(row.h);
  const bool is_mean = probabilities.is_uniform() && !variant.dropout.active();
  std::vector<Real> own;
  std::vector<Real>& sum = is_mean ? mean.columns : own;
  if (!is_mean || mean.b != row.b || mean.h_kv != h_kv) {
    sum.assign(static_cast<std::size_t>(problem.head_dim_v), Real{0});
    probabilities.for_each_key([&](std::int64_t j, Real p) {
      for (std::int64_t c = 0; c < problem.head_dim_v; ++c)
        sum[static_cast<std::size_t>(c)] += p * static_cast<Real>(tensors.v(row.b, h_kv, j, c));
    });
    if (is_mean) mean.b = row.b, mean.h_kv = h_kv;
  }
  for (std::int64_t c = 0; c < problem.head_dim_v; ++c)
    tensors.out(row.b, row.h, row.i, c) = static_cast<T>(sum[static_cast<std::size_t>(c)]);
  if (tensors.lse) tensors.lse(row.b, row.h, row.i) = probabilities.state().lse();
}

}  // namespace attend::cpu
