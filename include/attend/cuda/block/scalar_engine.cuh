#pragma once

#include <cstdint>
#include <type_traits>

#include "../../core/dtype.hpp"
#include "../arch/compiled.cuh"
#include "../tile/scalar_tile.cuh"
#include "scalar_product.cuh"

/// @file
/// The products of a 64 x 64 tile of scores by multiply-add, for any element type.

namespace attend::cuda {

/// 128 threads on 64 queries and 64 keys at a time, `Width` columns of output, any head dim.
/// `StepsAtOnce` of a product of dots have their operands in registers.
template <class T, int Width, int StepsAtOnce = 2>
struct ScalarEngine : ScalarPart {
  using Element = T;
  using Real = RealOf<T>;
  /// From 8.0 on bf16 is multiplied on tensor cores, and so are floats of narrow head dims.
  static constexpr Compiled kCompiled =
      std::is_same_v<T, BF16> || Width == 64 ? Compiled::before_8_0 : Compiled::everywhere;
  static constexpr int kWidth = Width;
  static constexpr int kOutColumns = Width / kRowLanes;  ///< columns of one thread, of outputs
  static constexpr int kChunk = 32;                      ///< of the head dim, and of keys

  /// Columns of the output that this thread computes.
  static __device__ int out_column(int n) { return quad_column(n); }

  using Scores = Real[kRows][kColumns];     ///< a thread's part of a tile of scores
  using Output = Real[kRows][kOutColumns];  ///< a thread's part of the output

  /// Shared memory.
  struct Shared {
    ScalarTile<Real, kTileRows, kTileColumns> staged;  ///< scores, then probabilities
    union {
      struct {
        ScalarTile<Real, kTileRows, kChunk> q, k;
      } chunk;
      ScalarTile<Real, kChunk, Width> v;
    };
  };

  /// rS = Q K^T for the rows that `q_row` and `k_row` point to.
  template <class QRow, class KRow>
  static __device__ void dot_products(Scores& rS, Shared& shared, QRow q_row,
                                      const RowLayout& q_layout, KRow k_row,
                                      const RowLayout& k_layout, bool) {
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kColumns; ++c) rS[r][c] = 0;
    for (std::int64_t d = 0; d < q_layout.columns; d += kChunk) {
      __syncthreads();  // the chunk before, or values, are done with
      load_tile<kThreads>(shared.chunk.q, q_row, d, q_layout);
      load_tile<kThreads>(shared.chunk.k, k_row, d, k_layout);
      __syncthreads();
      add_dot_products<StepsAtOnce>(rS, shared.chunk.q, shared.chunk.k);
    }
    __syncthreads();
  }

  /// rO += P V for columns `column` and following of the rows that `v_row` points to.
  template <class VRow>
  static __device__ void add_weighted_values(Output& rO, const Scores& rP, Shared& shared,
                                             VRow v_row, const RowLayout& layout,
                                             std::int64_t column) {
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kColumns; ++c)
        shared.staged.at(ScalarPart::row(r), ScalarPart::column(c)) = rP[r][c];
    for (int first = 0; first < kTileColumns; first += kChunk) {
      __syncthreads();
      const bool met = load_tile<kThreads>(
          shared.v, [&](int n) { return v_row(first + n); }, column, layout);
      if (__syncthreads_or(met)) {
        add_weighted<Values::any>(rO, shared.staged, first, shared.v);
      } else {
        add_weighted<Values::finite>(rO, shared.staged, first, shared.v);
      }
    }
    __syncthreads();
  }
};

}  // namespace attend::cuda
