#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "engine/flush_subnormals.hpp"
#include "exact_gradient.hpp"
#include "math_forward.hpp"
#include "parameter_gradients.hpp"
#include "score_block.hpp"

/// @file
/// Gradients as the textbook writes them, with the score matrix of a head in memory:
/// `P = softmax(S)`, `dV = P^T dO`, `dP = dO V^T`, `dS = P * (dP - rowsum(dO * O))`, `dQ = dS K`,
/// `dK = dS^T Q` (Dao et al., "FlashAttention", 2022, section B.2).

namespace attend::cpu {

/// Writes the rows of a gradient; those that are not finite come from `exact_row(row)` instead.
template <class T, class ExactRow>
void store_head(const Matrix<RealOf<T>>& gradient, const View<T, 4>& to, std::int64_t b,
                std::int64_t h, ExactRow&& exact_row) {
  for (std::int64_t row = 0; row < gradient.rows(); ++row) {
    if (gradient.row(row).allFinite()) {
      for (std::int64_t c = 0; c < gradient.cols(); ++c)
        to(b, h, row, c) = static_cast<T>(gradient(row, c));
    } else {
      const std::vector<RealOf<T>> exact = exact_row(row);
      for (std::int64_t c = 0; c < gradient.cols(); ++c)
        to(b, h, row, c) = static_cast<T>(exact[static_cast<std::size_t>(c)]);
    }
  }
}

/// Gradients of one key and value head, and of the query heads that read it.
template <class T, class V>
void math_backward_head(const BackwardCall<T, V>& call, std::int64_t b, std::int64_t h_kv) {
  using Real = RealOf<T>;
  const Problem& problem = call.problem;
  const BackwardTensors<T>& tensors = call.tensors;
  const ExactGradient<T, V> exact(call);
  const Matrix<Real> k = load_head(tensors.k, b, h_kv), v = load_head(tensors.v, b, h_kv);
  Matrix<Real> dk = Matrix<Real>::Zero(problem.len_k, problem.head_dim);
  Matrix<Real> dv = Matrix<Real>::Zero(problem.len_k, problem.head_dim_v);
  Matrix<Real> weights(problem.len_q, problem.len_k), grad_dots(problem.len_q, problem.len_k);

  for (std::int64_t h = h_kv * problem.group(); h < (h_kv + 1) * problem.group(); ++h) {
    const Matrix<Real> q = load_head(tensors.q, b, h);
    const Matrix<Real> grad_out = load_head(tensors.grad_out, b, h);
    weights.setZero();
    grad_dots.setZero();
    for_each_pair(call, b, h, 0, q, k, grad_out, v, [&](Index at, const PairGradient<Real>& pair) {
      weights(at.i, at.j) = normal_or_zero(pair.weight);
      grad_dots(at.i, at.j) = normal_or_zero(pair.dot);
    });
    for_each_uniform_pair(call, b, h, [&](Index at, Real weight) { weights(at.i, at.j) = weight; });

    Matrix<Real> dq(problem.len_q, problem.head_dim);
    {
      const FlushSubnormals flush;
      dv.noalias() += weights.transpose() * grad_out;
      dk.noalias() += grad_dots.transpose() * q;
      dq.noalias() = grad_dots * k;
    }
    store_head(dq, tensors.dq, b, h, [&](std::int64_t i) { return exact.dq_row({b, h, i, 0}); });
  }
  store_head(dk, tensors.dk, b, h_kv, [&](std::int64_t j) { return exact.dk_row(b, h_kv, j); });
  store_head(dv, tensors.dv, b, h_kv, [&](std::int64_t j) { return exact.dv_row(b, h_kv, j); });
}

/// Gradients of one call by the textbook. Memory: two matrices of `len_q * len_k` per thread.
template <class T, class V>
void math_backward(const Problem& problem, const V& variant, const BackwardTensors<T>& tensors,
                   const Workers& workers) {
  const QueryStates<RealOf<T>> states(problem, variant, tensors, workers);
  const BackwardCall<T, V> call{problem, variant, tensors, states};
  workers.for_each(problem.batch * problem.heads_kv, [&](std::int64_t head, int) {
    math_backward_head(call, head / problem.heads_kv, head % problem.heads_kv);
  });
  parameter_gradients(call, workers);
}

}  // namespace attend::cpu
