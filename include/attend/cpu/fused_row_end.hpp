#pragma once

#include <cmath>
#include <cstdint>

#include "../core/softmax_state.hpp"
#include "fused_call.hpp"

/// @file
/// How a row of the fused path ends: its sum, the sink and dropout's scale become one factor.

namespace attend::cpu {

/// What a row's sum of values is multiplied by, and its log-sum-exp.
template <class Real>
struct RowEnd {
  Real factor = 0;  ///< of the output
  Real lse = 0;     ///< natural log, sink included
};

/// The end of a row of head h from its maximum (in the units of the panel) and sum.
template <class T>
RowEnd<RealOf<T>> row_end(const FusedCall<T>& call, std::int64_t b, std::int64_t h, RealOf<T> max,
                          RealOf<T> sum) {
  using Real = RealOf<T>;
  using std::exp;
  const SoftmaxState<Real> keys{sum == 0 ? max : max * call.late_scale(), sum};
  const SoftmaxState<Real> all = keys.merged({call.variant.sink_logit(b, h), 1});
  // A sink of -inf merges as weight exp(-inf) = 0, the empty row as sum 0; both are right.
  const Real keep = static_cast<Real>(call.variant.dropout.keep_scale);
  return {keys.rescale(all.max) / all.sum * keep, all.lse()};
}

}  // namespace attend::cpu
