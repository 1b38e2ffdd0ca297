#pragma once

#include "../../core/softmax_state.hpp"
#include "../arch/warp.cuh"
#include "../tile/excluded.cuh"

/// @file
/// The online softmax of a block's rows: a maximum and a sum per row, tile after tile.

namespace attend::cuda {

/// What a sum of exponentials against maximum `from` is multiplied by when the maximum becomes
/// `to`. Equal infinities are equal: the sum stays.
template <class Real>
__device__ inline Real rescaled(Real from, Real to) {
  return from == to ? Real{1} : exp(from - to);
}

/// The states of an engine's rows, in its threads: each of the lanes that share a row has the row's
/// maximum and a part of its sum.
template <class Engine>
class OnlineSoftmax {
 public:
  using Real = typename Engine::Real;
  using Scores = typename Engine::Scores;

  /// Rows that have seen their sink, if it is one (`logit(n)` of the thread's n-th row is not
  /// -inf).
  template <class SinkLogit>
  __device__ explicit OnlineSoftmax(SinkLogit logit) {
    const bool first_lane = static_cast<int>(threadIdx.x) % Engine::kRowLanes == 0;
    for (int r = 0; r < Engine::kRows; ++r) {
      max_[r] = logit(r);
      sum_[r] = max_[r] != -kInfinity<Real> && first_lane ? Real{1} : Real{0};
    }
  }

  /// Takes in a tile of logits, of which `allowed` has a bit each, and turns them into exponentials
  /// against the new maximum; `factors` is what sums against the old one have to be multiplied by.
  __device__ void add(Scores& rS, unsigned allowed, Real (&factors)[Engine::kRows]) {
    for (int r = 0; r < Engine::kRows; ++r) {
      Real top = max_[r];
      for (int c = 0; c < Engine::kColumns; ++c)
        if (is_set(allowed, r, c)) top = top < rS[r][c] ? rS[r][c] : top;
      top = all_lanes<Engine::kRowLanes>(top, [](Real a, Real b) { return a < b ? b : a; });
      factors[r] = rescaled(max_[r], top);
      max_[r] = top;
      sum_[r] *= factors[r];
      for (int c = 0; c < Engine::kColumns; ++c) {
        const Real weight = rescaled(rS[r][c], top);
        rS[r][c] = is_set(allowed, r, c) ? weight : kExcluded<Real>;
        sum_[r] += rS[r][c];
      }
    }
  }

  /// The state of the thread's n-th row, whole.
  __device__ SoftmaxState<Real> state(int n) const {
    return {max_[n], all_lanes<Engine::kRowLanes>(sum_[n], [](Real a, Real b) { return a + b; })};
  }

  /// Whether a row's key at one of the thread's places is allowed.
  static __device__ bool is_set(unsigned allowed, int r, int c) {
    return (allowed >> (r * Engine::kColumns + c) & 1) != 0;
  }

 private:
  Real max_[Engine::kRows];
  Real sum_[Engine::kRows];
};

/// What a row's sum of weighted values is multiplied by in the end. Infinite maxima give NaN, as
/// infinity - infinity does; a row without keys has no sum.
template <class Real>
__device__ inline Real normaliser(const SoftmaxState<Real>& state) {
  if (state.sum == 0) return 0;
  return Real{1} / state.sum + (state.max - state.max);
}

}  // namespace attend::cuda
