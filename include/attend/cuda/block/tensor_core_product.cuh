#pragma once

#include <cstdint>

#include "../arch/mma.cuh"
#include "../arch/opaque.cuh"
#include "../arch/warp.cuh"
#include "../tile/excluded.cuh"
#include "../tile/fours.cuh"
#include "../tile/fragments.cuh"
#include "../tile/half_tile.cuh"

/// @file
/// Products of tiles on tensor cores: four warps share a tile of 64 rows, 16 rows each.

namespace attend::cuda {

/// The part of a 64-row tile that one thread holds: rows g and g + 8 of its warp, and two
/// neighbouring columns of each eight.
struct TensorCorePart {
  static constexpr int kThreads = 128;
  static constexpr int kRows = 2;      ///< rows of one thread
  static constexpr int kRowLanes = 4;  ///< threads that share a row
  static constexpr Fours kRowFours = kFragmentRowFours, kColumnFours = kFragmentColumnFours;

  static __device__ int first_row() { return static_cast<int>(threadIdx.x) / kWarp * 16; }
  /// The n-th row of this thread.
  static __device__ int row(int n) { return first_row() + lane() / 4 + 8 * n; }
  /// The n-th column of this thread.
  static __device__ int column(int n) { return n / 2 * 8 + lane() % 4 * 2 + n % 2; }
  /// The n-th column of this thread, of outputs.
  static __device__ int out_column(int n) { return column(n); }
};

/// The product with columns c, c + 1 (of this thread) of its rows r, r + 1: g, g + 8 of 16.
template <int Rows, int Columns, class T>
__device__ inline void add_product(float (&sum)[Rows][Columns], int c, const std::uint32_t (&a)[4],
                                   const std::uint32_t (&b)[2], T, int r = 0) {
  float d[4] = {sum[r][c], sum[r][c + 1], sum[r + 1][c], sum[r + 1][c + 1]};
  mma_m16n8k16(d, a, b, T{});
  sum[r][c] = d[0], sum[r][c + 1] = d[1], sum[r + 1][c] = d[2], sum[r + 1][c + 1] = d[3];
}

/// rS += sA sB^T.
template <int Columns, class TileA, class TileB, class T>
__device__ void add_dot_products(float (&rS)[TensorCorePart::kRows][Columns], const TileA& sA,
                                 const TileB& sB, T) {
  const LeftOperand<TileA> left(sA, TensorCorePart::first_row());
  const TransposedOperand<TileB> right(sB);
#pragma unroll 2
  for (int k = 0; k < TileA::kColumns / 16; ++k) {
    std::uint32_t a[4];
    left.read(a, k);
#pragma unroll
    for (int n = 0; n < TileB::kRows / 16; ++n) {
      std::uint32_t b[4];
      right.read(b, n, k);
      add_product(rS, 4 * n, a, {b[0], b[1]}, T{});
      add_product(rS, 4 * n + 2, a, {b[2], b[3]}, T{});
    }
  }
}

/// rO += rP sB, no number of B being infinite or NaN. A thread's scores are the fragment of A.
template <int OutColumns, int Columns, class Tile, class T>
__device__ void add_products(float (&rO)[TensorCorePart::kRows][OutColumns],
                             const float (&rP)[TensorCorePart::kRows][Columns], const Tile& sB, T) {
  const RightOperand<Tile> right(sB);
#pragma unroll
  for (int k = 0; k < Tile::kRows / 16; ++k) {
    std::uint32_t a[4];
    for (int x = 0; x < 4; ++x) {
      const int c = 4 * k + x / 2 * 2;
      a[x] = packed(rP[x % 2][c], rP[x % 2][c + 1], T{});
    }
#pragma unroll
    for (int n = 0; n < Tile::kColumns / 16; ++n) {
      std::uint32_t b[4];
      right.read(b, n, k);
      add_product(rO, 4 * n, a, {b[0], b[1]}, T{});
      add_product(rO, 4 * n + 2, a, {b[2], b[3]}, T{});
    }
  }
}

/// The same by multiply-add, leaving excluded pairs out one by one. Only a warp's own rows of
/// `staged` are used.
template <int OutColumns, int Columns, class Staged, class Tile>
__device__ void add_selected(float (&rO)[TensorCorePart::kRows][OutColumns],
                             const float (&rP)[TensorCorePart::kRows][Columns], Staged& staged,
                             Tile& sB) {
  using Part = TensorCorePart;
  __syncwarp();
  for (int r = 0; r < Part::kRows; ++r)
    for (int c = 0; c < Columns; ++c) staged.at(Part::row(r), Part::column(c)) = rP[r][c];
  __syncwarp();
#pragma unroll 1
  for (int key = 0; key < Tile::kRows; ++key) {
    const int lane = opaque(cuda::lane());
#pragma unroll
    for (int r = 0; r < Part::kRows; ++r) {
      const float p = staged.at(Part::first_row() + lane / 4 + 8 * r, key);
      if (is_excluded(p)) continue;
#pragma unroll
      for (int c = 0; c < OutColumns; ++c)
        rO[r][c] += p * to_real(sB.octet(key, c / 2).at[lane % 4 * 2 + c % 2]);
    }
  }
  __syncwarp();
}

}  // namespace attend::cuda
