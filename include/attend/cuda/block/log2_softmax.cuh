#pragma once

#include <cstdint>

#include "../../core/softmax_state.hpp"
#include "../arch/approx.cuh"
#include "../arch/warp.cuh"

/// @file
/// The online softmax of a warp's rows with powers of two: exp(s) = 2^(s log2(e)), of which a
/// device has the power as an instruction and the factor comes with the subtraction of the maximum.

namespace attend::cuda {

/// A factor as it is, or the greatest that is finite: infinity times 0 would be NaN.
__device__ inline float finite(float factor) {
  constexpr float kMost = 3.402823466e38f;
  return min(max(factor, -kMost), kMost);
}

/// An exponent below this is rounded by less than 2^-14, which a weight can bear: the difference of
/// a greater one and a product that was not rounded may be anything.
inline constexpr float kExactExponent = 1024;

/// The states of an engine's rows, in its threads: each of the lanes that share a row has the row's
/// maximum and a part of its sum. Scores are logits divided by `scale`, which is positive.
template <class Engine>
class Log2Softmax {
 public:
  using Scores = typename Engine::Scores;
  static constexpr int kRows = Engine::kRows;
  static constexpr int kColumns = Engine::kColumns;

  /// Of scores in units of `scale`.
  __device__ explicit Log2Softmax(float scale)
      : scale_(scale), to_exponent_(scale * kLog2E<float>) {}

  /// No key yet.
  __device__ void clear() {
    great_ = false;
    for (int r = 0; r < kRows; ++r) max_[r] = -kInfinity<float>, sum_[r] = 0;
  }

  /// Takes in a tile of scores and turns them into weights: exponentials against the new maximum.
  /// `factors` is what sums against the old one have to be multiplied by. Scores of excluded keys
  /// are -inf, and weigh nothing. Not for great scores, infinite ones among them: then
  /// `is_doubtful` says so, and all has to be done again by `add_any`.
  __device__ void add(Scores& rS, float (&factors)[kRows]) {
    float top[kRows];  // what scores are less, or its exponent
    raise(rS, factors);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const bool no_key = max_[r] == -kInfinity<float>;
      const float exponent = no_key ? 0 : max_[r] * to_exponent_;
      great_ = great_ || !(fabsf(exponent) < kExactExponent);
      top[r] = kSubtractsFirst && !no_key ? max_[r] : exponent;
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c)
        rS[r][c] = ex2_approx_ftz(kSubtractsFirst ? (rS[r][c] - top[r]) * to_exponent_
                                                  : fmaf(rS[r][c], to_exponent_, -top[r]));
    sum(rS, factors);
  }
  /// Whether `add` may have been wrong for a row of this thread: scores were too great for it, or
  /// all were -inf, of which it does not know whether the keys were excluded. `has_met_key(r)`:
  /// whether one of row r was not.
  template <class HasMetKey>
  __device__ bool is_doubtful(HasMetKey has_met_key) const {
    bool doubtful = great_;
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      doubtful = doubtful || (max_[r] == -kInfinity<float> && has_met_key(r));
    return doubtful;
  }

  /// The same for all scores, with weights in units of `unit`. `allowed(r, c)` tells those of
  /// excluded keys from others that are -inf.
  template <class Allowed>
  __device__ void add_any(Scores& rS, float (&factors)[kRows], Allowed allowed, float unit) {
    raise(rS, factors);
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) rS[r][c] = allowed(r, c) ? weight(rS[r][c], max_[r]) : 0;
    sum(rS, factors);
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) rS[r][c] *= unit;
  }

  /// Whether a sum of this thread's is infinite or NaN.
  __device__ bool has_not_finite() const {
    bool met = false;
#pragma unroll
    for (int r = 0; r < kRows; ++r) met = met || !(sum_[r] < kInfinity<float>);
    return met;
  }

  /// The state of the thread's n-th row, whole, of logits.
  __device__ SoftmaxState<float> state(int n) const {
    return {max_[n] * scale_,
            all_lanes<Engine::kRowLanes>(sum_[n], [](float a, float b) { return a + b; })};
  }

 private:
  // Whether the greatest score weighs exactly 1: a float shows the difference, which costs an
  // instruction for each score.
  static constexpr bool kSubtractsFirst = sizeof(typename Engine::Element) == sizeof(float);

  // The maxima with a tile of scores.
  __device__ void raise(const Scores& rS, float (&factors)[kRows]) {
    const auto greater = [](float a, float b) { return fmaxf(a, b); };  // passes over NaN
    float top[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) top[r] = greater(max_[r], combined(rS[r], greater));
    all_lanes<Engine::kRowLanes>(top, greater);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      factors[r] = weight(max_[r], top[r]);
      max_[r] = top[r];
    }
  }

  // The sums with a tile of weights.
  __device__ void sum(const Scores& rP, const float (&factors)[kRows]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      sum_[r] = fmaf(sum_[r], factors[r], combined(rP[r], [](float a, float b) { return a + b; }));
  }

  // All numbers of a row together, by way of a few that do not wait for each other.
  template <class Combine>
  static __device__ float combined(const float (&x)[kColumns], Combine combine) {
    constexpr int kWays = 4;
    float part[kWays];
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
      part[c % kWays] = c < kWays ? x[c] : combine(part[c % kWays], x[c]);
    return combine(combine(part[0], part[1]), combine(part[2], part[3]));
  }

  // What a sum against maximum `to` counts a score as. Equal infinities are equal; the difference
  // is taken first, as the product could overflow.
  __device__ float weight(float score, float to) const {
    return score == to ? 1.0f : ex2_approx_ftz((score - to) * to_exponent_);
  }

  float scale_;
  float to_exponent_;
  bool great_ = false;
  float max_[kRows];
  float sum_[kRows];
};

}  // namespace attend::cuda
