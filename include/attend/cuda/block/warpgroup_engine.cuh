#pragma once

#include "../arch/compiled.cuh"
#include "flash_fragments.cuh"
#include "warpgroup_product.cuh"
#include "warpgroup_roles.cuh"

/// @file
/// The products of the flash kernel on warpgroups: four warps' rows against a tile of keys or
/// values. Queries, keys and values are read from shared memory by the tensor cores themselves;
/// scores, weights and outputs are in registers. Products are begun, and run while the warps go on.

namespace attend::cuda {

/// Registers of a thread that copies tiles: fewer where more compute.
constexpr int copying_registers(const FlashTiling& tiling) { return tiling.warps > 8 ? 32 : 40; }

/// The engine of `HeadDim`'s tiling.
template <class T, int HeadDim, FlashScores scores>
struct WarpgroupEngine : WarpgroupRoles<FlashFragments<T, HeadDim, scores, ProductUnit::warpgroup>,
                                        copying_registers(flash_tiling(HeadDim, HeadDim, scores,
                                                                       ProductUnit::warpgroup))> {
  using Fragments = FlashFragments<T, HeadDim, scores, ProductUnit::warpgroup>;
  using Fragments::kRows;
  using typename Fragments::Output, typename Fragments::QueryRows, typename Fragments::Scores,
      typename Fragments::Tile, typename Fragments::Weights;
  static constexpr Compiled kCompiled = Compiled::with_wgmma;
  static constexpr int kQueryTiles = HeadDim > 128 ? 1 : 2;  ///< that there is room for

  /// Room for a tile of keys or of values, which lie there as they are.
  using Slot = Tile;
  /// A slot as a tile of keys.
  static __device__ Tile& keys(Slot& slot) { return slot; }
  /// A slot as a tile of values.
  static __device__ Tile& values(Slot& slot) { return slot; }
  /// A slot as one of either as it is.
  static __device__ Tile& whole(Slot& slot) { return slot; }

  using Queries = WarpgroupOperand<QueryRows>;
  using Operand = WarpgroupOperand<Tile>;  ///< keys or values

  /// The rows of this thread's warpgroup.
  static __device__ Queries queries(const QueryRows& sQ) {
    return rows_of_warpgroup(sQ, WarpgroupEngine::warpgroup());
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
  /// rS = Q K^T of queries and keys that may be infinite or NaN, done.
  static __device__ void dot_any_products(Scores& rS, const QueryRows& sQ, const Tile& sK) {
    begin_dot_products(rS, queries(sQ), sK);
    wait<0>(rS);
  }
  /// rO += P V, done.
  static __device__ void add_products(Output& rO, const Weights& rP, const Operand& sV) {
    begin_products(rO, rP, sV);
    wait<0>(rO);
  }
};

}  // namespace attend::cuda
