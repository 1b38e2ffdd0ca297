#pragma once

#include "../arch/barrier.cuh"
#include "../arch/mbarrier.cuh"
#include "../arch/warp.cuh"
#include "../arch/wgmma.cuh"
#include "../tile/async_copy.cuh"
#include "../tile/float_parts_tile.cuh"
#include "key_value_ring.cuh"

/// @file
/// Tiles that one warpgroup brings to shared memory and others use, for one tile of queries after
/// the other.

namespace attend::cuda {

/// The warpgroup that brings has two tiles of queries on their way at a time at most: this is what
/// there is of each.
template <class Engine>
struct QuerySlot {
  typename Engine::Rows rows;                          ///< what is known of queries
  KeyValueRows<typename Engine::Element> keys_values;  ///< and of keys and values
  Mbarrier full;                                       ///< it is there, and so are the queries
  Mbarrier empty;                                      ///< it is done with
};

/// A block's shared memory. Tiles of keys and values come in the order K0 V0 K1 V1 ..., each into
/// the slot after the one before.
template <class Engine>
struct WarpgroupShared {
  static constexpr int kSlots = Engine::kTiling.slots;
  static constexpr int kQueryTiles = Engine::kQueryTiles;

  typename Engine::QueryRows q[kQueryTiles];  ///< queries; outputs in the end
  typename Engine::Slot tile[kSlots];         ///< keys and values
  QuerySlot<Engine> of_queries[2];
  Mbarrier full[kSlots];   ///< the tile is there
  Mbarrier empty[kSlots];  ///< it is done with
  Mbarrier brought;        ///< nothing more comes, and no slot is read by who brings
  unsigned again[2];       ///< a bit for each turn: the outputs have to be computed closely

  /// By one thread, before all others use it.
  __device__ void init() {
    again[0] = again[1] = 0;
    for (auto& slot : of_queries) {
      mbarrier_init(slot.full, 2 * Engine::kProducerThreads);
      mbarrier_init(slot.empty, Engine::kTiling.warps);
    }
    for (Mbarrier& barrier : full) mbarrier_init(barrier, Engine::kProducerThreads);
    for (Mbarrier& barrier : empty) mbarrier_init(barrier, Engine::kTiling.warps);
    mbarrier_init(brought, Engine::kProducerThreads);
  }
};

/// The side that brings them: the threads of one warpgroup.
template <class Engine>
class TileProducer {
 public:
  using T = typename Engine::Element;
  using Shared = WarpgroupShared<Engine>;
  static constexpr int kSlots = Shared::kSlots;
  static constexpr int kThreads = Engine::kProducerThreads;

  /// Into a block's shared memory.
  __device__ explicit TileProducer(Shared& shared) : shared_(shared) {}

  /// Brings all there is for the n-th tile of queries, which is the block's `turn`-th.
  template <class V>
  __device__ void bring(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
                        const MaskBits& mask, const Division& work, unsigned n, int turn) {
    QuerySlot<Engine>& slot = shared_.of_queries[turn % 2];
    if (turn >= 2) wait_for(slot.empty, turn / 2 - 1);
    slot.rows.template find<kThreads>(problem, variant, mask, Engine::kWidth, work, n, thread(),
                                      [] { barrier_sync<2, kThreads>(); });
    slot.keys_values.find(tensors, slot.rows.tile, thread());
    barrier_sync<2, kThreads>();
    if (Shared::kQueryTiles == 1 && turn >= 1)  // queries are where the outputs before them were
      wait_for(shared_.of_queries[(turn - 1) % 2].empty, (turn - 1) / 2);
    const RowsInTensor<typename Engine::Rows, const T> gQ(slot.rows, tensors.q);
    begin_copy<kThreads>(shared_.q[turn % Shared::kQueryTiles], gQ, row_layout(tensors.q),
                         thread());
    mbarrier_arrive_after_copies(slot.full);
    mbarrier_arrive(slot.full);  // what is known of them was written, not copied

    const KeyTiles<Engine, V> tiles(variant, mask, slot.rows);
#pragma unroll 1
    for (int j = tiles.first(); j < tiles.end(); j = tiles.after(j)) {
      const auto& [k, v] = slot.keys_values;
      bring(Engine::keys(next_slot()), k.rows(j, tiles.end()), k.layout);
      bring(Engine::values(next_slot()), v.rows(j, tiles.end()), v.layout);
    }
  }

 private:
  // Where the next tile of keys or values goes.
  __device__ typename Engine::Slot& next_slot() const { return shared_.tile[brought_ % kSlots]; }

  // Brings it, as it is.
  template <int Keys, int Width, class RowsOf>
  __device__ void bring(SwizzledTile<T, Keys, Width>& tile, const RowsOf& rows,
                        const RowLayout& layout) {
    wait_until_empty();
    begin_copy<kThreads>(tile, rows, layout, thread());
    Mbarrier& full = shared_.full[brought_ % kSlots];
    if (layout.access == Access::elements) {  // read and written one by one
      mbarrier_arrive(full);
    } else {
      mbarrier_arrive_after_copies(full);
    }
    ++brought_;
  }
  // Brings it, in parts: in an order of their own.
  template <class Parts, class RowsOf>
  requires requires { typename Parts::template Share<kThreads>; }
  __device__ void bring(Parts& tile, const InKeyOrder<RowsOf>& rows, const RowLayout& layout) {
    bring_parts<kThreads, WithoutParts::nan>(tile, rows.rows, layout, thread(),
                                             [&] { wait_until_empty(); });
    mbarrier_arrive(shared_.full[brought_ % kSlots]);
    ++brought_;
  }

  // Until what was in the next tile's slot is done with.
  __device__ void wait_until_empty() const {
    if (brought_ >= kSlots)
      wait_for(shared_.empty[brought_ % kSlots], static_cast<int>(brought_ / kSlots) - 1);
  }

  // The n-th time that something is done with.
  static __device__ void wait_for(Mbarrier& barrier, int n) { mbarrier_wait(barrier, n & 1); }

  static __device__ int thread() { return static_cast<int>(threadIdx.x) - Engine::kThreads; }

  Shared& shared_;
  unsigned brought_ = 0;  // tiles of keys and values
};

/// The side that uses them: each warp for itself.
template <class Engine>
class TileUser {
 public:
  using Shared = WarpgroupShared<Engine>;
  static constexpr int kSlots = Shared::kSlots;

  /// From a block's shared memory.
  __device__ explicit TileUser(Shared& shared) : shared_(shared) {}

  /// Waits for the block's `turn`-th tile of queries.
  __device__ const QuerySlot<Engine>& wait_for_queries(int turn) const {
    QuerySlot<Engine>& slot = shared_.of_queries[turn % 2];
    mbarrier_wait(slot.full, turn / 2 & 1);
    fence_proxy_async();
    return slot;
  }
  /// This warp is done with it, and with where its queries were.
  __device__ void release_queries(int turn) const {
    __syncwarp();
    if (lane() == 0) mbarrier_arrive(shared_.of_queries[turn % 2].empty);
  }
  /// Waits for the n-th tile of keys or values.
  __device__ void wait(unsigned n) const {
    wait_for(n);
    fence_proxy_async();
  }
  /// And for the one after it.
  __device__ void wait_for_two(unsigned n) const {
    wait_for(n);
    wait(n + 1);
  }
  /// It, after that.
  __device__ typename Engine::Slot& tile(unsigned n) const { return shared_.tile[n % kSlots]; }
  /// This warp is done with it; all its lanes have waited for it, or one that has not would wait
  /// for a phase that is over.
  __device__ void release(unsigned n) const {
    __syncwarp();
    if (lane() == 0) mbarrier_arrive(shared_.empty[n % kSlots]);
  }

 private:
  __device__ void wait_for(unsigned n) const {
    mbarrier_wait(shared_.full[n % kSlots], static_cast<int>(n / kSlots & 1));
  }

  Shared& shared_;
};

}  // namespace attend::cuda
