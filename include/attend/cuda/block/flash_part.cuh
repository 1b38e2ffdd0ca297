#pragma once

#include "../arch/barrier.cuh"
#include "../arch/opaque.cuh"
#include "../tile/async_copy.cuh"
#include "flash_tiling.hpp"
#include "tile_rows.cuh"

/// @file
/// What the flash kernels' engines have in common: which rows and columns of scores and outputs a
/// thread holds, in registers.

namespace attend::cuda {

/// The part of a thread in `HeadDim`'s tiling.
template <class T, int HeadDim, FlashScores scores, ProductUnit unit>
struct FlashPart {
  using Element = T;
  using Real = float;
  static constexpr FlashScores kScores = scores;
  static constexpr FlashTiling kTiling = flash_tiling(HeadDim, HeadDim, scores, unit);
  static constexpr bool kOfWarpgroups = is_of_warpgroups(unit);
  static constexpr int kThreads = kTiling.warps * kWarp;  ///< that compute
  static constexpr int kTileRows = kTiling.rows();
  static constexpr int kTileColumns = kTiling.keys;
  static constexpr int kWidth = HeadDim;
  static constexpr int kRows = kTiling.warp_rows / 8;  ///< rows of one thread
  static constexpr int kColumns = kTileColumns / 4;    ///< its columns of scores
  static constexpr int kOutColumns = kWidth / 4;       ///< its columns of outputs
  static constexpr int kRowLanes = 4;                  ///< threads that share a row
  static constexpr int kBands = kRows / 2;             ///< 16 rows each: those of a product
  static constexpr bool kKeepsQueries = kTiling.queries == QueryFragments::registers;

  using Rows = TileRows<kTiling.warps, kTiling.warp_rows>;
  using Scores = Real[kRows][kColumns];     ///< a thread's part of a tile of scores
  using Output = Real[kRows][kOutColumns];  ///< a thread's part of the output

  /// A barrier of the threads that compute.
  static __device__ void sync() {
    if constexpr (kOfWarpgroups) {
      barrier_sync<1, kThreads>();
    } else {
      __syncthreads();
    }
  }
  /// The same, and whether one of them says so.
  static __device__ bool sync_or(bool says) {
    if constexpr (kOfWarpgroups) {
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
  /// The first column of this thread, of scores.
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

  /// Brings the warp's queries back to where `add_selected` overwrote them.
  template <class QueryRows, class RowsOf>
  static __device__ void restore_queries(QueryRows& sQ, const RowsOf& gQ, const RowLayout& layout) {
    if constexpr (!kKeepsQueries) {
      constexpr int kInPiece = QueryRows::kInPiece, kPieces = QueryRows::kPieces;
#pragma unroll 1
      for (int n = opaque(lane()); n < kTiling.warp_rows * kPieces; n += kWarp) {
        const int row = first_row() + n / kPieces;
        sQ.piece(row, n % kPieces) =
            gathered(gQ.exists(row) ? gQ.address(row) : nullptr, n % kPieces * kInPiece, layout);
      }
      __syncwarp();
    }
  }
};

}  // namespace attend::cuda
