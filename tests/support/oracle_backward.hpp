// The oracle's gradients, by the textbook's chain rule and nothing else: no recomputation tricks,
// no reuse of the output.
#pragma once

#include <algorithm>
#include <limits>

#include "oracle.hpp"

namespace oracle {

/// Gradients of sum(out * grad_out) + sum(lse * grad_lse), each in the shape of its input
/// (dbias in the bias' own shape, summed over what was broadcast); empty where there is no input.
struct Gradients {
  std::vector<double> dq, dk, dv, dbias, dsink;
};

/// grad_out (b h i e); grad_lse (b h i), or empty for none. A row without allowed keys gives a
/// gradient to v only, and only under EmptyRow::uniform.
template <class Arithmetic = Exact>
Gradients backward(const Problem& p, const std::vector<double>& grad_out,
                   const std::vector<double>& grad_lse = {}) {
  using Real = typename Arithmetic::Real;
  const auto round = [](Real x) { return Arithmetic::round(x); };
  const auto d = static_cast<std::size_t>(p.head_dim), e = static_cast<std::size_t>(p.head_dim_v);
  const Real scale =
      static_cast<Real>(p.scale ? *p.scale : 1 / std::sqrt(static_cast<long double>(p.head_dim)));
  std::vector<Real> dq(p.q.size()), dk(p.k.size()), dv(p.v.size());
  std::vector<Real> dbias(p.bias ? p.bias->data.size() : 0);
  std::vector<Real> dsink(p.sink ? p.sink->data.size() : 0);

  std::size_t query = 0;
  for (Index b = 0; b < p.batch; ++b) {
    for (Index h = 0; h < p.heads; ++h) {
      for (Index i = 0; i < p.len_q; ++i, ++query) {
        const Row<Arithmetic> r = row<Arithmetic>(p, b, h, i);
        const double* g = grad_out.data() + query * e;
        const Real g_lse = grad_lse.empty() ? Real{0} : static_cast<Real>(grad_lse[query]);

        // out = sum_j weight_j v_j, weight_j = probability_j drop_j
        std::vector<Real> dprobability;
        Real mean = 0;  // of dprobability under the probabilities
        for (std::size_t n = 0; n < r.keys.size(); ++n) {
          const std::size_t at = p.kv_row(b, h, r.keys[n]) * e;
          const Real weight = round(r.probability[n] * r.drop[n]);
          Real dweight = 0;
          for (std::size_t c = 0; c < e; ++c) {
            dv[at + c] += weight * static_cast<Real>(g[c]);
            if (!r.empty) dweight += static_cast<Real>(g[c]) * static_cast<Real>(p.v[at + c]);
          }
          dprobability.push_back(round(dweight) * r.drop[n]);
          mean += r.probability[n] * dprobability[n];
        }
        if (r.empty) continue;

        // d probability_j / d logit_k = probability_j (delta_jk - probability_k); the sink is one
        // more key of value 0.   d lse / d logit_j = probability_j.
        // One of -inf is none, and has no gradient, be the mean NaN.
        if (p.sink && p.sink->at({h}) != -std::numeric_limits<double>::infinity())
          dsink[static_cast<std::size_t>(h)] += r.sink_probability * (g_lse - mean);
        for (std::size_t n = 0; n < r.keys.size(); ++n) {
          const At a{b, h, i, r.keys[n]};
          Real ds = r.probability[n] * (dprobability[n] - mean + g_lse);
          if (p.score) {
            ds *= static_cast<Real>(p.score_slope(static_cast<double>(r.biased[n]), a));
          }
          if (p.bias) dbias[p.bias->offset({a.b, a.h, a.i, a.j})] += ds;
          if (p.softcap > 0) {
            const Real t = r.capped[n] / static_cast<Real>(p.softcap);
            ds *= 1 - t * t;
          }
          ds = round(ds * scale);
          const std::size_t at = p.kv_row(b, h, a.j) * d;
          for (std::size_t c = 0; c < d; ++c) {
            dq[query * d + c] += ds * static_cast<Real>(p.k[at + c]);
            dk[at + c] += ds * static_cast<Real>(p.q[query * d + c]);
          }
        }
      }
    }
  }
  const auto doubles = [&](const std::vector<Real>& x) {
    std::vector<double> y(x.size());
    std::transform(x.begin(), x.end(), y.begin(),
                   [&](Real value) { return static_cast<double>(round(value)); });
    return y;
  };
  return {doubles(dq), doubles(dk), doubles(dv), doubles(dbias), doubles(dsink)};
}

}  // namespace oracle
