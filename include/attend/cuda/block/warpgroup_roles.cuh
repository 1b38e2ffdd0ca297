#pragma once

#include "../arch/barrier.cuh"
#include "warpgroup_product.cuh"

/// @file
/// The two kinds of warpgroups in a block of the flash kernel: one that brings tiles, and those
/// that compute.

namespace attend::cuda {

/// What a thread is, of a block that computes `Part` and has a multiprocessor for itself. Threads
/// that bring tiles have `ProducerRegisters`; the others all the rest, in steps of 8.
template <class Part, int ProducerRegisters>
struct WarpgroupRoles : Part {
  static constexpr int kProducerThreads = kWarpgroup;  ///< a warpgroup that brings tiles
  static constexpr int kBlockThreads = Part::kThreads + kProducerThreads;
  static constexpr int kProducerRegisters = ProducerRegisters;
  static constexpr int kRegisters =
      (kBlockThreads * (65536 / kBlockThreads / 8 * 8) - kProducerThreads * kProducerRegisters) /
      Part::kThreads / 8 * 8;

  /// Whether this thread is one of those that bring tiles.
  static __device__ bool is_producer() { return threadIdx.x >= Part::kThreads; }
  /// Which warpgroup this thread is of, of those that compute.
  static __device__ int warpgroup() { return static_cast<int>(threadIdx.x) / kWarpgroup; }
  /// A barrier of this thread's warpgroup. (0 to 2 are others'.)
  static __device__ void sync_warpgroup() { barrier_sync<kWarpgroup>(3 + warpgroup()); }
};

}  // namespace attend::cuda
