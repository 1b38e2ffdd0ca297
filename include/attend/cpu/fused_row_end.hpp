#pragma once

#include <cstdint>

#include "../core/softmax_state.hpp"
#include "fused_call.hpp"

/// @file
/// How a row of the fused path ends: its sum, the sink and dropout's scale become one factor.

namespace attend::cpu {

/// What a row's sum of values is multiplied by, and its keys and sink as a softmax state.
template <class Real>
struct RowEnd {
  Real factor = 0;           ///< of the output
  SoftmaxState<Real> state;  ///< in natural units
};

/// The end of a row of head h from its maximum (in the units of the panel) and sum. Of an
/// empty row that is to give 0 they are right, too; others are computed by the definition.
template <class T>
RowEnd<RealOf<T>> row_end(const FusedCall<T>& call, std::int64_t b, std::int64_t h, RealOf<T> max,
                          RealOf<T> sum) {
  using Real = RealOf<T>;
  const Real keep = static_cast<Real>(call.variant.dropout.keep_scale);
  const SoftmaxState<Real> keys{sum == 0 ? max : max * call.late_scale(), sum};
  if (!call.variant.sink) return {keep / (sum == 0 ? Real{1} : sum), keys};
  const SoftmaxState<Real> all = keys.merged({call.variant.sink_logit(b, h), 1});
  // A sink of -inf merges as weight exp(-inf) = 0, the empty row as sum 0; both are right.
  return {keys.rescale(all.max) / all.sum * keep, all};
}

}  // namespace attend::cpu
