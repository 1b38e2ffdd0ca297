#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "math_forward.hpp"
#include "score_block.hpp"

/// @file
/// Gradients of what is added to the scores: bias, sinks, and parameters of the user's function.
/// They are sums over whatever was broadcast, of any number of heads, so each is a pass of its own
/// in which one task owns a place and adds to it in a fixed order: the result does not depend on
/// the number of threads, and memory stays linear in the sequence.

namespace attend::cpu {

/// Queries whose scores are in memory at a time.
inline constexpr std::int64_t kQueryBlock = 64;
/// Parts of the sum over all scores that are taken side by side: a number of its own, so that sums
/// do not depend on the threads.
inline constexpr std::int64_t kParts = 16;

/// Calls `visit(at, pair_gradient)` for each allowed pair of queries first <= i < end of a head.
template <class T, class V, class Visit>
void visit_queries(const BackwardCall<T, V>& call, std::int64_t b, std::int64_t h,
                   std::int64_t first, std::int64_t end, Visit&& visit) {
  const BackwardTensors<T>& tensors = call.tensors;
  const std::int64_t h_kv = call.problem.head_kv(h);
  const Matrix<RealOf<T>> k = load_head(tensors.k, b, h_kv), v = load_head(tensors.v, b, h_kv);
  for (; first < end; first += kQueryBlock) {
    const std::int64_t count = std::min(kQueryBlock, end - first);
    for_each_pair(call, b, h, first, load_rows(tensors.q, b, h, first, count), k,
                  load_rows(tensors.grad_out, b, h, first, count), v, visit);
  }
}

/// The bias' gradient, in the bias' own shape.
template <class T, class V>
void bias_gradient(const BackwardCall<T, V>& call, const Workers& workers) {
  const Problem& problem = call.problem;
  const View<RealOf<T>, 4>& dbias = call.tensors.dbias;
  const std::int64_t own_batch = dbias.extent(0), own_heads = dbias.extent(1);
  const std::int64_t own_len_q = dbias.extent(2), own_len_k = dbias.extent(3);
  const auto own = [&](Index at) -> RealOf<T>& {
    return dbias(own_batch > 1 ? at.b : 0, own_heads > 1 ? at.h : 0, own_len_q > 1 ? at.i : 0,
                 own_len_k > 1 ? at.j : 0);
  };
  // A task owns rows of the bias, and goes through all heads that read them.
  const std::int64_t rows = own_len_q == 1 ? std::max<std::int64_t>(problem.len_q, 1) : kQueryBlock;
  const std::int64_t blocks = (own_len_q + rows - 1) / rows;
  workers.for_each(own_batch * own_heads * blocks, [&](std::int64_t task, int) {
    const std::int64_t b_own = task / blocks / own_heads, h_own = task / blocks % own_heads;
    const std::int64_t first = task % blocks * rows;
    for (std::int64_t i = first; i < std::min(first + rows, own_len_q); ++i)
      for (std::int64_t j = 0; j < own_len_k; ++j) dbias(b_own, h_own, i, j) = 0;
    const std::int64_t end = std::min(first + rows, problem.len_q);
    const std::int64_t b_end = own_batch > 1 ? b_own + 1 : problem.batch;
    const std::int64_t h_end = own_heads > 1 ? h_own + 1 : problem.heads;
    for (std::int64_t b = b_own; b < b_end; ++b)
      for (std::int64_t h = h_own; h < h_end; ++h)
        visit_queries(call, b, h, first, end, [&](Index at, const PairGradient<RealOf<T>>& pair) {
          own(at) += pair.score;
        });
  });
}

/// The sinks' gradient, in the sinks' own shape. A sink is one more key of value 0.
template <class T, class V>
void sink_gradient(const BackwardCall<T, V>& call) {
  using Real = RealOf<T>;
  const View<Real, 2>& dsink = call.tensors.dsink;
  for (std::int64_t b = 0; b < dsink.extent(0); ++b)
    for (std::int64_t h = 0; h < dsink.extent(1); ++h) dsink(b, h) = 0;
  for (std::int64_t b = 0; b < call.problem.batch; ++b)
    for (std::int64_t h = 0; h < call.problem.heads; ++h) {
      const Real sink = call.variant.sink_logit(b, h);
      if (sink == -std::numeric_limits<Real>::infinity()) continue;
      Real sum = 0;
      for (std::int64_t i = 0; i < call.problem.len_q; ++i) {
        const RowGradient<Real>& row = call.states({b, h, i, 0});
        sum -= row.probability(sink) * row.delta;
      }
      dsink(dsink.extent(0) > 1 ? b : 0, dsink.extent(1) > 1 ? h : 0) += sum;
    }
}

/// The gradient of the parameters that the user's score function names.
template <class T, class V>
void function_gradient(const BackwardCall<T, V>& call, const Workers& workers) {
  using Real = RealOf<T>;
  const Problem& problem = call.problem;
  const View<Real, 1>& to = call.tensors.parameters;
  const auto count = static_cast<std::size_t>(to.extent(0));
  const std::int64_t blocks = (problem.len_q + kQueryBlock - 1) / kQueryBlock;
  const std::int64_t all = problem.batch * problem.heads * blocks;
  std::vector<std::vector<Real>> parts(kParts, std::vector<Real>(count, Real{0}));
  workers.for_each(kParts, [&](std::int64_t part, int) {
    std::vector<Real>& sums = parts[static_cast<std::size_t>(part)];
    const auto add = [&](std::int64_t n, Real value) {
      sums[static_cast<std::size_t>(n)] += value;
    };
    for (std::int64_t n = part * all / kParts; n < (part + 1) * all / kParts; ++n) {
      const std::int64_t head = n / blocks, first = n % blocks * kQueryBlock;
      visit_queries(call, head / problem.heads, head % problem.heads, first,
                    std::min(first + kQueryBlock, problem.len_q),
                    [&](Index at, const PairGradient<Real>& pair) {
                      call.variant.score_mod.scatter(pair.unmodified, pair.logit, at, add);
                    });
    }
  });
  for (std::size_t n = 0; n < count; ++n) {
    Real sum = 0;
    for (const std::vector<Real>& part : parts) sum += part[n];
    to(n) = sum;
  }
}

/// Gradients of bias, sinks and the user's parameters, as far as they are wanted.
template <class T, class V>
void parameter_gradients(const BackwardCall<T, V>& call, const Workers& workers) {
  if (call.tensors.dbias) bias_gradient(call, workers);
  if (call.tensors.dsink) sink_gradient(call);
  if constexpr (V::kHasParameters)
    if (call.tensors.parameters) function_gradient(call, workers);
}

}  // namespace attend::cpu
