#pragma once

#include "../arch/warp.cuh"
#include "../tile/float_tile.cuh"
#include "float_product.cuh"
#include "scalar_gradient_engine.cuh"
#include "tensor_core_product.cuh"

/// @file
/// What the engines of floats' gradients have in common: dot products on tensor cores, or by
/// multiply-add where numbers are too great for them or logits too great for their order.

namespace attend::cuda {

/// Of an engine whose `Shared` has, by `Factor`, `tiles` and `great_rows` (whether a row has a
/// great number). Rows lie in `tiles.rows` as they are, columns in `tiles.columns` as
/// `Engine::load_columns` puts them there, which returns whether this thread met a great number,
/// and `Engine::Product` takes them.
template <class Engine>
struct FloatGradientDots : TensorCorePart {
  using Element = float;
  using Real = float;
  static constexpr InOrder kInOrder = InOrder::if_asked;

  /// The n-th column of this thread, of gradients.
  static __device__ int out_column(int n) {
    return FloatProduct<1>::first_out_column() + FloatProduct<1>::out_column_from_first(n);
  }

  /// rS = A B^T for the rows that `a_row` and `b_row` point to; whether B is such that its weighted
  /// sums are tensor cores' too. The product of keys comes first. `a_there`: A's tile is that of
  /// the call before. `in_order`: by multiply-add, column by column, as rows are measured. `serve`:
  /// what B's columns are for.
  template <int Count, class Shared, class ARow, class BRow>
  static __device__ Values dot_products(Real (&rS)[kRows][Count], Shared& shared, Factor factor,
                                        ARow a_row, const RowLayout& a_layout, BRow b_row,
                                        const RowLayout& b_layout, bool a_there,
                                        bool in_order = false,
                                        Columns serve = Columns::of_dots_and_sums) {
    auto& tiles = shared.tiles[static_cast<int>(factor)];
    int& great_rows = shared.great_rows[static_cast<int>(factor)];
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < Count; ++c) rS[r][c] = 0;
    // The columns before are done with; those of values were before keys were loaded.
    if (factor == Factor::keys) __syncthreads();
    if (!a_there) {
      const int met = __syncthreads_or(load_tile<Engine::kThreads>(tiles.rows, a_row, a_layout));
      if (threadIdx.x == 0) great_rows = met;
    }
    const int great = __syncthreads_or(Engine::load_columns(tiles, b_row, b_layout, serve));
    if (great || great_rows || in_order) {
      FloatProduct<1>::add_any_dot_products(rS, tiles.rows, first_row(), tiles.columns);
    } else {
      Engine::Product::add_dot_products(rS, tiles.rows, first_row(), tiles.columns);
    }
    return great ? Values::any : Values::finite;
  }

 protected:
  /// Whether there is a great number among a thread's.
  template <int Count>
  static __device__ bool meets_great(const Real (&rP)[kRows][Count]) {
    bool great = false;
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < Count; ++c) great = great || is_great(rP[r][c]);
    return great;
  }
};

}  // namespace attend::cuda
