#pragma once

#include <cstdint>

#include "../../core/dropout.hpp"
#include "../arch/opaque.cuh"
#include "../arch/warp.cuh"

/// @file
/// Dropout of a tile of weights that lies in registers.

namespace attend::cuda {

/// The bits of dropout for a tile's rows. A thread's four neighbouring keys are those that share a
/// counter.
template <class Engine>
class RegisterDropout {
 public:
  using Rows = typename Engine::Rows;
  using Scores = typename Engine::Scores;

  /// Of a tile's rows.
  __device__ RegisterDropout(const Problem& problem, const Dropout& dropout, const Rows& rows)
      : problem_(problem), dropout_(dropout), rows_(rows) {}

  /// Makes the weights of keys `first` and following that dropout drops 0. Its factor for the
  /// others is left to be done once, at the end.
  __device__ void apply(Scores& rP, int first) const {
    if (!dropout_.active()) return;
    const auto greatest_dropped = static_cast<std::uint32_t>(dropout_.threshold - 1);
#pragma unroll
    for (int n = 0; n < Engine::kRows * kFours; n += kAtOnce) {
      PhiloxWords words[kAtOnce];
#pragma unroll
      for (int x = 0; x < kAtOnce; ++x)
        words[x] = philox_counter(counter((n + x) / kFours, first) +
                                  static_cast<unsigned>((n + x) % kFours * 4));
      PhiloxKey key(opaque(dropout_.rng.seed));
#pragma unroll
      for (int round = 0; round < kPhiloxRounds; ++round, key.advance())
#pragma unroll
        for (int x = 0; x < kAtOnce; ++x) words[x] = philox_round(words[x], key);
#pragma unroll
      for (int x = 0; x < kAtOnce; ++x)
#pragma unroll
        for (int w = 0; w < 4; ++w) {
          float& weight = rP[(n + x) / kFours][(n + x) % kFours * 4 + w];
          weight = words[x].word[w] > greatest_dropped ? weight : 0;
        }
      __syncwarp();  // no more of them at once: registers are short
    }
  }

 private:
  static constexpr int kFours = Engine::kColumns / 4;
  /// Counters that go through the rounds together: no step waits for the one before.
  static constexpr int kAtOnce = 4;
  static_assert(Engine::kRows * kFours % kAtOnce == 0);

  // The counter of the thread's first keys of the tile of keys `first` and following, for row r.
  __device__ std::uint64_t counter(int r, int first) const {
    const Index at = rows_.index(Engine::row(r));
    return dropout_.row_counter(problem_, at.b, at.h, at.i) +
           static_cast<unsigned>((first + Engine::first_key(opaque(lane()))) / 4);
  }

  const Problem& problem_;
  const Dropout& dropout_;
  const Rows& rows_;
};

}  // namespace attend::cuda
