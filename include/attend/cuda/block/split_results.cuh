#pragma once

#include "../../core/softmax_state.hpp"
#include "../../core/view.hpp"
#include "query_tile.cuh"

/// @file
/// Results over parts of the keys.

namespace attend::cuda {

/// What blocks that share rows of the output leave to `merge_splits`: outputs of their keys alone,
/// without the sink.
template <class Real>
struct SplitResults {
  Division work;                           ///< how it was divided
  View<Real, 5> out = {};                  ///< (split b h i e)
  View<SoftmaxState<Real>, 4> state = {};  ///< (split b h i)
};

/// What sums of weighted values of a part of the keys are multiplied by. (That infinite maxima give
/// NaN is seen when the parts are put together.)
template <class Real>
__device__ inline Real part_factor(const SoftmaxState<Real>& state) {
  return state.sum == 0 ? Real{0} : Real{1} / state.sum;
}

}  // namespace attend::cuda
