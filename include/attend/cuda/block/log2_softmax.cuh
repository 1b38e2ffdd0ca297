#pragma once

#include <cstdint>

#include "../../core/softmax_state.hpp"
#include "../arch/approx.cuh"
#include "../arch/warp.cuh"

/// @file
/// The online softmax of a warp's rows with powers of two: exp(s) = 2^(s log2(e)), of which a
/// device has the power as an instruction and the factor comes with the subtraction of the maximum.

namespace attend::cuda {

/// log2 of e.
inline constexpr float kLog2E = 1.44269504f;

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
  __device__ explicit Log2Softmax(float scale) : scale_(scale), to_exponent_(scale * kLog2E) {}

  /// No key yet.
  __device__ void clear() {
    for (int r = 0; r < kRows; ++r) max_[r] = -kInfinity<float>, sum_[r] = 0;
  }

  /// Takes in a tile of scores and turns them into weights: exponentials against the new maximum.
  /// `factors` is what sums against the old one have to be multiplied by. Scores of excluded keys
  /// are -inf, and weigh nothing; `allowed(r, c)` tells them from others that are.
  template <class Allowed>
  __device__ void add(Scores& rS, float (&factors)[kRows], Allowed allowed) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      float top = max_[r];
#pragma unroll
      for (int c = 0; c < kColumns; ++c) top = fmaxf(top, rS[r][c]);  // passes over NaN
      top = all_lanes<Engine::kRowLanes>(top, [](float a, float b) { return fmaxf(a, b); });
      factors[r] = weight(max_[r], top);
      max_[r] = top;
      sum_[r] *= factors[r];
      const float top_exponent = top * to_exponent_;
      if (fabsf(top_exponent) < kExactExponent) {
#pragma unroll
        for (int c = 0; c < kColumns; ++c)
          rS[r][c] = ex2_approx_ftz(kSubtractsFirst ? (rS[r][c] - top) * to_exponent_
                                                    : fmaf(rS[r][c], to_exponent_, -top_exponent));
      } else {
#pragma unroll
        for (int c = 0; c < kColumns; ++c) rS[r][c] = allowed(r, c) ? weight(rS[r][c], top) : 0;
      }
#pragma unroll
      for (int c = 0; c < kColumns; ++c) sum_[r] += rS[r][c];
    }
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

  // What a sum against maximum `to` counts a score as. Equal infinities are equal; the difference
  // is taken first, as the product could overflow.
  __device__ float weight(float score, float to) const {
    return score == to ? 1.0f : ex2_approx_ftz((score - to) * to_exponent_);
  }

  float scale_;
  float to_exponent_;
  float max_[kRows];
  float sum_[kRows];
};

}  // namespace attend::cuda
