#pragma once

#include "../arch/compiled.cuh"
#include "flash_fragments.cuh"
#include "warpgroup_product.cuh"

/// @file
/// The products of the flash kernel on warpgroups: four warps' rows against a tile of keys or
/// values. Queries, keys and values are read from shared memory by the tensor cores themselves;
/// scores, weights and outputs are in registers. Products are begun, and run while the warps go on.

namespace attend::cuda {

/// The engine of `HeadDim`'s tiling.
template <class T, int HeadDim, FlashScores scores>
struct WarpgroupEngine : FlashFragments<T, HeadDim, scores, ProductUnit::warpgroup> {
  using Fragments = FlashFragments<T, HeadDim, scores, ProductUnit::warpgroup>;
  using Fragments::kRows;
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
    const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroup;
    cuda::begin_dot_products(rS, sQ, warpgroup * kWarpgroupRows, sK);
  }
  /// Begins rO += P V, as a group.
  static __device__ void begin_products(Output& rO, const Weights& rP, const Tile& sV) {
    begin_weighted_sums(rO, rP.at[0], sV, 0);
  }
  /// Waits until all groups but the `Pending` latest are done, one of which had results in `x`.
  template <int Pending, int Columns>
  static __device__ void wait(float (&x)[kRows][Columns]) {
    wait_for_products<Pending>(x);
  }
  /// rO += P V, done.
  static __device__ void add_products(Output& rO, const Weights& rP, const Tile& sV) {
    begin_products(rO, rP, sV);
    wait<0>(rO);
  }
};

}  // namespace attend::cuda
