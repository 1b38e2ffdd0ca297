#pragma once

#include <cstdint>

#include "../../core/keys.hpp"
#include "../../core/score_gradient.hpp"
#include "../arch/approx.cuh"
#include "../arch/cp_async.cuh"
#include "../arch/opaque.cuh"
#include "../arch/shared_memory.cuh"
#include "../arch/warp.cuh"
#include "../tile/excluded.cuh"
#include "gradient_query.cuh"
#include "log2_softmax.cuh"

/// @file
/// Gradients of a tile whose scores are dot products times a scale, and from which position alone
/// excludes: weights can be computed before the gradients by weights are there, in few
/// instructions. What is known of queries is a pair of numbers each, as rows are trusted ones:
/// their factor is 1, or NaN as their weights are.

namespace attend::cuda {

/// Queries that are rows: those of a thread, in registers.
template <class Engine, class V>
class QueryRowStates {
 public:
  /// Of a tile's queries.
  __device__ explicit QueryRowStates(const GradientQuery<V>* sQueries) {
    for (int r = 0; r < Engine::kRows; ++r) {
      const RowGradient<float> row = sQueries[Engine::row(r)].state;
      shift_[r] = row.shift * kLog2E<float> * row.factor;
      delta_[r] = row.delta;
    }
  }
  /// What is subtracted from exponents in columns c and c + 1 of row r.
  __device__ float2 shifts(int r, int) const { return {shift_[r], shift_[r]}; }
  /// What gradients by weights are measured from.
  __device__ float2 deltas(int r, int) const { return {delta_[r], delta_[r]}; }

 private:
  float shift_[Engine::kRows], delta_[Engine::kRows];
};

/// Queries that are columns: those of a tile, in shared memory.
template <class Engine>
struct QueryColumnStates {
  static constexpr int kCount = Engine::kTileColumns;
  static_assert(kCount % kWarp == 0 && kCount <= Engine::kThreads);

  alignas(16) RowGradient<float> states[kCount];
  alignas(16) float shift[kCount];
  alignas(16) float delta[kCount];
  int within;                  ///< whether all see all of the block's keys
  std::uint32_t seen[kCount];  ///< keys that each sees, where not: the first, times 2^16 how many

  /// Begins to copy those of queries i and following of a head, up to `end`.
  __device__ void begin_copy(const View<RowGradient<float>, 3>& from, std::int64_t b,
                             std::int64_t h, std::int64_t i, std::int64_t end) {
    const int n = opaque(static_cast<int>(threadIdx.x));
    if (n < kCount)
      cp_async_or_zero<16>(shared_address(&states[n]), from.data() + from.offset(b, h, i) + n,
                           i + n < end);
  }
  /// Notes which of a block's keys, `first` and following, queries from i up to `i_end` see: all
  /// where `all` do.
  __device__ void find_seen(bool all, const KeyBand& band, std::int64_t i, std::int64_t i_end,
                            std::int64_t first) {
    constexpr std::int64_t kMost = Engine::kTileRows;
    const int n = opaque(static_cast<int>(threadIdx.x));
    if (n == 0) within = all ? 1 : 0;
    if (n >= kCount || all) return;
    const KeyRange keys = i + n < i_end ? band.row(i + n) : KeyRange{};
    const auto begin = min(max(keys.begin - first, std::int64_t{0}), kMost);
    const auto end = min(max(keys.end - first, begin), kMost);
    seen[n] = static_cast<std::uint32_t>(begin) | static_cast<std::uint32_t>(end - begin) << 16;
  }
  /// Excludes the keys that are not seen.
  __device__ void exclude(typename Engine::Scores& rX) const {
    const int thread = opaque(static_cast<int>(threadIdx.x));
    const int first =
        thread / kWarp % Engine::kTiling.row_warps * Engine::kTiling.warp_rows + thread % kWarp / 4;
#pragma unroll
    for (int c = 0; c < Engine::kColumns; ++c) {
      const std::uint32_t keys = seen[Engine::column(c)];
#pragma unroll
      for (int r = 0; r < Engine::kRows; ++r)
        if (static_cast<unsigned>(first + 8 * r) - (keys & 0xffff) >= keys >> 16)
          rX[r][c] = kExcluded<float>;
    }
  }

  /// What there is to do when the copy is there; a barrier has to follow.
  __device__ void finish() {
    const int n = opaque(static_cast<int>(threadIdx.x));
    if (n >= kCount) return;
    const RowGradient<float> row = states[n];
    const bool taken = !is_distrusted(row);
    shift[n] = taken ? row.shift * kLog2E<float> * row.factor : kInfinity<float>;
    delta[n] = taken ? row.delta : 0;
  }

  /// What is subtracted from exponents in the thread's columns c and c + 1.
  __device__ float2 shifts(int, int c) const {
    return *reinterpret_cast<const float2*>(&shift[Engine::column(c)]);
  }
  /// What gradients by weights are measured from.
  __device__ float2 deltas(int, int c) const {
    return *reinterpret_cast<const float2*>(&delta[Engine::column(c)]);
  }
};

/// What is computed of the numbers up to here is not put off until later.
template <int Rows, int Columns>
__device__ inline void settle(float (&x)[Rows][Columns]) {
#pragma unroll
  for (int r = 0; r < Rows; ++r)
#pragma unroll
    for (int c = 0; c < Columns; ++c) x[r][c] = opaque(x[r][c]);
}

/// Turns dot products into weights.
template <class Engine, class States>
__device__ void weigh(typename Engine::Scores& rS, const States& states, float scale) {
  const float to_exponent = finite(scale * kLog2E<float>);
#pragma unroll
  for (int c = 0; c < Engine::kColumns; c += 2)
#pragma unroll
    for (int r = 0; r < Engine::kRows; ++r) {
      const float2 shift = states.shifts(r, c);
      rS[r][c] = ex2_approx_ftz(fmaf(rS[r][c], to_exponent, -shift.x));
      rS[r][c + 1] = ex2_approx_ftz(fmaf(rS[r][c + 1], to_exponent, -shift.y));
    }
  settle(rS);
}

/// Turns gradients by weights into gradients by dot products.
template <class Engine, class States>
__device__ void take_gradients(const typename Engine::Scores& rP, typename Engine::Scores& rG,
                               const States& states) {
#pragma unroll
  for (int c = 0; c < Engine::kColumns; c += 2)
#pragma unroll
    for (int r = 0; r < Engine::kRows; ++r) {
      const float2 delta = states.deltas(r, c);
      rG[r][c] = fmaf(rP[r][c], rG[r][c] - delta.x, 0.0f);  // -0 becomes +0
      rG[r][c + 1] = fmaf(rP[r][c + 1], rG[r][c + 1] - delta.y, 0.0f);
    }
  settle(rG);
}

/// Excludes pairs of queries that are rows whose bits (column c of row r is r * kColumns + c) are
/// not set.
template <class Engine>
__device__ void exclude(typename Engine::Scores& rX, unsigned allowed) {
#pragma unroll
  for (int r = 0; r < Engine::kRows; ++r)
#pragma unroll
    for (int c = 0; c < Engine::kColumns; ++c)
      if ((allowed & 1u << (r * Engine::kColumns + c)) == 0) rX[r][c] = kExcluded<float>;
}

}  // namespace attend::cuda
