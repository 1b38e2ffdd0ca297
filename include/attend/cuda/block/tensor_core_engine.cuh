#pragma once

#include <cstdint>

#include "../arch/ldmatrix.cuh"
#include "../arch/mma.cuh"
#include "../arch/warp.cuh"
#include "../tile/excluded.cuh"
#include "../tile/half_tile.cuh"
#include "../tile/scalar_tile.cuh"

/// @file
/// The products of a tile of scores on tensor cores, for 16-bit elements.

namespace attend::cuda {

/// Four warps on 64 queries and 64 or 32 keys at a time, 16 queries each; `Width` columns of
/// output, any head dim, `Width` columns of it at a time.
template <class T, int Width>
struct TensorCoreEngine {
  using Element = T;
  using Real = float;
  static constexpr int kThreads = 128;
  static constexpr int kTileRows = 64;
  static constexpr int kTileColumns = Width > 64 ? 32 : 64;  ///< so that all fits in registers
  static constexpr int kWidth = Width;
  static constexpr int kRows = 2;                    ///< rows of one thread: g and g + 8
  static constexpr int kColumns = kTileColumns / 4;  ///< its columns of scores
  static constexpr int kOutColumns = Width / 4;      ///< its columns of outputs
  static constexpr int kRowLanes = 4;                ///< threads that share a row

  static __device__ int first_row() { return static_cast<int>(threadIdx.x) / kWarp * 16; }
  /// The n-th row of this thread.
  static __device__ int row(int n) { return first_row() + lane() / 4 + 8 * n; }
  /// The n-th column of this thread.
  static __device__ int column(int n) { return n / 2 * 8 + lane() % 4 * 2 + n % 2; }
  /// The n-th column of this thread, of outputs.
  static __device__ int out_column(int n) { return column(n); }

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
      add_dot_products(rS, shared);
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
      add_selected(rO, rP, shared);
    } else {
      add_products(rO, rP, shared);
    }
  }

 private:
  // rS += sQ sK^T. A's fragment: rows g, g + 8; octets of the head dim 2k, 2k + 1. B's: keys are
  // columns, so K's rows are what ldmatrix reads.
  static __device__ void add_dot_products(Scores& rS, Shared& shared) {
#pragma unroll 2
    for (int k = 0; k < Width / 16; ++k) {
      std::uint32_t a[4];
      ldmatrix_x4(a, &shared.q.octet(first_row() + lane() % 16, 2 * k + lane() / 16));
#pragma unroll
      for (int n = 0; n < kTileColumns / 16; ++n) {
        // Matrices: keys 0-7 at octets 2k and 2k + 1, then keys 8-15.
        std::uint32_t b[4];
        ldmatrix_x4(b,
                    &shared.k.octet(16 * n + lane() / 16 * 8 + lane() % 8, 2 * k + lane() / 8 % 2));
        add_product(rS, 4 * n, a, {b[0], b[1]});
        add_product(rS, 4 * n + 2, a, {b[2], b[3]});
      }
    }
  }

  // rO += rP sV, no value of V being infinite or NaN. A thread's scores are the fragment of A.
  static __device__ void add_products(Output& rO, const Scores& rP, Shared& shared) {
#pragma unroll
    for (int k = 0; k < kTileColumns / 16; ++k) {
      std::uint32_t a[4];
      for (int x = 0; x < 4; ++x) {
        const int c = 4 * k + x / 2 * 2;
        a[x] = packed(rP[x % 2][c], rP[x % 2][c + 1], T{});
      }
#pragma unroll
      for (int n = 0; n < Width / 16; ++n) {
        // Matrices: keys 0-7 and 8-15 at octet 2n, then at octet 2n + 1; transposed, as keys are
        // rows.
        std::uint32_t b[4];
        ldmatrix_x4_trans(b, &shared.v.octet(16 * k + lane() % 16, 2 * n + lane() / 16));
        add_product(rO, 4 * n, a, {b[0], b[1]});
        add_product(rO, 4 * n + 2, a, {b[2], b[3]});
      }
    }
  }

  // The product with columns c, c + 1 (of this thread) of rows g, g + 8.
  template <int Columns>
  static __device__ void add_product(Real (&sum)[kRows][Columns], int c,
                                     const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
    Real d[4] = {sum[0][c], sum[0][c + 1], sum[1][c], sum[1][c + 1]};
    mma_m16n8k16(d, a, b, T{});
    sum[0][c] = d[0], sum[0][c + 1] = d[1], sum[1][c] = d[2], sum[1][c + 1] = d[3];
  }

  // The same by multiply-add, leaving excluded keys out one by one.
  static __device__ void add_selected(Output& rO, const Scores& rP, Shared& shared) {
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kColumns; ++c) shared.staged.at(row(r), column(c)) = rP[r][c];
    __syncthreads();
#pragma unroll 1
    for (int key = 0; key < kTileColumns; ++key)
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const Real p = shared.staged.at(row(r), key);
        if (is_excluded(p)) continue;
#pragma unroll
        for (int c = 0; c < kOutColumns; ++c)
          rO[r][c] += p * to_real(shared.v.at(key, out_column(c)));
      }
  }
};

}  // namespace attend::cuda
