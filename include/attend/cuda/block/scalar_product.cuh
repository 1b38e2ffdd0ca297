#pragma once

#include "../tile/excluded.cuh"
#include "../tile/fours.cuh"
#include "../tile/scalar_tile.cuh"

/// @file
/// Products of tiles by multiply-add: 128 threads, 8 x 16, share a tile of 64 rows.

namespace attend::cuda {

/// The part of a 64-row tile that one thread computes: every eighth row; and of the columns either
/// every sixteenth (of scores) or every sixteenth quad (of outputs). Rows are the same for both, so
/// that what is known of a row stays with its threads, 16 neighbouring lanes.
struct ScalarPart {
  static constexpr int kThreads = 128;
  static constexpr int kTileRows = 64;
  static constexpr int kTileColumns = 64;
  static constexpr int kRows = 8;       ///< rows of one thread
  static constexpr int kColumns = 4;    ///< columns of one thread, in 64
  static constexpr int kRowLanes = 16;  ///< threads that share a row
  static constexpr Fours kRowFours{.lanes = 2, .step = 16, .each = 1};  ///< two are the next warp's
  static constexpr Fours kColumnFours{.lanes = 4, .step = 1, .each = 1};

  /// The n-th row of this thread.
  static __device__ int row(int n) { return static_cast<int>(threadIdx.x) / kRowLanes + 8 * n; }
  /// The n-th column of this thread, of scores.
  static __device__ int column(int n) {
    return static_cast<int>(threadIdx.x) % kRowLanes + kRowLanes * n;
  }
  /// The n-th column of this thread, of outputs.
  static __device__ int quad_column(int n) {
    return 4 * (static_cast<int>(threadIdx.x) % kRowLanes) + n / 4 * 64 + n % 4;
  }
};

/// rS += sA sB^T: dot products of A's rows with B's rows, the operands of so many steps in
/// registers at once.
template <int StepsAtOnce = 2, class Real, class TileA, class TileB>
__device__ void add_dot_products(Real (&rS)[ScalarPart::kRows][ScalarPart::kColumns],
                                 const TileA& sA, const TileB& sB) {
#pragma unroll StepsAtOnce
  for (int k = 0; k < TileA::kColumns; k += 4) {
    Quad<Real> b[ScalarPart::kColumns];
    for (int c = 0; c < ScalarPart::kColumns; ++c) b[c] = sB.quad(ScalarPart::column(c), k);
    for (int r = 0; r < ScalarPart::kRows; ++r) {
      const Quad<Real> a = sA.quad(ScalarPart::row(r), k);
      for (int c = 0; c < ScalarPart::kColumns; ++c)
        for (int x = 0; x < 4; ++x) rS[r][c] += a.at[x] * b[c].at[x];
    }
  }
}

/// rO += sP sV for the keys of sV, which are columns `first` and following of sP.
template <Values values, class Real, int Columns, class TileP, class TileV>
__device__ void add_weighted(Real (&rO)[ScalarPart::kRows][Columns], const TileP& sP, int first,
                             const TileV& sV) {
#pragma unroll 1
  for (int k = 0; k < TileV::kRows; k += 4) {
    Quad<Real> v[4][Columns / 4];
    for (int x = 0; x < 4; ++x)
      for (int c = 0; c < Columns; c += 4) v[x][c / 4] = sV.quad(k + x, ScalarPart::quad_column(c));
    for (int r = 0; r < ScalarPart::kRows; ++r) {
      const Quad<Real> p = sP.quad(ScalarPart::row(r), first + k);
      for (int x = 0; x < 4; ++x) {
        if (values == Values::any && is_excluded(p.at[x])) continue;
        for (int c = 0; c < Columns; ++c) rO[r][c] += p.at[x] * v[x][c / 4].at[c % 4];
      }
    }
  }
}

/// rO += sP^T sV for the queries of sV, which are rows of sP.
template <Values values, class Real, class TileP, class TileV>
__device__ void add_weighted_transposed(Real (&rO)[ScalarPart::kRows][ScalarPart::kColumns],
                                        TileP& sP, const TileV& sV) {
#pragma unroll 2
  for (int k = 0; k < TileV::kRows; ++k) {
    const Quad<Real> v = sV.quad(k, ScalarPart::quad_column(0));
    for (int r = 0; r < ScalarPart::kRows; ++r) {
      const Real p = sP.at(k, ScalarPart::row(r));
      if (values == Values::any && is_excluded(p)) continue;
      for (int c = 0; c < ScalarPart::kColumns; ++c) rO[r][c] += p * v.at[c];
    }
  }
}

}  // namespace attend::cuda
