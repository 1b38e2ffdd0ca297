#pragma once

#include "../arch/cp_async.cuh"
#include "../arch/wgmma.cuh"
#include "../tile/async_copy.cuh"
#include "key_value_ring.cuh"

/// @file
/// Tiles of keys and values for a loop in which keys are one tile ahead of values.

namespace attend::cuda {

/// Two slots for keys and two for values. One barrier for each tile: then its values and the next
/// keys are there, for products of warpgroups too, and those before them are done with.
template <class Engine, class V>
class KeyValueStages {
 public:
  using T = typename Engine::Element;
  using Tile = typename Engine::Tile;
  static_assert(Engine::kTiling.slots == 4);

  /// Of the tiles of keys that a block goes through.
  __device__ KeyValueStages(Tile (&slots)[4], const KeyValueRows<T>& rows,
                            const KeyTiles<Engine, V>& tiles)
      : slots_(slots), rows_(rows), tiles_(tiles) {}

  /// Begins with the first tile, of keys j and following; waits until its keys are there, and all
  /// that was being copied before. No thread may be using the slots any more.
  __device__ const Tile& start(int j) {
    parity_ = 0;
    begin_copy_of(rows_.k, 0, j);
    cp_async_commit_group();
    begin_copy_of(rows_.v, 2, j);
    begin_copy_of(rows_.k, 1, tiles_.after(j));
    cp_async_commit_group();
    wait<1>();
    return slots_[0];
  }

  /// Goes on to the tile of keys j and following, whose values are there then, and the keys of
  /// `next`, the tile after it.
  __device__ void advance(int j, int next) {
    wait<0>();
    const int there = parity_;
    parity_ ^= 1;
    begin_copy_of(rows_.k, there, tiles_.after(next));
    begin_copy_of(rows_.v, 2 + parity_, next);
    cp_async_commit_group();
  }
  /// Waits until what threads wrote to shared memory is seen by all, and by products.
  __device__ void publish() const {
    fence_proxy_async();
    __syncthreads();
  }
  /// The values of the tile.
  __device__ const Tile& values() const { return slots_[2 + (parity_ ^ 1)]; }
  /// The keys of the next tile.
  __device__ const Tile& next_keys() const { return slots_[parity_]; }

 private:
  template <int Pending>
  __device__ void wait() const {
    cp_async_wait_group<Pending>();
    publish();
  }
  __device__ void begin_copy_of(const HeadRows<T>& head, int slot, int j) {
    if (j < tiles_.end())
      begin_copy<Engine::kThreads>(slots_[slot], head.rows(j, tiles_.end()), head.layout);
  }

  Tile (&slots_)[4];
  const KeyValueRows<T>& rows_;
  const KeyTiles<Engine, V>& tiles_;
  int parity_ = 0;  // of the tile whose keys are next
};

}  // namespace attend::cuda
