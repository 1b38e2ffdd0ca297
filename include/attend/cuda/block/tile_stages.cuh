#pragma once

#include "../arch/cp_async.cuh"
#include "../arch/wgmma.cuh"

/// @file
/// Tiles that are brought to shared memory for products of warpgroups which run on while the next
/// begin.

namespace attend::cuda {

/// Four stages: of a tile whose products may still run, of the one at hand, of the next one, and of
/// one that is on its way. One barrier for each.
template <class At>
class TileStages {
 public:
  static constexpr int kStages = 4;
  At at;          ///< the tile at hand
  int stage = 0;  ///< its stage

  /// Begins at the first tile.
  __device__ explicit TileStages(const At& first) : at(first), next_(first.next()), ahead_(first) {}

  /// The stage of the tile before the one at hand; before the first its numbers are 0.
  __device__ int before() const { return (stage + 3) % kStages; }

  /// Brings the first tile, and begins with the next: `load(stage, at)` begins copies, and
  /// `finish(stage)` is called in each thread when its copies are there. No thread may be using the
  /// stages any more.
  template <class Stage, class Load, class Finish>
  __device__ void start(Stage (&ring)[kStages], Load load, Finish finish) {
    if (at.exists()) load(0, at);
    cp_async_commit_group();
    if (next_.exists()) load(1, next_);
    cp_async_commit_group();
    for (auto& tile : ring[before()])
      for (int n = static_cast<int>(threadIdx.x); n < tile.kRows * tile.kOctets;
           n += static_cast<int>(blockDim.x))
        tile.octets[n] = {};
    cp_async_wait_group<1>();
    if (at.exists()) finish(0);
    publish();
  }
  /// Waits for the next tile, and begins with the one after it. All products of tiles but the one
  /// at hand and the one before are done with.
  template <class Load, class Finish>
  __device__ void prepare_next(Load load, Finish finish) {
    cp_async_wait_group<0>();
    if (next_.exists()) finish((stage + 1) % kStages);
    publish();
    ahead_ = next_.next();
    if (ahead_.exists()) load((stage + 2) % kStages, ahead_);
    cp_async_commit_group();
  }
  /// Goes on to the next tile.
  __device__ void advance() {
    at = next_;
    next_ = ahead_;
    stage = (stage + 1) % kStages;
  }

 private:
  static __device__ void publish() {
    fence_proxy_async();
    __syncthreads();
  }

  At next_;
  At ahead_;
};

}  // namespace attend::cuda
