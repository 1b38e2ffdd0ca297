#pragma once

#include <cstdint>

#include "../../core/softmax_state.hpp"
#include "bias_of_rows.cuh"
#include "key_bits.cuh"

/// @file
/// What a bias does to a tile of scores that lies in registers.

namespace attend::cuda {

/// A bias' part of a tile, fetched ahead of its use where the tiling says so.
template <class Engine>
class RegisterBias {
 public:
  using Bits = typename KeyBits<Engine>::Bits;
  using Rows = typename Engine::Rows;
  using Scores = typename Engine::Scores;
  static constexpr int kRows = Engine::kRows;
  static constexpr int kColumns = Engine::kColumns;
  static constexpr int kFetchedRows = Engine::kTiling.ahead == FetchAhead::bias          ? kRows
                                      : Engine::kTiling.ahead == FetchAhead::row_of_bias ? 1
                                                                                         : 0;

  /// Of a tile's rows.
  __device__ RegisterBias(const View<const float, 4>& bias, const Rows& rows) : bias_(bias, rows) {}

  /// Begins to read what `add(.., first)` will be asked for next.
  __device__ void fetch(int first) {
    if constexpr (kFetchedRows > 0) {
      if (!bias_.come_in_fours(first)) return;
#pragma unroll
      for (int r = 0; r < kFetchedRows; ++r)
        bias_.each_four(r, first, [&](int n, const float4& four) { fours_[r][n] = four; });
    }
  }

  /// Nothing is to be read.
  __device__ void forget_fetched() {
    for (auto& row : fours_)
      for (float4& four : row) forget(four.x), forget(four.y), forget(four.z), forget(four.w);
  }

  /// rS = factor rS + bias of keys `first` and following. It was fetched.
  __device__ void add(Scores& rS, float factor, int first) const {
    if (bias_.come_in_fours(first)) {
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const auto add = [&](int n, const float4& four) {
          float* const score = rS[r] + 4 * n;
          score[0] = fmaf(score[0], factor, four.x), score[1] = fmaf(score[1], factor, four.y);
          score[2] = fmaf(score[2], factor, four.z), score[3] = fmaf(score[3], factor, four.w);
        };
        if (r < kFetchedRows) {
#pragma unroll
          for (int n = 0; n < kColumns / 4; ++n) add(n, fours_[r < kFetchedRows ? r : 0][n]);
        } else {
          bias_.each_four(r, first, add);
        }
      }
    } else {
#pragma unroll
      for (int r = 0; r < kRows; ++r)
        bias_.template each<kColumns>(
            r, first, [&](int c, float x) { rS[r][c] = fmaf(rS[r][c], factor, x); });
    }
  }

  /// Of some keys of the tile those that a bias of -inf does not exclude.
  __device__ Bits kept_of(Bits keys, int first) const {
#pragma unroll 1
    for (int r = 0; r < kRows; ++r)
      bias_.template each<1>(r, first, [&](int c, float x) {
        if (x == -kInfinity<float>) keys &= ~(Bits{1} << (r * kColumns + c));
      });
    return keys;
  }

 private:
  BiasOfRows<Engine> bias_;
  float4 fours_[kFetchedRows > 0 ? kFetchedRows : 1][kColumns / 4];
};

}  // namespace attend::cuda
