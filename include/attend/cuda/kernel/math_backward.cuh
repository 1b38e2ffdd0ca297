#pragma once

#include <cstdint>

#include "../../core/backward_tensors.hpp"
#include "../block/gradient_row.cuh"
#include "math.cuh"

/// @file
/// The math path's gradients, as the textbook writes them: `dP = dO V^T`, `dS = P * (dP - D)`,
/// `dV = P^T dO`, `dK = dS^T Q`, `dQ = dS K` (Dao et al., "FlashAttention", 2022, section B.2). The
/// products without a transpose are the forward pass' kernels; here are the others, and what lies
/// between them.

namespace attend::cuda {

/// Heads of a call whose scores' gradients are in memory together, counted through the batch.
template <class Real>
struct GradientHeads {
  ScoredHeads<Real> weights;    ///< (head i j): dot products, then probabilities
  ScoredHeads<Real> grad_dots;  ///< (head i j): gradients by weights, then by dot products
  View<Real, 3> grad_scores;    ///< (head i j): gradients by scores; null: not wanted
};

/// From dot products and the gradients by weights to weights and the gradients by dot products. One
/// warp per row; lane n reads and writes the elements at n, n + 32, ..., and no other does.
template <class V>
__global__ void __launch_bounds__(kSoftmaxWarps* kWarp)
    math_pairs(Problem problem, V variant, View<RowGradient<typename V::Real>, 3> states,
               GradientHeads<typename V::Real> heads) {
  using Real = typename V::Real;
  const View<Real, 3>& gP = heads.weights.scores;
  const std::int64_t number =
      std::int64_t{blockIdx.x} * kSoftmaxWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (number >= gP.extent(0) * problem.len_q) return;
  const std::int64_t head = number / problem.len_q, i = number % problem.len_q;
  const std::int64_t n = heads.weights.first + head;
  const GradientRow<V> row(problem, variant,
                           {problem, variant, n / problem.heads, n % problem.heads, i}, states);
  const std::int64_t begin = gP.offset(head, i);
  for (std::int64_t j = threadIdx.x % kWarp; j < problem.len_k; j += kWarp) {
    Real& weight = gP.data()[begin + j];
    Real& grad_dot = heads.grad_dots.scores.data()[begin + j];
    const PairGradient<Real> pair = row.pair(variant, weight, grad_dot, j);
    weight = pair.weight;
    grad_dot = pair.dot;
    if (heads.grad_scores) heads.grad_scores.data()[begin + j] = pair.score;
  }
}

/// grad = the sum over a key and value head's queries of P^T X, for dV (X = dO) and dK (P stands
/// for dS, X = Q). One block per 64 x 64 tile.
template <class T, class V>
__global__ void __launch_bounds__(ScalarPart::kThreads)
    math_key_gradient(Problem problem, View<const RealOf<T>, 3> weights, std::int64_t first_kv,
                      View<const T, 4> x, View<T, 4> grad) {
  using Real = RealOf<T>;
  constexpr int kChunk = 32;
  __shared__ ScalarTile<Real, kChunk, ScalarPart::kTileRows> sP;
  __shared__ ScalarTile<Real, kChunk, ScalarPart::kTileColumns> sX;

  const HeadTile tile(problem.len_k, grad.extent(3));
  const std::int64_t b = (first_kv + tile.head) / problem.heads_kv;
  const std::int64_t h_kv = (first_kv + tile.head) % problem.heads_kv;
  const std::int64_t group = problem.group();  // may be 0

  Real rG[ScalarPart::kRows][ScalarPart::kColumns] = {};
  for (std::int64_t g = 0; g < group; ++g) {
    const View<const Real, 2> gP = weights.inner(tile.head * group + g);
    const View<const T, 2> gX = x.inner(b, h_kv * group + g);
    for (std::int64_t i = 0; i < problem.len_q; i += kChunk) {
      load_tile<ScalarPart::kThreads>(sP, rows_from(gP, i), tile.row, {gP.extent(1), 1});
      const bool met = load_tile<ScalarPart::kThreads>(sX, rows_from(gX, i), tile.column,
                                                       {gX.extent(1), gX.stride(1)});
      if (__syncthreads_or(met)) {
        add_weighted_transposed<Values::any>(rG, sP, sX);
      } else {
        add_weighted_transposed<Values::finite>(rG, sP, sX);
      }
      __syncthreads();
    }
  }

  for (int r = 0; r < ScalarPart::kRows; ++r)
    for (int c = 0; c < ScalarPart::kColumns; ++c) {
      const std::int64_t j = tile.row + ScalarPart::row(r);
      const std::int64_t column = tile.column + ScalarPart::quad_column(c);
      if (j < problem.len_k && column < grad.extent(3)) store(grad(b, h_kv, j, column), rG[r][c]);
    }
}

/// Threads of a block of `math_bias_gradient`.
inline constexpr int kBiasThreads = 128;

/// Adds these heads' part to the bias' gradient, which has the bias' own shape (b|1 h|1 i|1 j|1);
/// sets it where these are the first heads. `lanes` threads (1 or a warp) take turns at the scores
/// of a head that belong to one element: the order of sums depends on the problem's sizes alone.
template <class V>
__global__ void __launch_bounds__(kBiasThreads)
    math_bias_gradient(Problem problem, std::int64_t first,
                       View<const typename V::Real, 3> grad_scores, View<typename V::Real, 4> dbias,
                       int lanes) {
  using Real = typename V::Real;
  std::int64_t element = (std::int64_t{blockIdx.x} * kBiasThreads + threadIdx.x) / lanes;
  if (element >= dbias.size()) return;
  const std::int64_t lane = threadIdx.x % static_cast<unsigned>(lanes);
  const KeyRange all[4] = {
      {0, problem.batch}, {0, problem.heads}, {0, problem.len_q}, {0, problem.len_k}};
  std::int64_t own[4];
  KeyRange summed[4];
  for (int axis = 3; axis >= 0; --axis) {
    own[axis] = element % dbias.extent(axis);
    element /= dbias.extent(axis);
    summed[axis] = dbias.extent(axis) > 1 ? KeyRange{own[axis], own[axis] + 1} : all[axis];
  }
  const auto& [batch, heads, queries, keys] = summed;

  Real sum = 0;
  for (std::int64_t b = batch.begin; b < batch.end; ++b)
    for (std::int64_t h = heads.begin; h < heads.end; ++h) {
      const std::int64_t head = b * problem.heads + h - first;
      if (head < 0 || head >= grad_scores.extent(0)) continue;
      for (std::int64_t n = lane; n < queries.size() * keys.size(); n += lanes)
        sum += grad_scores(head, queries.begin + n / keys.size(), keys.begin + n % keys.size());
    }
  if (lanes > 1) sum = all_lanes<kWarp>(sum, [](Real a, Real b) { return a + b; });
  if (lane != 0) return;
  Real& to = dbias(own[0], own[1], own[2], own[3]);
  to = first == 0 ? sum : to + sum;
}

}  // namespace attend::cuda
