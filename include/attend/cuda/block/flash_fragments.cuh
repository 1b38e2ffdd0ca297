#pragma once

#include <cstdint>

#include "../arch/barrier.cuh"
#include "../arch/convert.cuh"
#include "../arch/opaque.cuh"
#include "../tile/async_copy.cuh"
#include "../tile/excluded.cuh"
#include "../tile/half_tile.cuh"
#include "flash_tiling.hpp"
#include "tile_rows.cuh"

/// @file
/// What the flash kernels' engines have in common: which rows and columns of scores and outputs a
/// thread holds, in registers.

namespace attend::cuda {

/// The fragments of `HeadDim`'s tiling.
template <class T, int HeadDim, FlashScores scores, ProductUnit unit>
struct FlashFragments {
  using Element = T;
  using Real = float;
  static constexpr FlashScores kScores = scores;
  static constexpr FlashTiling kTiling = flash_tiling(HeadDim, HeadDim, scores, unit);
  static constexpr int kThreads = kTiling.warps * kWarp;  ///< that compute
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

  /// A barrier of the threads that compute.
  static __device__ void sync() {
    if constexpr (unit == ProductUnit::warpgroup) {
      barrier_sync<1, kThreads>();
    } else {
      __syncthreads();
    }
  }
  /// The same, and whether one of them says so.
  static __device__ bool sync_or(bool says) {
    if constexpr (unit == ProductUnit::warpgroup) {
      return barrier_red_or<1, kThreads>(says);
    } else {
      return __syncthreads_or(says) != 0;
    }
  }

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

  /// The first key of this thread (of a lane), of a tile's: in its columns of scores it has four
  /// neighbours of every sixteen.
  static __device__ int first_key(int lane = cuda::lane()) { return lane % 4 * 4; }
  /// The key in its n-th column, counted from its first.
  static constexpr __device__ int key_from_first(int n) { return n / 4 * 16 + n % 4; }
  /// The key in its n-th column.
  static __device__ int key(int n) { return first_key() + key_from_first(n); }

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

  /// rO += P V by multiply-add, leaving out keys that are not `allowed(r, c)` one by one: for
  /// values that are infinite or NaN. The warp's queries are overwritten with weights.
  template <class Allowed>
  static __device__ void add_selected(Output& rO, const Weights& rP, Allowed allowed,
                                      const Tile& sV, QueryRows& sP) {
    constexpr int kPart = kTileColumns < kWidth ? kTileColumns : kWidth;  // that there is room for
    const int row = first_row() + opaque(lane()) / 4, t = opaque(lane()) % 4;
#pragma unroll
    for (int part = 0; part < kTileColumns; part += kPart) {
      each_weight([&](int k, int m, int x, int r, int c) {
        if (16 * k < part || 16 * k >= part + kPart) return;
        T* const two = &sP.octet(row + 8 * r, c / 2 - part / 8).at[2 * t];
        const std::uint32_t excluded = packed(kExcluded<Real>, kExcluded<Real>, T{});
        const std::uint32_t kept =
            (allowed(r, c) ? 0xffffu : 0) | (allowed(r, c + 1) ? ~0xffffu : 0);
        *reinterpret_cast<std::uint32_t*>(two) = (rP.at[k][m][x] & kept) | (excluded & ~kept);
      });
      __syncwarp();
#pragma unroll 1
      for (int key = 0; key < kPart; ++key)
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          const Real p = to_real(sP.at(row + 8 * r, key));
          if (is_excluded(p)) continue;
#pragma unroll
          for (int c = 0; c < kOutColumns; ++c)
            rO[r][c] += p * to_real(sV.octet(part + key, c / 2).at[2 * t + c % 2]);
        }
      __syncwarp();
    }
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

  /// Calls `visit(k, m, x, r, c)` for each register of weights: k-th 16 keys, m-th 16 rows,
  /// register x of those, which has columns c and c + 1 of the thread's row r.
  template <class Visit>
  static __device__ void each_weight(Visit visit) {
#pragma unroll
    for (int k = 0; k < kTileColumns / 16; ++k)
#pragma unroll
      for (int m = 0; m < kBands; ++m)
#pragma unroll
        for (int x = 0; x < 4; ++x) visit(k, m, x, 2 * m + x % 2, 4 * k + x / 2 * 2);
  }
};

}  // namespace attend::cuda
