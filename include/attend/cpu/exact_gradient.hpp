#pragma once

#include <cstdint>
#include <vector>

#include "query_states.hpp"

/// @file
/// Rows of the gradients by the definition, in scalar code: what the paths fall back to for rows
/// that matrix products cannot get right. A product weighs an excluded pair by 0, and 0 * NaN is
/// NaN; so a path multiplies first, and computes a row anew here if it came out non-finite.

namespace attend::cpu {

/// Gradients of one call, pair by pair.
template <class T, class V>
class ExactGradient {
 public:
  using Real = RealOf<T>;

  explicit ExactGradient(const BackwardCall<T, V>& call) : call_(call) {}

  /// Row (row.b, row.h, row.i) of q's gradient.
  std::vector<Real> dq_row(Index row) const {
    std::vector<Real> sum(size(problem().head_dim), Real{0});
    const KeyBand band = call_.variant.band(problem(), row.b);
    const KeyRange keys = band.row(row.i);
    const std::int64_t h_kv = problem().head_kv(row.h);
    for (row.j = keys.begin; row.j < keys.end; ++row.j) {
      if (!call_.variant.allows(row)) continue;
      const Real factor = pair(row, band.position(row.i)).dot;
      for (std::int64_t c = 0; c < problem().head_dim; ++c)
        sum[size(c)] += factor * static_cast<Real>(call_.tensors.k(row.b, h_kv, row.j, c));
    }
    return sum;
  }

  /// Row (b, h_kv, j) of k's gradient.
  std::vector<Real> dk_row(std::int64_t b, std::int64_t h_kv, std::int64_t j) const {
    std::vector<Real> sum(size(problem().head_dim), Real{0});
    for_each_query(b, h_kv, j, [&](Index at, std::int64_t position, bool allowed) {
      if (!allowed) return;
      const Real factor = pair(at, position).dot;
      for (std::int64_t c = 0; c < problem().head_dim; ++c)
        sum[size(c)] += factor * static_cast<Real>(call_.tensors.q(at.b, at.h, at.i, c));
    });
    return sum;
  }

  /// Row (b, h_kv, j) of v's gradient.
  std::vector<Real> dv_row(std::int64_t b, std::int64_t h_kv, std::int64_t j) const {
    std::vector<Real> sum(size(problem().head_dim_v), Real{0});
    for_each_query(b, h_kv, j, [&](Index at, std::int64_t position, bool allowed) {
      const Real uniform = call_.states(at).uniform;
      if (!allowed && uniform == 0) return;
      const Real weight = allowed ? pair(at, position).weight : uniform * call_.dropout_factor(at);
      for (std::int64_t c = 0; c < problem().head_dim_v; ++c)
        sum[size(c)] += weight * static_cast<Real>(call_.tensors.grad_out(at.b, at.h, at.i, c));
    });
    return sum;
  }

 private:
  static std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }
  const Problem& problem() const { return call_.problem; }

  // Calls `visit(at, position, allowed)` for the queries of every head that reads head h_kv.
  template <class Visit>
  void for_each_query(std::int64_t b, std::int64_t h_kv, std::int64_t j, Visit&& visit) const {
    const KeyBand band = call_.variant.band(problem(), b);
    if (j >= band.length()) return;
    Index at{b, h_kv * problem().group(), 0, j};
    for (; at.h < (h_kv + 1) * problem().group(); ++at.h)
      for (at.i = 0; at.i < problem().len_q; ++at.i)
        visit(at, band.position(at.i), band.row(at.i).contains(j) && call_.variant.allows(at));
  }

  PairGradient<Real> pair(Index at, std::int64_t position) const {
    const BackwardTensors<T>& t = call_.tensors;
    const std::int64_t h_kv = problem().head_kv(at.h);
    Real dot = 0, grad_weight = 0;
    for (std::int64_t c = 0; c < problem().head_dim; ++c)
      dot +=
          static_cast<Real>(t.q(at.b, at.h, at.i, c)) * static_cast<Real>(t.k(at.b, h_kv, at.j, c));
    for (std::int64_t c = 0; c < problem().head_dim_v; ++c)
      grad_weight += static_cast<Real>(t.grad_out(at.b, at.h, at.i, c)) *
                     static_cast<Real>(t.v(at.b, h_kv, at.j, c));
    return pair_gradient(call_.variant, at, position, dot, grad_weight, call_.dropout_factor(at),
                         call_.states(at));
  }

  const BackwardCall<T, V>& call_;
};

}  // namespace attend::cpu
