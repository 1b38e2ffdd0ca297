#pragma once

#include <cstdint>

#include "../arch/barrier.cuh"
#include "../arch/convert.cuh"
#include "../arch/opaque.cuh"
#include "../tile/excluded.cuh"
#include "../tile/half_tile.cuh"
#include "flash_part.cuh"

/// @file
/// What the flash kernels' engines of 16-bit elements have in common: weights as they are rounded,
/// and outputs.

namespace attend::cuda {

/// The fragments of `HeadDim`'s tiling.
template <class T, int HeadDim, FlashScores scores, ProductUnit unit>
struct FlashFragments : FlashPart<T, HeadDim, scores, unit> {
  using Part = FlashPart<T, HeadDim, scores, unit>;
  using Real = typename Part::Real;
  using Part::first_row, Part::column, Part::kBands, Part::kOutColumns, Part::kRows,
      Part::kTileColumns, Part::kTileRows, Part::kWidth;
  using typename Part::Output, typename Part::Scores;
  static constexpr int kSteps = kWidth / 16;  ///< products along the head dim
  static constexpr NotFinite kNotFinite = NotFinite::as_products;

  using QueryRows = HalfTile<T, kTileRows, kWidth>;
  using Tile = HalfTile<T, kTileColumns, kWidth>;  ///< of keys or of values

  /// The first column of this thread, of outputs.
  static __device__ int first_out_column() { return Part::first_column(); }
  /// Its n-th column, counted from its first.
  static constexpr __device__ int out_column_from_first(int n) {
    return Part::column_from_first(n);
  }

  /// Weights as left operands: of 16 rows and 16 keys a register is what a thread's scores of a row
  /// are, two neighbours each.
  struct Weights {
    std::uint32_t at[kBands][kTileColumns / 16][4];
  };
  /// Rounds weights to elements.
  static __device__ Weights weights(const Scores& rP) {
    Weights rounded;
    each_weight([&](int k, int m, int x, int r, int c) {
      rounded.at[m][k][x] = opaque(packed(rP[r][c], rP[r][c + 1], T{}));
    });
    return rounded;
  }

  /// rO += P V by multiply-add, leaving out keys that are not `allowed(r, c)` one by one: for
  /// values that are infinite or NaN. The warp's queries are overwritten with weights.
  template <class Allowed>
  static __device__ void add_selected(Output& rO, const Weights& rP, Allowed allowed,
                                      const Tile& sV, QueryRows& sP) {
    constexpr int kPart = kTileColumns < kWidth ? kTileColumns : kWidth;  // that there is room for
    const int row = first_row() + opaque(lane()) / 4, t = opaque(lane()) % 4;
#pragma unroll
    for (int part = 0; part < kTileColumns; part += kPart) {
      each_weight([&](int k, int m, int x, int r, int c) {
        if (16 * k < part || 16 * k >= part + kPart) return;
        T* const two = &sP.octet(row + 8 * r, c / 2 - part / 8).at[2 * t];
        const std::uint32_t excluded = packed(kExcluded<Real>, kExcluded<Real>, T{});
        const std::uint32_t kept =
            (allowed(r, c) ? 0xffffu : 0) | (allowed(r, c + 1) ? ~0xffffu : 0);
        *reinterpret_cast<std::uint32_t*>(two) = (rP.at[m][k][x] & kept) | (excluded & ~kept);
      });
      __syncwarp();
#pragma unroll 1
      for (int key = 0; key < kPart; ++key)
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          const Real p = to_real(sP.at(row + 8 * r, key));
          if (is_excluded(p)) continue;
#pragma unroll
          for (int c = 0; c < kOutColumns; ++c)
            rO[r][c] += p * to_real(sV.octet(part + key, c / 2).at[2 * t + c % 2]);
        }
      __syncwarp();
    }
  }

  /// Puts outputs, as elements, where the warp's rows lie in a tile.
  static __device__ void stage(QueryRows& sO, const Output& rO) {
    const int row = first_row() + opaque(lane()) / 4, t = opaque(lane()) % 4;
#pragma unroll
    for (int c = 0; c < kOutColumns; c += 2)
#pragma unroll
      for (int r = 0; r < kRows; ++r)
        *reinterpret_cast<std::uint32_t*>(&sO.octet(row + 8 * r, c / 2).at[2 * t]) =
            packed(rO[r][c], rO[r][c + 1], T{});
  }

 private:
  /// Calls `visit(k, m, x, r, c)` for each register of weights: k-th 16 keys, m-th 16 rows,
  /// register x of those, which has columns c and c + 1 of the thread's row r.
  template <class Visit>
  static __device__ void each_weight(Visit visit) {
#pragma unroll
    for (int k = 0; k < kTileColumns / 16; ++k)
#pragma unroll
      for (int m = 0; m < kBands; ++m)
#pragma unroll
        for (int x = 0; x < 4; ++x) visit(k, m, x, 2 * m + x % 2, 4 * k + x / 2 * 2);
  }
};

}  // namespace attend::cuda
