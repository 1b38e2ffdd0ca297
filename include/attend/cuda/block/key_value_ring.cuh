#pragma once

#include "../../core/forward_tensors.hpp"
#include "../arch/cp_async.cuh"
#include "../tile/async_copy.cuh"
#include "../tile/key_order.cuh"
#include "../tile/rows.cuh"
#include "key_tiles.cuh"

/// @file
/// The tiles of keys and values of a block, brought to shared memory ahead of their use.

namespace attend::cuda {

/// The keys or values of a block's head.
template <class T>
struct HeadRows {
  const T* first;       ///< where row 0 begins
  std::int64_t stride;  ///< elements between rows
  RowLayout layout;

  /// Rows j and following, up to row `end`, for a tile.
  __device__ InKeyOrder<MatrixRows<const T>> rows(int j, int end) const {
    return {{first + j * stride, stride, end - j}};
  }
};

/// Both, in shared memory: registers are short, and address arithmetic is long.
template <class T>
struct KeyValueRows {
  HeadRows<T> k, v;

  /// Looks them up, if this is thread 0. They are there after a barrier.
  __device__ void find(const ForwardTensors<T>& tensors, const QueryTile& tile,
                       int thread = static_cast<int>(threadIdx.x)) {
    if (thread != 0) return;
    k = {tensors.k.address(tile.b, tile.h_kv), tensors.k.stride(2), row_layout(tensors.k)};
    v = {tensors.v.address(tile.b, tile.h_kv), tensors.v.stride(2), row_layout(tensors.v)};
  }
};

/// Tiles come in the order K0 V0 K1 V1 ..., each into the slot after the one before. While one is
/// used, up to `slots` - 1 others are on their way; one barrier per tile says both that it is there
/// for all threads and that all are done with the one before, into whose slot the next copy goes.
template <class Engine, class V>
class KeyValueRing {
 public:
  using T = typename Engine::Element;
  using Tile = typename Engine::Tile;
  static constexpr int kSlots = Engine::kTiling.slots;

  /// Of the tiles of keys that a block goes through.
  __device__ KeyValueRing(Tile (&slots)[kSlots], const KeyValueRows<T>& rows,
                          const KeyTiles<Engine, V>& tiles)
      : slots_(slots), rows_(rows), tiles_(tiles) {}

  /// Begins with the first tiles, of keys `first` and following. No thread may be using the slots
  /// any more.
  __device__ void start(int first) {
    used_ = kSlots - 1;  // as if the tile before the first were used
#pragma unroll
    for (int n = 0; n < kSlots - 1; ++n) begin_copy_of(n % 2, n, later(first, n / 2));
  }

  /// After `start`: waits for copies that were begun (as a group) before it.
  __device__ void wait_for_earlier() const {
    cp_async_wait_group<kSlots - 1>();
    __syncthreads();
  }

  /// The next tile, which is one of keys, of j and following.
  __device__ const Tile& keys(int j) { return next<0>(j); }
  /// The next tile, which is one of values, of j and following.
  __device__ const Tile& values(int j) { return next<1>(j); }

 private:
  template <int Parity>
  __device__ const Tile& next(int j) {
    constexpr int kAhead = kSlots - 1;
    const int before = used_;
    used_ = before + 1 == kSlots ? 0 : before + 1;
    cp_async_wait_group<kSlots - 2>();
    __syncthreads();
    begin_copy_of((Parity + kAhead) % 2, before, later(j, (Parity + kAhead) / 2));
    return slots_[used_];
  }

  // Where the n-th tile after that of keys j begins.
  __device__ int later(int j, int n) const {
    for (; n > 0; --n) j = tiles_.after(j);
    return j;
  }

  // Of keys (parity 0) or values j and following. Where there are none the group is empty: groups
  // are counted.
  __device__ void begin_copy_of(int parity, int slot, int j) {
    const HeadRows<T>& head = parity == 0 ? rows_.k : rows_.v;
    if (j < tiles_.end())
      begin_copy<Engine::kThreads>(slots_[slot], head.rows(j, tiles_.end()), head.layout);
    cp_async_commit_group();
  }

  Tile (&slots_)[kSlots];
  const KeyValueRows<T>& rows_;
  const KeyTiles<Engine, V>& tiles_;
  int used_ = 0;  // slot of the tile in use
};

}  // namespace attend::cuda
