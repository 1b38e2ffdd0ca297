#pragma once

#include <cstdint>

#include "../core/softmax_state.hpp"
#include "fused_call.hpp"

/// @file
/// How a row of the fused path ends.

namespace attend::cpu {

/// The end of a row of head h from its maximum (in the units of the panel) and sum; its factor has
/// dropout's. Of an empty row that is to give 0 it is right, too; others are computed by the
/// definition.
template <class T>
RowEnd<RealOf<T>> row_end(const FusedCall<T>& call, std::int64_t b, std::int64_t h, RealOf<T> max,
                          RealOf<T> sum) {
  using Real = RealOf<T>;
  RowEnd<Real> end({sum == 0 ? max : max * call.late_scale(), sum}, call.variant.sink_logit(b, h));
  end.factor *= static_cast<Real>(call.variant.dropout.keep_scale);
  return end;
}

}  // namespace attend::cpu
