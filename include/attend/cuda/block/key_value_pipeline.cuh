#pragma once

#include "../arch/cp_async.cuh"
#include "../arch/mbarrier.cuh"
#include "../arch/wgmma.cuh"
#include "../tile/async_copy.cuh"
#include "key_value_ring.cuh"

/// @file
/// Tiles of keys and values that one warpgroup brings to shared memory and others use.

namespace attend::cuda {

/// What both sides know. Tiles come in the order K0 V0 K1 V1 ..., each into the slot after the one
/// before.
template <class Tile, int Slots>
struct TileSlots {
  Tile tile[Slots];
  Mbarrier full[Slots];   ///< the tile is there
  Mbarrier empty[Slots];  ///< it is done with
  Mbarrier queries;       ///< the block's queries are there

  /// By one thread: `producers` threads bring tiles, `users` warps use them.
  __device__ void init(int producers, int users) {
    for (Mbarrier& barrier : full) mbarrier_init(barrier, producers);
    for (Mbarrier& barrier : empty) mbarrier_init(barrier, users);
    mbarrier_init(queries, producers);
  }
};

/// The side that brings them: the threads of one warpgroup.
template <class Engine, class V>
class TileProducer {
 public:
  using T = typename Engine::Element;
  static constexpr int kSlots = Engine::kTiling.slots;
  static constexpr int kThreads = Engine::kProducerThreads;
  using Slots = TileSlots<typename Engine::Tile, kSlots>;

  /// Into slots, for the tiles of keys that a block goes through.
  __device__ TileProducer(Slots& slots, const KeyValueRows<T>& rows,
                          const KeyTiles<Engine, V>& tiles)
      : slots_(slots), rows_(rows), tiles_(tiles) {}

  /// Brings the queries and all tiles. `begin_queries(n)` begins with the former, as the n-th
  /// thread.
  template <class BeginQueries>
  __device__ void run(BeginQueries begin_queries) {
    begin_queries(thread());
    int count = 0;
#pragma unroll 1
    for (int j = tiles_.first(); j < tiles_.end(); j = tiles_.after(j)) {
      bring(count++, rows_.k, j);
      bring(count++, rows_.v, j);
    }
    if (count == 0) cp_async_commit_group();
    land(count);
  }

 private:
  // The n-th tile.
  __device__ void bring(int n, const HeadRows<T>& head, int j) {
    const int slot = n % kSlots;
    if (n >= kSlots) {
      land(n);  // whoever is waited for may be waiting for them
      mbarrier_wait(slots_.empty[slot], n / kSlots - 1 & 1);
    }
    begin_copy<kThreads>(slots_.tile[slot], head.rows(j, tiles_.end()), head.layout, thread());
    cp_async_commit_group();
  }

  // Waits for what was begun, and says so, tile by tile.
  __device__ void land(int count) {
    if (!queries_landed_) {
      queries_landed_ = true;
      wait(count > 0 ? count - 1 : 0);  // they are of the first tile's group
      mbarrier_arrive(slots_.queries);
    }
#pragma unroll 1
    for (; landed_ < count; ++landed_) {
      wait(count - landed_ - 1);
      mbarrier_arrive(slots_.full[landed_ % kSlots]);
    }
  }

  // Until all but the `pending` latest groups are there for all to see.
  __device__ void wait(int pending) const {
    static_assert(kSlots <= 4);
    if (pending == 0) cp_async_wait_group<0>();
    if (pending == 1) cp_async_wait_group<1>();
    if (pending == 2) cp_async_wait_group<2>();
    if (pending >= 3) cp_async_wait_group<3>();
    fence_proxy_async();
  }

  static __device__ int thread() { return static_cast<int>(threadIdx.x) - Engine::kThreads; }

  Slots& slots_;
  const KeyValueRows<T>& rows_;
  const KeyTiles<Engine, V>& tiles_;
  int landed_ = 0;  // tiles of which that was said
  bool queries_landed_ = false;
};

/// The side that uses them: each warp for itself.
template <class Engine>
class TileUser {
 public:
  static constexpr int kSlots = Engine::kTiling.slots;
  using Slots = TileSlots<typename Engine::Tile, kSlots>;

  /// From slots.
  __device__ explicit TileUser(Slots& slots) : slots_(slots) {}

  /// Waits for the queries.
  __device__ void wait_for_queries() const { mbarrier_wait(slots_.queries, 0); }
  /// Waits for the n-th tile.
  __device__ const typename Engine::Tile& wait(int n) const {
    mbarrier_wait(slots_.full[n % kSlots], n / kSlots & 1);
    return slots_.tile[n % kSlots];
  }
  /// This warp is done with the n-th tile.
  __device__ void release(int n) const {
    if (lane() == 0) mbarrier_arrive(slots_.empty[n % kSlots]);
  }

 private:
  Slots& slots_;
};

}  // namespace attend::cuda
