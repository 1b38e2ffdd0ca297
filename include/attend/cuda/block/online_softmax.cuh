#pragma once

#include <cstdint>
#include <type_traits>

#include "../../core/dtype.hpp"
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

/// Whether sums of weighted values can overflow before they are divided by the weights' sum: those
/// of f16's values can't.
template <class T>
inline constexpr bool kMayOverflow = !std::is_same_v<T, F16>;

/// What weights are multiplied by where sums could, 1 elsewhere: the greatest power of two that
/// leaves room for so many keys. Of the products of the least weights and values that many bits are
/// lost.
template <class T>
__device__ inline float weight_unit(std::int64_t keys) {
  if (!kMayOverflow<T> || keys <= 1) return 1;
  const int bits = 64 - __clzll(keys - 1);  // 2^bits >= keys
  return __uint_as_float(static_cast<unsigned>(127 - bits) << 23);
}

/// The states of an engine's rows, in its threads: each of the lanes that share a row has the row's
/// maximum and a part of its sum.
template <class Engine>
class OnlineSoftmax {
 public:
  using Real = typename Engine::Real;
  using Scores = typename Engine::Scores;

  /// No key yet. Weights are in units of `unit`.
  __device__ explicit OnlineSoftmax(Real unit) : unit_(unit) {
    for (int r = 0; r < Engine::kRows; ++r) max_[r] = -kInfinity<Real>, sum_[r] = 0;
  }

  /// Takes in a tile of logits, of which `allowed` has a bit each, and turns them into weights:
  /// exponentials against the new maximum, in units of `unit`. `factors` is what sums against the
  /// old one have to be multiplied by.
  __device__ void add(Scores& rS, unsigned allowed, Real (&factors)[Engine::kRows]) {
#pragma unroll
    for (int r = 0; r < Engine::kRows; ++r) {
      Real top = max_[r];
#pragma unroll
      for (int c = 0; c < Engine::kColumns; ++c)
        if (is_set(allowed, r, c)) top = top < rS[r][c] ? rS[r][c] : top;
      top = all_lanes<Engine::kRowLanes>(top, [](Real a, Real b) { return a < b ? b : a; });
      factors[r] = rescaled(max_[r], top);
      max_[r] = top;
      sum_[r] *= factors[r];
#pragma unroll
      for (int c = 0; c < Engine::kColumns; ++c) {
        const Real weight = rescaled(rS[r][c], top);
        if (is_set(allowed, r, c)) sum_[r] += weight;
        rS[r][c] = is_set(allowed, r, c) ? weight * unit_ : kExcluded<Real>;
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
  Real unit_;
  Real max_[Engine::kRows];
  Real sum_[Engine::kRows];
};

}  // namespace attend::cuda
