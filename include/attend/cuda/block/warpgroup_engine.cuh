#pragma once

#include <cstdint>

#include "../arch/compiled.cuh"
#include "../arch/opaque.cuh"
#include "../arch/wgmma.cuh"
#include "flash_fragments.cuh"

/// @file
/// The products of the flash kernel on warpgroups: four warps' rows against a tile of keys or
/// values. Queries, keys and values are read from shared memory by the tensor cores themselves;
/// scores, weights and outputs are in registers. Products are begun, and run while the warps go on.

namespace attend::cuda {

/// The engine of `HeadDim`'s tiling.
template <class T, int HeadDim, FlashScores scores>
struct WarpgroupEngine : FlashFragments<T, HeadDim, scores, ProductUnit::warpgroup> {
  using Fragments = FlashFragments<T, HeadDim, scores, ProductUnit::warpgroup>;
  using Fragments::kSteps, Fragments::kTileColumns, Fragments::kWidth, Fragments::kRows;
  using typename Fragments::Output, typename Fragments::QueryRows, typename Fragments::Scores,
      typename Fragments::Tile, typename Fragments::Weights;
  static constexpr Compiled kCompiled = Compiled::with_wgmma;

  static constexpr int kProducerThreads = 128;  ///< a warpgroup that brings tiles
  static constexpr int kBlockThreads = Fragments::kThreads + kProducerThreads;
  /// Registers of a thread, of the two kinds: together what a multiprocessor has. (Steps of 8.)
  static constexpr int kProducerRegisters = 40, kRegisters = 232;
  static_assert(kProducerThreads * kProducerRegisters + Fragments::kThreads * kRegisters <=
                kBlockThreads * (65536 / kBlockThreads / 8 * 8));

  /// Whether this thread is one of those that bring tiles.
  static __device__ bool is_producer() { return threadIdx.x >= Fragments::kThreads; }

  /// Begins rS = Q K^T, as a group.
  static __device__ void begin_dot_products(Scores& rS, const QueryRows& sQ, const Tile& sK) {
    constexpr std::uint32_t kGroupRows = 64, kGroup = 4 * kWarp;
    const std::uint32_t first = threadIdx.x / kGroup * kGroupRows;
    const std::uint64_t q = operand(sQ, first), k = operand(sK, 0);
    wgmma_fence();
#pragma unroll
    for (int n = 0; n < kSteps; ++n)
      wgmma<kTileColumns>(rS, q + along<QueryRows>(n), k + along<Tile>(n), n > 0);
    wgmma_commit_group();
  }

  /// Begins rO += P V, as a group.
  static __device__ void begin_products(Output& rO, const Weights& rP, const Tile& sV) {
    const std::uint64_t v = operand(sV, 0);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kTileColumns / 16; ++k)
      wgmma<kWidth>(rO, rP.at[k][0], v + std::uint64_t{k * 16 * Tile::kRowBytes / 16});
    wgmma_commit_group();
  }

  /// Waits until all groups but the `Pending` latest are done, one of which had results in `x`.
  template <int Pending, int Columns>
  static __device__ void wait(float (&x)[kRows][Columns]) {
    wgmma_wait_group<Pending>();
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < Columns; ++c) x[r][c] = opaque(x[r][c]);  // read after the wait
  }

  /// rO += P V, done.
  static __device__ void add_products(Output& rO, const Weights& rP, const Tile& sV) {
    begin_products(rO, rP, sV);
    wait<0>(rO);
  }

 private:
  // A tile from a row on. All lanes of a warp have the same, which the shuffle lets the compiler
  // know.
  template <class AnyTile>
  static __device__ std::uint64_t operand(const AnyTile& tile, std::uint32_t row) {
    const std::uint32_t first = shared_address(&tile) + row * AnyTile::kRowBytes;
    return wgmma_operand(__shfl_sync(kAllLanes, first, 0), AnyTile::kPanelBytes);
  }
  // How much further on the n-th sixteen columns of an operand are whose products go along rows.
  template <class AnyTile>
  static constexpr __device__ std::uint64_t along(int n) {
    return static_cast<std::uint64_t>(n) % 4 * 2 +
           static_cast<std::uint64_t>(n) / 4 * (AnyTile::kPanelBytes / 16);
  }

  // x (+)= a b with `Columns` columns, of operands in shared memory.
  template <int Columns>
  static __device__ void wgmma(float (&x)[kRows][Columns / 4], std::uint64_t a, std::uint64_t b,
                               bool adds) {
    if constexpr (Columns == 64) wgmma_m64n64k16(x[0], x[1], a, b, adds, T{});
    if constexpr (Columns == 128) wgmma_m64n128k16(x[0], x[1], a, b, adds, T{});
  }
  // x += a b, of sixteen rows of values.
  template <int Columns>
  static __device__ void wgmma(float (&x)[kRows][Columns / 4], const std::uint32_t (&a)[4],
                               std::uint64_t b) {
    constexpr int kAtOnce = Columns < 128 ? Columns : 128;
#pragma unroll
    for (int c = 0; c < Columns; c += kAtOnce) {
      const std::uint64_t from = b + std::uint64_t{c / 64 * Tile::kPanelBytes / 16};
      if constexpr (kAtOnce == 64) wgmma_m64n64k16(x[0] + c / 4, x[1] + c / 4, a, from, T{});
      if constexpr (kAtOnce == 128) wgmma_m64n128k16(x[0] + c / 4, x[1] + c / 4, a, from, T{});
    }
  }
};

}  // namespace attend::cuda
