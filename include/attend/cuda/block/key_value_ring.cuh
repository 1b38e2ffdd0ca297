#pragma once

#include <cstdint>

#include "../arch/cp_async.cuh"
#include "../tile/async_copy.cuh"
#include "../tile/rows.cuh"

/// @file
/// The tiles of keys and values of a block, brought to shared memory ahead of their use.

namespace attend::cuda {

/// Tiles come in the order K0 V0 K1 V1 ..., each into the slot after the one before. While one is
/// used, up to `slots` - 1 others are on their way; one barrier per tile says both that it is there
/// for all threads and that all are done with the one before, into whose slot the next copy goes.
template <class Engine>
class KeyValueRing {
 public:
  using T = typename Engine::Element;
  using Tile = typename Engine::Tile;
  static constexpr int kSlots = Engine::kTiling.slots;

  /// Of the rows from `begin`, a multiple of a tile's keys, to `end`.
  __device__ KeyValueRing(Tile (&slots)[kSlots], const View<const T, 2>& gK,
                          const View<const T, 2>& gV, const RowLayout& k_layout,
                          const RowLayout& v_layout, int begin, int end)
      : slots_(slots),
        k_(gK),
        v_(gV),
        k_layout_(k_layout),
        v_layout_(v_layout),
        begin_(begin),
        end_(end) {}

  /// Begins with the first tiles. No thread may be using the slots any more.
  __device__ void start() {
    coming_ = 0;
    j_ = begin_;
#pragma unroll
    for (int n = 0; n < kSlots - 1; ++n)
      n % 2 == 0 ? begin_next(k_, k_layout_, 0) : begin_next(v_, v_layout_, 1);
    used_ = 0;
  }

  /// After `start`: waits for copies that were begun (as a group) before it.
  __device__ void wait_for_earlier() const {
    cp_async_wait_group<kSlots - 1>();
    __syncthreads();
  }

  /// The next tile, which is one of keys.
  __device__ const Tile& keys() { return next<0>(); }
  /// The next tile, which is one of values.
  __device__ const Tile& values() { return next<1>(); }

 private:
  // `Parity` is the tile's number modulo 2: so that of the one whose copy begins is known.
  template <int Parity>
  __device__ const Tile& next() {
    cp_async_wait_group<kSlots - 2>();
    __syncthreads();
    if constexpr ((Parity + kSlots - 1) % 2 == 0) {
      begin_next(k_, k_layout_, 0);
    } else {
      begin_next(v_, v_layout_, 1);
    }
    const Tile& tile = slots_[used_];
    used_ = after(used_);
    return tile;
  }

  // Without a tile that is left the group is empty: groups are counted.
  __device__ void begin_next(const View<const T, 2>& rows, const RowLayout& layout, int parity) {
    if (j_ < end_) begin_copy<Engine::kThreads>(slots_[coming_], rows_from(rows, j_, end_), layout);
    cp_async_commit_group();
    coming_ = after(coming_);
    if (parity == 1) j_ += Engine::kTileColumns;
  }

  static __device__ int after(int slot) { return slot + 1 == kSlots ? 0 : slot + 1; }

  Tile (&slots_)[kSlots];
  const View<const T, 2> k_, v_;
  const RowLayout k_layout_, v_layout_;
  const int begin_, end_;
  int j_ = 0;       // first key of the tile whose copy begins next
  int coming_ = 0;  // its slot
  int used_ = 0;    // slot of the tile that is used next
};

}  // namespace attend::cuda
