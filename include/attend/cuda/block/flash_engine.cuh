#pragma once

#include <cstdint>

#include "../arch/convert.cuh"
#include "../arch/mma.cuh"
#include "../arch/opaque.cuh"
#include "../tile/async_copy.cuh"
#include "../tile/excluded.cuh"
#include "../tile/fragments.cuh"
#include "../tile/half_tile.cuh"
#include "flash_tiling.hpp"
#include "tile_rows.cuh"

/// @file
/// The products of the flash kernel: a warp's rows against a tile of keys or values that is in
/// shared memory. Scores and outputs are in registers.

namespace attend::cuda {

/// The engine of `HeadDim`'s tiling.
template <class T, int HeadDim, FlashScores scores>
struct FlashEngine {
  using Element = T;
  using Real = float;
  static constexpr FlashScores kScores = scores;
  static constexpr FlashTiling kTiling = flash_tiling(HeadDim, HeadDim, scores);
  static constexpr int kThreads = kTiling.warps * kWarp;
  static constexpr int kTileRows = kTiling.rows();
  static constexpr int kTileColumns = kTiling.keys;
  static constexpr int kWidth = HeadDim;
  static constexpr int kRows = kTiling.warp_rows / 8;  ///< rows of one thread
  static constexpr int kColumns = kTileColumns / 4;    ///< its columns of scores
  static constexpr int kOutColumns = kWidth / 4;       ///< its columns of outputs
  static constexpr int kRowLanes = 4;                  ///< threads that share a row
  static constexpr int kBands = kRows / 2;             ///< 16 rows each: those of a product
  static constexpr int kSteps = kWidth / 16;           ///< products along the head dim
  static constexpr bool kKeepsQueries = kTiling.queries == QueryFragments::registers;

  using Rows = TileRows<kTiling.warps, kTiling.warp_rows>;
  using QueryRows = HalfTile<T, kTileRows, kWidth>;
  using Tile = HalfTile<T, kTileColumns, kWidth>;  ///< of keys or of values
  using Scores = Real[kRows][kColumns];            ///< a thread's part of a tile of scores
  using Output = Real[kRows][kOutColumns];         ///< a thread's part of the output

  /// The first row of this thread's warp.
  static __device__ int first_row() {
    return static_cast<int>(threadIdx.x) / kWarp * kTiling.warp_rows;
  }
  /// The n-th row of this thread.
  static __device__ int row(int n) { return first_row() + lane() / 4 + 8 * n; }
  /// The first column of this thread, of scores and of outputs.
  static __device__ int first_column() { return lane() % 4 * 2; }
  /// Its n-th column, counted from its first.
  static constexpr __device__ int column_from_first(int n) { return n / 2 * 8 + n % 2; }
  /// Its n-th column.
  static __device__ int column(int n) { return first_column() + column_from_first(n); }

  /// The warp's queries, as left operands.
  class Queries {
   public:
    /// Of the tile, which has to be there when they are taken or read.
    __device__ explicit Queries(const QueryRows& sQ) : sQ_(sQ) {}
    /// Takes them into registers, if they are kept there.
    __device__ void take() {
      if constexpr (kKeepsQueries) {
        const LeftOperand<QueryRows> rows(sQ_, first_row());
        for (int k = 0; k < kSteps; ++k)
          for (int m = 0; m < kBands; ++m) rows.read(kept_[k][m], k, 16 * m);
      }
    }
    /// Calls `use(k, a)` for all k: a[m] is columns 16k to 16k + 15 of the m-th 16 rows.
    template <class Use>
    __device__ void each(Use use) const {
      const LeftOperand<QueryRows> rows(sQ_, first_row());
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
        if constexpr (kKeepsQueries) {
          use(k, kept_[k]);
        } else {
          std::uint32_t a[kBands][4];
#pragma unroll
          for (int m = 0; m < kBands; ++m) rows.read(a[m], k, 16 * m);
          use(k, a);
        }
      }
    }

   private:
    const QueryRows& sQ_;
    std::uint32_t kept_[kKeepsQueries ? kSteps : 1][kBands][4];
  };

  /// rS = Q K^T.
  static __device__ void dot_products(Scores& rS, const Queries& rQ, const Tile& sK) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) rS[r][c] = 0;
    const TransposedOperand<Tile> keys(sK);
    rQ.each([&](int k, const std::uint32_t(&a)[kBands][4]) {
#pragma unroll
      for (int n = 0; n < kTileColumns / 16; ++n) {
        std::uint32_t b[4];
        keys.read(b, n, k);
#pragma unroll
        for (int m = 0; m < kBands; ++m) add_product(rS, m, 4 * n, a[m], b);
      }
    });
  }

  /// Weights as left operands: of 16 rows and 16 keys a register is what a thread's scores of a row
  /// are, two neighbours each.
  struct Weights {
    std::uint32_t at[kTileColumns / 16][kBands][4];
  };
  /// Rounds weights to elements.
  static __device__ Weights weights(const Scores& rP) {
    Weights rounded;
    each_weight([&](int k, int m, int x, int r, int c) {
      rounded.at[k][m][x] = opaque(packed(rP[r][c], rP[r][c + 1], T{}));
    });
    return rounded;
  }

  /// rO += P V.
  static __device__ void add_products(Output& rO, const Weights& rP, const Tile& sV) {
    const RightOperand<Tile> values(sV);
#pragma unroll
    for (int k = 0; k < kTileColumns / 16; ++k)
#pragma unroll
      for (int n = 0; n < kSteps; ++n) {
        std::uint32_t b[4];
        values.read(b, n, k);
#pragma unroll
        for (int m = 0; m < kBands; ++m) add_product(rO, m, 4 * n, rP.at[k][m], b);
      }
  }

  /// The same by multiply-add, leaving out keys that are not `allowed(r, c)` one by one: for values
  /// that are infinite or NaN. The warp's queries are overwritten with weights.
  template <class Allowed>
  static __device__ void add_selected(Output& rO, const Weights& rP, Allowed allowed,
                                      const Tile& sV, QueryRows& sP) {
    const int row = first_row() + opaque(lane()) / 4, t = opaque(lane()) % 4;
    each_weight([&](int k, int m, int x, int r, int c) {
      T* const two = &sP.octet(row + 8 * r, c / 2).at[2 * t];
      const std::uint32_t excluded = packed(kExcluded<Real>, kExcluded<Real>, T{});
      const std::uint32_t kept = (allowed(r, c) ? 0xffffu : 0) | (allowed(r, c + 1) ? ~0xffffu : 0);
      *reinterpret_cast<std::uint32_t*>(two) = (rP.at[k][m][x] & kept) | (excluded & ~kept);
    });
    __syncwarp();
#pragma unroll 1
    for (int key = 0; key < kTileColumns; ++key)
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const Real p = to_real(sP.at(row + 8 * r, key));
        if (is_excluded(p)) continue;
#pragma unroll
        for (int c = 0; c < kOutColumns; ++c)
          rO[r][c] += p * to_real(sV.octet(key, c / 2).at[2 * t + c % 2]);
      }
    __syncwarp();
  }

  /// Brings the warp's queries back to where `add_selected` overwrote them.
  template <class RowsOf>
  static __device__ void restore_queries(QueryRows& sQ, const RowsOf& gQ, const RowLayout& layout) {
    if constexpr (!kKeepsQueries) {
      constexpr int kOctets = kWidth / 8;
#pragma unroll 1
      for (int n = opaque(lane()); n < kTiling.warp_rows * kOctets; n += kWarp) {
        const int row = first_row() + n / kOctets;
        sQ.octet(row, n % kOctets) =
            gathered(gQ.exists(row) ? gQ.address(row) : nullptr, n % kOctets * 8, layout);
      }
      __syncwarp();
    }
  }

 private:
  // Calls `visit(k, m, x, r, c)` for each register of weights: k-th 16 keys, m-th 16 rows, register
  // x of those, which has columns c and c + 1 of the thread's row r.
  template <class Visit>
  static __device__ void each_weight(Visit visit) {
#pragma unroll
    for (int k = 0; k < kTileColumns / 16; ++k)
#pragma unroll
      for (int m = 0; m < kBands; ++m)
#pragma unroll
        for (int x = 0; x < 4; ++x) visit(k, m, x, 2 * m + x % 2, 4 * k + x / 2 * 2);
  }

  // The products of the m-th 16 rows with columns 0 to 7 and 8 to 15 of an operand, into the
  // thread's columns c and following.
  template <int Columns>
  static __device__ void add_product(Real (&sum)[kRows][Columns], int m, int c,
                                     const std::uint32_t (&a)[4], const std::uint32_t (&b)[4]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      Real* const up = &sum[2 * m][c + 2 * half];
      Real* const down = &sum[2 * m + 1][c + 2 * half];
      Real d[4] = {up[0], up[1], down[0], down[1]};
      mma_m16n8k16(d, a, {b[2 * half], b[2 * half + 1]}, T{});
      up[0] = d[0], up[1] = d[1], down[0] = d[2], down[1] = d[3];
    }
  }
};

}  // namespace attend::cuda
