#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <limits>

#include "../core/forward_tensors.hpp"
#include "../core/variant.hpp"
#include "element.hpp"
#include "engine/flush_subnormals.hpp"
#include "exact_row.hpp"
#include "workers.hpp"

/// @file
/// The math path: attention as the textbook writes it, `softmax(scale Q K^T) V`, with the score
/// matrix in memory. It is the reference for the other paths.

namespace attend::cpu {

/// A row-major matrix of scores, probabilities or operands in the type of the computation.
template <class Real>
using Matrix = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// One number per query.
template <class Real>
using Column = Eigen::Matrix<Real, Eigen::Dynamic, 1>;

/// Rows first <= row < first + count of the matrix (axis 2, axis 3) of one batch element and head,
/// whatever its strides, as `Real`.
template <class T>
Matrix<RealOf<T>> load_rows(const View<const T, 4>& tensor, std::int64_t b, std::int64_t h,
                            std::int64_t first, std::int64_t count) {
  Matrix<RealOf<T>> matrix(count, tensor.extent(3));
  for (std::int64_t row = 0; row < count; ++row)
    for (std::int64_t column = 0; column < tensor.extent(3); ++column)
      matrix(row, column) = static_cast<RealOf<T>>(tensor(b, h, first + row, column));
  return matrix;
}

/// All rows.
template <class T>
Matrix<RealOf<T>> load_head(const View<const T, 4>& tensor, std::int64_t b, std::int64_t h) {
  return load_rows(tensor, b, h, 0, tensor.extent(2));
}

/// From dot products to logits; excluded keys get -inf, whatever stood there.
template <class V>
void dots_to_logits(const Problem& problem, const V& variant, std::int64_t b, std::int64_t h,
                    Matrix<typename V::Real>& scores) {
  const KeyBand band = variant.band(problem, b);
  for (std::int64_t i = 0; i < problem.len_q; ++i) {
    const KeyRange keys = band.row(i);
    for (std::int64_t j = 0; j < problem.len_k; ++j) {
      const Index at{b, h, i, j};
      scores(i, j) = keys.contains(j) && variant.allows(at)
                         ? variant.logit(scores(i, j), at, band.position(i))
                         : -std::numeric_limits<typename V::Real>::infinity();
    }
  }
}

/// exp(x), and 0 where that is below the smallest normal number: Eigen's vectorised exp clamps its
/// argument, so that excluded keys (x = -inf) would weigh 3e-39 and not 0. NaN stays NaN.
template <class Real>
Matrix<Real> exp_or_zero(const Matrix<Real>& x) {
  const Real lowest = std::log(std::numeric_limits<Real>::min());
  return (x.array() < lowest).select(Real{0}, x.array().exp());
}

/// Multiplies each probability of one head by dropout's factor: 0 or 1 / (1 - p).
template <class Real>
void apply_dropout(const Problem& problem, const Dropout& dropout, std::int64_t b, std::int64_t h,
                   Matrix<Real>& probabilities) {
  for (std::int64_t i = 0; i < problem.len_q; ++i) {
    const std::uint64_t row_counter = dropout.row_counter(problem, b, h, i);
    for (std::int64_t j = 0; j < problem.len_k; ++j)
      probabilities(i, j) *= static_cast<Real>(dropout.factor(row_counter, j));
  }
}

/// The output and log-sum-exp of one head.
template <class T, class V>
void math_forward_head(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
                       std::int64_t b, std::int64_t h) {
  using Real = RealOf<T>;
  const std::int64_t h_kv = problem.head_kv(h);
  const Matrix<Real> q = load_head(tensors.q, b, h);
  const Matrix<Real> k = load_head(tensors.k, b, h_kv);
  const Matrix<Real> v = load_head(tensors.v, b, h_kv);

  Matrix<Real> scores = q * k.transpose();
  dots_to_logits(problem, variant, b, h, scores);

  const Real sink = variant.sink_logit(b, h);
  Column<Real> max = Column<Real>::Constant(problem.len_q, sink);
  if (problem.len_k > 0) max = max.cwiseMax(scores.rowwise().maxCoeff());
  Matrix<Real> probabilities = exp_or_zero<Real>(scores.colwise() - max);
  const Column<Real> sum = probabilities.rowwise().sum().array() + (sink - max.array()).exp();
  {
    const FlushSubnormals flush;
    probabilities.array().colwise() /= sum.array();
    if (variant.dropout.active()) apply_dropout(problem, variant.dropout, b, h, probabilities);
  }
  const Matrix<Real> out = probabilities * v;

  ValueMean<Real> mean;
  for (std::int64_t i = 0; i < problem.len_q; ++i) {
    if (!std::isfinite(max[i]) || !out.row(i).allFinite()) {
      exact_row(problem, variant, tensors, {b, h, i, 0}, mean);
      continue;
    }
    for (std::int64_t c = 0; c < problem.head_dim_v; ++c)
      tensors.out(b, h, i, c) = static_cast<T>(out(i, c));
    if (tensors.lse) tensors.lse(b, h, i) = std::log(sum[i]) + max[i];
  }
}

/// Attention of one call by the textbook. Memory: the scores of one head per thread, `len_q *
/// len_k`.
template <class T, class V>
void math_forward(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
                  const Workers& workers) {
  workers.for_each(problem.batch * problem.heads, [&](std::int64_t head, int) {
    math_forward_head(problem, variant, tensors, head / problem.heads, head % problem.heads);
  });
}

}  // namespace attend::cpu
