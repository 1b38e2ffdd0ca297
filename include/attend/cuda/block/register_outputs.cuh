#pragma once

#include <cstdint>

#include "../../core/forward_tensors.hpp"
#include "../arch/convert.cuh"
#include "../arch/opaque.cuh"
#include "../arch/wgmma.cuh"
#include "../tile/async_copy.cuh"
#include "key_value_ring.cuh"
#include "online_softmax.cuh"
#include "register_scoring.cuh"
#include "register_sums.cuh"
#include "split_results.cuh"
#include "tile_rows.cuh"

/// @file
/// A warp's outputs, in registers: rescaling, and what becomes of them after the last key.

namespace attend::cuda {

/// Multiplies rows by factors; most tiles do not change a maximum, and then none is needed.
template <class Engine>
__device__ void rescale(typename Engine::Output& rO, const float (&factors)[Engine::kRows]) {
  bool needed = false;
#pragma unroll
  for (int r = 0; r < Engine::kRows; ++r) needed = needed || factors[r] != 1;
  if (!__any_sync(kAllLanes, needed)) return;
#pragma unroll
  for (int r = 0; r < Engine::kRows; ++r)
#pragma unroll
    for (int c = 0; c < Engine::kOutColumns; ++c) rO[r][c] *= factors[r];
}

/// The outputs of a block's tile.
template <class Engine, class V>
class RegisterOutputs {
 public:
  using T = typename Engine::Element;
  using Output = typename Engine::Output;
  using Rows = typename Engine::Rows;

  /// Of a call's tile.
  __device__ RegisterOutputs(const Problem& problem, const V& variant,
                             const ForwardTensors<T>& tensors, const SplitResults<float>& results,
                             const Rows& rows)
      : problem_(problem), variant_(variant), tensors_(tensors), results_(results), rows_(rows) {}

  /// Normalises sums of weighted values, with dropout's factor and the sink (which comes with the
  /// other parts of the keys, if there are any); writes log-sum-exp or the part's state. Weights
  /// were in units of `unit`. Returns a bit for each row of the warp without any allowed key, if
  /// that matters (`EmptyRow::uniform`).
  template <class Softmax>
  __device__ unsigned finish(Output& rO, const Softmax& softmax, float unit) const {
    constexpr int kRows = Engine::kRows, kRowLanes = Engine::kRowLanes;
    static_assert(kRows <= kRowLanes, "of the lanes that share rows each looks after one");
    const int own = lane() % kRowLanes % kRows;
    SoftmaxState<float> state = softmax.state(0);
#pragma unroll
    for (int r = 1; r < kRows; ++r) {
      const SoftmaxState<float> other = softmax.state(r);
      if (own == r) state = other;
    }
    const bool exists = rows_.exists(Engine::row(own));
    const Index at = rows_.index(Engine::row(own));
    const bool writes = exists && lane() % kRowLanes < kRows;
    float factor = dropout_scale() / unit;
    if (results_.work.parts > 1) {
      if (writes) results_.state(rows_.tile.split, at.b, at.h, at.i) = state;
      factor *= part_factor(state);
    } else {
      const RowEnd<float> end(state, variant_.sink_logit(at.b, at.h));
      state = end.state;
      factor *= end.factor;
      if (writes && tensors_.lse) tensors_.lse(at.b, at.h, at.i) = state.lse();
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float of_row = __shfl_sync(kAllLanes, factor, lane() / kRowLanes * kRowLanes + r);
#pragma unroll
      for (int c = 0; c < Engine::kOutColumns; ++c) rO[r][c] *= of_row;
    }
    if (variant_.empty_row != EmptyRow::uniform) return 0;
    const unsigned lanes = __ballot_sync(kAllLanes, exists && state.sum == 0);
    unsigned empty = 0;
    for (int r = 0; r < kRows; ++r)
      for (int n = 0; n < 8; ++n) empty |= (lanes >> (kRowLanes * n + r) & 1) << (8 * r + n);
    return empty;
  }

  /// Writes the outputs of a part of the keys.
  __device__ void leave(const Output& rO) const {
#pragma unroll
    for (int r = 0; r < Engine::kRows; ++r) {
      if (!rows_.exists(Engine::row(r))) continue;
      const Index at = rows_.index(Engine::row(r));
      const int first = opaque(Engine::first_out_column());
      float* const to = results_.out.address(rows_.tile.split, at.b, at.h, at.i) + first;
      const int columns = static_cast<int>(problem_.head_dim_v) - first;
#pragma unroll
      for (int c = 0; c < Engine::kOutColumns; ++c)
        if (const int column = Engine::out_column_from_first(c); column < columns)
          to[column] = rO[r][c];
    }
  }

  /// Replaces outputs by the mean of all values (below the key length), for rows without any
  /// allowed key. `tile` is for values, which are `v`'s, and the warp's rows of `sP` for weights.
  template <class Scoring>
  __device__ void average(Output& rO, typename Engine::Tile& tile, typename Engine::QueryRows& sP,
                          const HeadRows<T>& v, const Scoring& scoring) const {
    const auto length = static_cast<int>(variant_.band(problem_, rows_.tile.b).length());
    const float unit = weight_unit<T>(length);
    clear<Engine>(rO);
    for (int j = 0; j < length; j += Engine::kTileColumns) {
      Engine::sync();  // the values before are done with
      begin_copy<Engine::kThreads>(tile, v.rows(j, length), v.layout);
      cp_async_commit_group();
      cp_async_wait_group<0>();
      if constexpr (Engine::kOfWarpgroups) fence_proxy_async();
      Engine::sync();
      typename Engine::Scores rP;
#pragma unroll
      for (int r = 0; r < Engine::kRows; ++r)
#pragma unroll
        for (int c = 0; c < Engine::kColumns; ++c) rP[r][c] = unit;
      scoring.apply_dropout(rP, j);
      if constexpr (Engine::kNotFinite == NotFinite::nan) {
        if (Engine::sync_or(meets_not_finite<Engine::kThreads>(tile))) {
          const auto all = [](int, int) { return true; };
          Engine::add_selected(rO, Engine::weights(rP), all, tile, sP);
          continue;
        }
      }
      Engine::add_products(rO, Engine::weights(rP), tile);
    }
    const float factor = dropout_scale() / unit / static_cast<float>(length > 0 ? length : 1);
#pragma unroll
    for (int r = 0; r < Engine::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Engine::kOutColumns; ++c) rO[r][c] *= factor;
  }

  /// Writes the rows of the warp whose bits are set. They are gathered in the warp's part of a tile
  /// in shared memory, so that memory is written by pieces of 16 bytes.
  __device__ void store(const Output& rO, typename Engine::QueryRows& sO, unsigned wanted) const {
    constexpr int kPieces = Engine::QueryRows::kPieces;
    __syncwarp();  // what was there is done with
    Engine::stage(sO, rO);
    __syncwarp();

    // A lane writes pieces one below the other.
    constexpr int kRowsAtOnce = kWarp / kPieces;
    static_assert(kRowsAtOnce > 0 && Engine::kTiling.warp_rows % kRowsAtOnce == 0);
    const int from = opaque(lane()) / kPieces, piece = opaque(lane()) % kPieces;
    const auto rows = RowsInTensor<Rows, T>(rows_, tensors_.out).from(Engine::first_row());
    const RowLayout layout = row_layout(View<const T, 4>(tensors_.out));
    const int column = piece * Piece<T>::kCount;
    const bool whole = static_cast<int>(layout.access) >= Piece<T>::kCount &&
                       column + Piece<T>::kCount <= layout.columns;
    if (column >= layout.columns) return;
    const auto each = [&](auto write) {
#pragma unroll 4
      for (int n = from; n < Engine::kTiling.warp_rows; n += kRowsAtOnce)
        if (rows.exists(n) && (wanted >> n & 1) != 0)
          write(rows.address(n), sO.piece(Engine::first_row() + n, piece));
    };
    if (whole) {
      each([&](T* row, const Piece<T>& x) { *reinterpret_cast<Piece<T>*>(row + column) = x; });
    } else {
      each([&](T* row, const Piece<T>& x) {
#pragma unroll 1
        for (int n = 0; n < x.kCount; ++n)
          if (column + n < layout.columns) row[(column + n) * layout.stride] = x.at[n];
      });
    }
  }

 private:
  __device__ float dropout_scale() const {
    return variant_.dropout.active() ? static_cast<float>(variant_.dropout.keep_scale) : 1.0f;
  }

  const Problem& problem_;
  const V& variant_;
  const ForwardTensors<T>& tensors_;
  const SplitResults<float>& results_;
  const Rows& rows_;
};

}  // namespace attend::cuda
