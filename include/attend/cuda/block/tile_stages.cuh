#pragma once

#include <utility>

#include "../arch/cp_async.cuh"
#include "../arch/wgmma.cuh"

/// @file
/// Tiles that are brought to shared memory for products of warpgroups which run on while the next
/// begin.

namespace attend::cuda {

/// Four stages: of a tile whose products may still run, of the one at hand, of the next one, and of
/// one that is on its way. One barrier for each. Of those that came no more is kept than what a
/// tile's `mark()` says.
template <class At>
class TileStages {
 public:
  static constexpr int kStages = 4;
  using Mark = decltype(std::declval<const At&>().mark());

  /// Begins at the first tile.
  __device__ explicit TileStages(const At& first) : ahead_(first) {}

  /// Whether there is a tile at hand.
  __device__ bool exists() const { return count_ > 0; }
  /// What is known of it.
  __device__ Mark at() const { return at_; }
  /// Its stage.
  __device__ int stage() const { return stage_; }
  /// The stage of the tile before the one at hand; before the first its numbers are 0.
  __device__ int before() const { return (stage_ + 3) % kStages; }

  /// Brings the first tile, and begins with the next: `load(stage, at)` begins copies, and
  /// `finish(stage)` is called in each thread when its copies are there. No thread may be using the
  /// stages any more.
  template <class Stage, class Load, class Finish>
  __device__ void start(Stage (&ring)[kStages], Load load, Finish finish) {
    at_ = ahead_.mark();
    begin_copy(load, 0);
    ahead_ = ahead_.next();
    next_ = ahead_.mark();
    begin_copy(load, 1);
    for (auto& tile : ring[before()])
      for (int n = static_cast<int>(threadIdx.x); n < tile.kRows * tile.kPieces;
           n += static_cast<int>(blockDim.x))
        tile.pieces[n] = {};
    cp_async_wait_group<1>();
    if (count_ > 0) finish(0);
    publish();
  }
  /// Waits for the next tile, and begins with the one after it. All products of tiles but the one
  /// at hand and the one before are done with.
  template <class Load, class Finish>
  __device__ void prepare_next(Load load, Finish finish) {
    cp_async_wait_group<0>();
    if (count_ > 1) finish((stage_ + 1) % kStages);
    publish();
    ahead_ = ahead_.next();
    begin_copy(load, (stage_ + 2) % kStages);
  }
  /// Goes on to the next tile.
  __device__ void advance() {
    at_ = next_, next_ = ahead_.mark();
    --count_;
    stage_ = (stage_ + 1) % kStages;
  }

 private:
  template <class Load>
  __device__ void begin_copy(Load load, int stage) {
    if (ahead_.exists()) load(stage, ahead_), ++count_;
    cp_async_commit_group();
  }
  static __device__ void publish() {
    fence_proxy_async();
    __syncthreads();
  }

  At ahead_;       // the last that copies were begun of
  int count_ = 0;  // of tiles from the one at hand on to that
  Mark at_, next_;
  int stage_ = 0;
};

}  // namespace attend::cuda
