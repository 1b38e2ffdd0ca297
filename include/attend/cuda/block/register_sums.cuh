#pragma once

#include "../../core/softmax_state.hpp"

/// @file
/// A warp's sums of a tile, in registers.

namespace attend::cuda {

/// Nothing was added yet.
template <class Engine>
__device__ void clear(typename Engine::Output& rO) {
#pragma unroll
  for (int r = 0; r < Engine::kRows; ++r)
#pragma unroll
    for (int c = 0; c < Engine::kOutColumns; ++c) rO[r][c] = 0;
}

/// Whether a sum of this thread's is infinite or NaN.
template <class Engine>
__device__ bool has_not_finite(const typename Engine::Output& rO) {
  bool met = false;
#pragma unroll
  for (int r = 0; r < Engine::kRows; ++r)
#pragma unroll
    for (int c = 0; c < Engine::kOutColumns; ++c)
      met = met || !(fabsf(rO[r][c]) < kInfinity<float>);
  return met;
}

}  // namespace attend::cuda
