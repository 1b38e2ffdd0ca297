#pragma once

#include <cstdint>
#include <type_traits>

#include "../arch/compiled.cuh"
#include "../tile/half_tile.cuh"
#include "../tile/scalar_tile.cuh"
#include "tensor_core_product.cuh"

/// @file
/// The products of a tile of scores on tensor cores, for 16-bit elements.

namespace attend::cuda {

/// Four warps on 64 queries and 64 or 32 keys at a time, 16 queries each; `Width` columns of
/// output, any head dim, `Width` columns of it at a time.
template <class T, int Width>
struct TensorCoreEngine : TensorCorePart {
  using Element = T;
  using Real = float;
  /// Bf16 is of 8.0; from there on narrow head dims are flash's.
  static constexpr Compiled kCompiled = std::is_same_v<T, BF16> ? Compiled::from_8_0
                                        : Width == 64           ? Compiled::before_8_0
                                                                : Compiled::everywhere;
  static constexpr int kTileRows = 64;
  static constexpr int kTileColumns = Width > 64 ? 32 : 64;  ///< so that all fits in registers
  static constexpr int kWidth = Width;
  static constexpr int kColumns = kTileColumns / 4;  ///< columns of one thread, of scores
  static constexpr int kOutColumns = Width / 4;      ///< its columns of outputs

  using Scores = Real[kRows][kColumns];     ///< a thread's part of a tile of scores
  using Output = Real[kRows][kOutColumns];  ///< a thread's part of the output

  /// Shared memory.
  struct Shared {
    HalfTile<T, kTileRows, Width> q;
    union {
      HalfTile<T, kTileColumns, Width> k;
      ScalarTile<Real, kTileRows, kTileColumns> staged;  ///< scores, where each is looked at
    };
    HalfTile<T, kTileColumns, Width> v;
  };

  /// rS = Q K^T for the rows that `q_row` and `k_row` point to. `q_there`: Q's tile is that of the
  /// call before, and whole.
  template <class QRow, class KRow>
  static __device__ void dot_products(Scores& rS, Shared& shared, QRow q_row,
                                      const RowLayout& q_layout, KRow k_row,
                                      const RowLayout& k_layout, bool q_there) {
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kColumns; ++c) rS[r][c] = 0;
    q_there = q_there && q_layout.columns <= Width;
    for (std::int64_t d = 0; d < q_layout.columns; d += Width) {
      __syncthreads();  // the tiles before are done with
      if (!q_there) load_tile<kThreads>(shared.q, q_row, d, q_layout);
      load_tile<kThreads>(shared.k, k_row, d, k_layout);
      __syncthreads();
      add_dot_products(rS, shared.q, shared.k, T{});
    }
    __syncthreads();
  }

  /// rO += P V for columns `column` and following of the rows that `v_row` points to.
  template <class VRow>
  static __device__ void add_weighted_values(Output& rO, const Scores& rP, Shared& shared,
                                             VRow v_row, const RowLayout& layout,
                                             std::int64_t column) {
    const bool met = load_tile<kThreads>(shared.v, v_row, column, layout);
    if (__syncthreads_or(met)) {
      add_selected(rO, rP, shared.staged, shared.v);
    } else {
      add_products(rO, rP, shared.v, T{});
    }
  }
};

}  // namespace attend::cuda
