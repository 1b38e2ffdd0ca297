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
  static constexpr int kProducerRegisters = Fragments::kTiling.warps > 8 ? 32 : 40;
  static constexpr int kRegisters = Fragments::kTiling.warps > 8 ? 160 : 232;
  static_assert(kProducerThreads * kProducerRegisters + Fragments::kThreads * kRegisters <=
                kBlockThreads * (65536 / kBlockThreads / 8 * 8));

  /// Whether this thread is one of those that bring tiles.
  static __device__ bool is_producer() { return threadIdx.x >= Fragments::kThreads; }

  using Queries = WarpgroupOperand<QueryRows>;
  using Operand = WarpgroupOperand<Tile>;  ///< keys or values

  /// Which warpgroup this thread is of, of those that compute.
  static __device__ int warpgroup() { return static_cast<int>(threadIdx.x) / kWarpgroup; }
  /// A barrier of this thread's warpgroup. (0 to 2 are others'.)
  static __device__ void sync_warpgroup() { barrier_sync<kWarpgroup>(3 + warpgroup()); }

  /// The rows of this thread's warpgroup.
  static __device__ Queries queries(const QueryRows& sQ) {
    return rows_of_warpgroup(sQ, warpgroup());
  }
  /// Begins rS = Q K^T, as a group.
  static __device__ void begin_dot_products(Scores& rS, const Queries& sQ, const Operand& sK) {
    cuda::begin_dot_products(rS, sQ, sK);
  }
  /// Begins rO += P V, as a group.
  static __device__ void begin_products(Output& rO, const Weights& rP, const Operand& sV) {
    begin_weighted_sums(rO, rP.at[0], sV);
  }
  /// Waits until all groups but the `Pending` latest are done, one of which had results in `x`.
  template <int Pending, int Columns>
  static __device__ void wait(float (&x)[kRows][Columns]) {
    wait_for_products<Pending>(x);
  }
  /// rO += P V, done.
  static __device__ void add_products(Output& rO, const Weights& rP, const Operand& sV) {
    begin_products(rO, rP, sV);
    wait<0>(rO);
  }
};

}  // namespace attend::cuda
