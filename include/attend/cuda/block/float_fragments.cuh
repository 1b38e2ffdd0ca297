#pragma once

#include <cstdint>

#include "../arch/opaque.cuh"
#include "../tile/excluded.cuh"
#include "../tile/float_tile.cuh"
#include "flash_part.cuh"
#include "float_product.cuh"

/// @file
/// What the flash kernels' engines of floats have in common: weights and outputs as a thread holds
/// them, and what is computed of tiles that lie in shared memory as they are.

namespace attend::cuda {

/// The fragments of `HeadDim`'s tiling.
template <int HeadDim, FlashScores scores, ProductUnit unit>
struct FloatFragments : FlashPart<float, HeadDim, scores, unit> {
  using Part = FlashPart<float, HeadDim, scores, unit>;
  using Product = FloatProduct<Part::kBands>;
  using Real = float;
  using Part::first_row, Part::row, Part::column, Part::kBands, Part::kColumns, Part::kOutColumns,
      Part::kRows, Part::kTileColumns, Part::kTileRows, Part::kWidth;
  using typename Part::Output, typename Part::Scores;
  static constexpr NotFinite kNotFinite = NotFinite::nan;
  static_assert(!Part::kKeepsQueries, "products of any queries need them as they are");

  using QueryRows = FloatTile<kTileRows, kWidth>;
  using Tile = FloatTile<kTileColumns, kWidth>;  ///< of keys or of values, as they are

  /// The first column of this thread, of outputs.
  static __device__ int first_out_column() { return Product::first_out_column(); }
  /// Its n-th column, counted from its first.
  static constexpr __device__ int out_column_from_first(int n) {
    return Product::out_column_from_first(n);
  }

  /// Weights, not rounded.
  struct Weights {
    Scores at;
  };
  /// Weights as they are added.
  static __device__ Weights weights(const Scores& rP) {
    Weights same;
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) same.at[r][c] = rP[r][c];
    return same;
  }

  /// rO += P V. NaN where a value is infinite or NaN.
  static __device__ void add_products(Output& rO, const Weights& rP, const Tile& sV) {
    Product::add_products(rO, rP.at, sV);
  }

  /// rS = Q K^T by multiply-add: for operands that are infinite or NaN, or nearly so.
  static __device__ void dot_any_products(Scores& rS, const QueryRows& sQ, const Tile& sK) {
    clear(rS);
    Product::add_any_dot_products(rS, sQ, first_row(), sK);
  }

  /// rO += P V by multiply-add, leaving out keys that are not `allowed(r, c)` one by one: for
  /// values that are infinite or NaN, or nearly so. The warp's queries are overwritten with
  /// weights.
  template <class Allowed>
  static __device__ void add_selected(Output& rO, const Weights& rP, Allowed allowed,
                                      const Tile& sV, QueryRows& sP) {
    static_assert(kTileColumns <= kWidth);
    Scores selected;
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c)
        selected[r][c] = allowed(r, c) ? rP.at[r][c] : kExcluded<Real>;
    Product::add_selected(rO, selected, sP, first_row(), sV);
  }

  /// Puts outputs where the warp's rows lie in a tile.
  static __device__ void stage(QueryRows& sO, const Output& rO) {
    const int row = first_row() + opaque(lane()) / 4, t = opaque(lane()) % 4;
#pragma unroll
    for (int c = 0; c < kOutColumns; c += 4)
#pragma unroll
      for (int r = 0; r < kRows; ++r)
        sO.piece(row + 8 * r, c + t) = {rO[r][c], rO[r][c + 1], rO[r][c + 2], rO[r][c + 3]};
  }

 protected:
  /// rS = 0.
  static __device__ void clear(Scores& rS) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) rS[r][c] = 0;
  }
};

}  // namespace attend::cuda
