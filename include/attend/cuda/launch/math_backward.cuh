#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../kernel/math_backward.cuh"
#include "math.cuh"
#include "row_gradients.cuh"

/// @file
/// The math path's launches, backward.

namespace attend::cuda {

/// Adds some heads' part to the bias' gradient.
template <class V>
void launch_math_bias_gradient(const Problem& problem, std::int64_t first,
                               const View<typename V::Real, 3>& grad_scores,
                               const View<typename V::Real, 4>& dbias, cudaStream_t stream) {
  const bool summed = dbias.extent(2) < problem.len_q || dbias.extent(3) < problem.len_k;
  const int lanes = summed ? kWarp : 1;
  launch("math_bias_gradient", math_bias_gradient<V>,
         {(dbias.size() * lanes + kBiasThreads - 1) / kBiasThreads, kBiasThreads}, stream, problem,
         first, grad_scores, dbias, lanes);
}

/// Runs the math path's backward pass, a few heads after the other: all that share a key and value
/// head, or several times as many.
template <class T, class V>
void launch_math_backward(const Problem& problem, const V& variant,
                          const BackwardTensors<T>& tensors,
                          const View<RowGradient<RealOf<T>>, 3>& states, cudaStream_t stream) {
  using Real = RealOf<T>;
  const std::int64_t heads_kv = problem.batch * problem.heads_kv, group = problem.group();
  if (heads_kv == 0 && tensors.dbias)  // there may be a bias all the same
    launch_math_bias_gradient<V>(problem, 0, View<Real, 3>(), tensors.dbias, stream);
  if (heads_kv == 0) return;
  const std::int64_t head_size = problem.len_q * problem.len_k;
  const std::int64_t matrices = tensors.dbias ? 3 : 2;
  const std::int64_t group_bytes =
      std::max<std::int64_t>(1, matrices * group * head_size * std::int64_t{sizeof(Real)});
  const std::int64_t at_a_time = std::clamp<std::int64_t>(kScoreBytes / group_bytes, 1, heads_kv);
  const Memory memory(static_cast<std::size_t>(at_a_time * group_bytes), Stream::borrowed(stream));

  for (std::int64_t first = 0; first < heads_kv; first += at_a_time) {
    const std::int64_t count_kv = std::min(at_a_time, heads_kv - first), count = count_kv * group;
    const auto matrix = [&](std::int64_t n) -> View<Real, 3> {
      return {static_cast<Real*>(memory.data()) + n * at_a_time * group * head_size,
              {count, problem.len_q, problem.len_k}};
    };
    const ScoredHeads<Real> weights{first * group, matrix(0)}, grad_dots{first * group, matrix(1)};
    const View<Real, 3> grad_scores = tensors.dbias ? matrix(2) : View<Real, 3>();
    const auto tiles = [](std::int64_t heads, std::int64_t rows, std::int64_t columns) {
      return Grid{HeadTile::count(heads, rows, columns), ScalarPart::kThreads};
    };
    const Grid scores = tiles(count, problem.len_q, problem.len_k);

    launch("math_scores of q and k", math_scores<T, V>, scores, stream, problem,
           {.q = tensors.q, .k = tensors.k}, weights);
    Problem of_values = problem;  // dP = dO V^T has the shape of S = Q K^T
    of_values.head_dim = problem.head_dim_v;
    launch("math_scores of grad_out and v", math_scores<T, V>, scores, stream, of_values,
           {.q = tensors.grad_out, .k = tensors.v}, grad_dots);
    launch("math_pairs", math_pairs<V>,
           {(count * problem.len_q + kSoftmaxWarps - 1) / kSoftmaxWarps, kSoftmaxWarps * kWarp},
           stream, problem, variant, states, {weights, grad_dots, grad_scores});
    launch("math_key_gradient of v", math_key_gradient<T, V>,
           tiles(count_kv, problem.len_k, problem.head_dim_v), stream, problem, weights.scores,
           first, tensors.grad_out, tensors.dv);
    launch("math_key_gradient of k", math_key_gradient<T, V>,
           tiles(count_kv, problem.len_k, problem.head_dim), stream, problem, grad_dots.scores,
           first, tensors.q, tensors.dk);
    Problem of_keys = problem;  // dQ = dS K has the shape of O = P V
    of_keys.head_dim_v = problem.head_dim;
    launch("math_output for q", math_output<T, V>, tiles(count, problem.len_q, problem.head_dim),
           stream, of_keys, {.v = tensors.k, .out = tensors.dq}, grad_dots);
    if (tensors.dbias)
      launch_math_bias_gradient<V>(problem, first * group, grad_scores, tensors.dbias, stream);
  }
}

}  // namespace attend::cuda
