#pragma once

#include "../../core/softmax_state.hpp"
#include "../../core/view.hpp"
#include "query_tile.cuh"

/// @file
/// Results over parts of the keys.

namespace attend::cuda {

/// What blocks that share rows of the output leave to `merge_splits`: sums that are not normalised.
template <class Real>
struct SplitResults {
  Division work;                           ///< how it was divided
  View<Real, 5> out = {};                  ///< (split b h i e), sums of weighted values
  View<SoftmaxState<Real>, 4> state = {};  ///< (split b h i)
};

}  // namespace attend::cuda
