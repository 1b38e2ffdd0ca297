#pragma once

#include <cstdint>

#include "../arch/compiled.cuh"
#include "../arch/mma.cuh"
#include "../arch/opaque.cuh"
#include "../tile/excluded.cuh"
#include "../tile/float_tile.cuh"
#include "../tile/fragments.cuh"
#include "flash_part.cuh"

/// @file
/// The products of the flash kernel for floats, on tensor cores: a warp's rows against a tile of
/// keys or values that is in shared memory. Operands are split into two parts that tensor cores
/// take, of 11 bits each; of the four products of parts the one of the smalls is left out (Ootomo,
/// Yokota, "Recovering single precision accuracy from Tensor Cores while surpassing the FP32
/// theoretical peak performance", 2022). As tensor cores cut sums off where they should round, they
/// add up no more than 16 products, the small ones first; sums of those are rounded.
///
/// So outputs are as accurate as those of a plain computation in float, though not the same: with
/// sums cut off as tensor cores do (simulated, 128 to 4096 keys, head dims 64 and 128) their
/// greatest error was 0.5 to 0.8 of the plain one's; without the roundings between, values of mean
/// 1 would make it 6 to 14 times as great. A single value of weight 1 may come out with its last
/// bit changed.

namespace attend::cuda {

/// The engine of `HeadDim`'s tiling.
template <int HeadDim, FlashScores scores>
struct FloatEngine : FlashPart<float, HeadDim, scores, ProductUnit::warp_of_parts> {
  using Part = FlashPart<float, HeadDim, scores, ProductUnit::warp_of_parts>;
  using Real = float;
  using Part::first_row, Part::row, Part::column, Part::kBands, Part::kColumns, Part::kOutColumns,
      Part::kRows, Part::kTileColumns, Part::kTileRows, Part::kWidth;
  using typename Part::Output, typename Part::Scores;
  static constexpr NotFinite kNotFinite = NotFinite::nan;
  static constexpr Compiled kCompiled = Compiled::from_8_0;
  static_assert(!Part::kKeepsQueries, "products of any queries need them as they are");

  using QueryRows = FloatTile<kTileRows, kWidth>;
  using Tile = FloatTile<kTileColumns, kWidth>;  ///< of keys or of values

  /// The first column of this thread, of outputs: it has four neighbours of every sixteen.
  static __device__ int first_out_column() { return lane() % 4 * 4; }
  /// Its n-th column, counted from its first.
  static constexpr __device__ int out_column_from_first(int n) { return n / 4 * 16 + n % 4; }

  /// The queries, which stay in shared memory.
  struct Queries {
    const QueryRows& tile;
    /// Of the tile, which has to be there when they are read.
    __device__ explicit Queries(const QueryRows& sQ) : tile(sQ) {}
  };

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

  /// rS = Q K^T. NaN where an operand is infinite or NaN.
  static __device__ void dot_products(Scores& rS, const Queries& rQ, const Tile& sK) {
    constexpr int kGroups = kTileColumns / 16 < kGroupsAtOnce ? kTileColumns / 16 : kGroupsAtOnce;
    clear(rS);
    const LeftOperand<QueryRows> queries(rQ.tile, first_row());
    const TransposedOperand<Tile> keys(sK);
#pragma unroll 1
    for (int k = 0; k < kWidth / 8; k += kSteps) {
      Left a;
#pragma unroll
      for (int step = 0; step < kSteps; ++step)
#pragma unroll
        for (int m = 0; m < kBands; ++m) {
          std::uint32_t q[4];
          queries.read(q, k + step, 16 * m);
#pragma unroll
          for (int x = 0; x < 4; ++x) a.at[step][m].split(x, q[x]);
        }
#pragma unroll
      for (int n = 0; n < kTileColumns / 16; n += kGroups) {
        Right<kGroups> b;
#pragma unroll
        for (int step = 0; step < kSteps; ++step)
#pragma unroll
          for (int group = 0; group < kGroups; ++group) {
            std::uint32_t four[4];
            keys.read(four, n + group, k + step);
#pragma unroll
            for (int x = 0; x < 4; ++x) b.at[step][2 * group + x / 2].split(x % 2, four[x]);
          }
        add(a, b,
            [&](int m, int i, int y, int x, Real sum) { rS[2 * m + y][4 * n + 2 * i + x] += sum; });
      }
    }
  }

  /// rO += P V. NaN where a value is infinite or NaN.
  static __device__ void add_products(Output& rO, Weights rP, const Tile& sV) {
    const FloatRightOperand<Tile> values(sV);
#pragma unroll 1
    for (int k = 0; k < kTileColumns / 8; k += kSteps) {
      Left a;
#pragma unroll
      for (int step = 0; step < kSteps; ++step)
#pragma unroll
        for (int m = 0; m < kBands; ++m)
#pragma unroll
          for (int x = 0; x < 4; ++x)
            a.at[step][m].split(x, rP.at[2 * m + x % 2][2 * step + x / 2]);
#pragma unroll
      for (int n = 0; n < kWidth / 16; n += kGroupsAtOnce) {
        Right<kGroupsAtOnce> b;
#pragma unroll
        for (int step = 0; step < kSteps; ++step)
#pragma unroll
          for (int group = 0; group < kGroupsAtOnce; ++group) {
            float four[2][2];
            values.read(four, n + group, k + step);
#pragma unroll
            for (int x = 0; x < 4; ++x)
              b.at[step][2 * group + x / 2].split(x % 2, four[x / 2][x % 2]);
          }
        add(a, b, [&](int m, int i, int y, int x, Real sum) {
          rO[2 * m + y][4 * (n + i / 2) + 2 * x + i % 2] += sum;
        });
      }
      // Registers can't be indexed: those of the next keys become the first.
#pragma unroll
      for (int r = 0; r < kRows; ++r)
#pragma unroll
        for (int c = 2 * kSteps; c < kColumns; ++c) rP.at[r][c - 2 * kSteps] = rP.at[r][c];
    }
  }

  /// rS = Q K^T by multiply-add: for operands that are infinite or NaN, or nearly so.
  static __device__ void dot_any_products(Scores& rS, const QueryRows& sQ, const Tile& sK) {
    clear(rS);
    const int g = opaque(lane()) / 4, t = opaque(lane()) % 4;
#pragma unroll 1
    for (int d = 0; d < kWidth; ++d) {
      Real q[kRows];
#pragma unroll
      for (int r = 0; r < kRows; ++r) q[r] = sQ.at(first_row() + g + 8 * r, d);
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const Real k = sK.at(2 * t + Part::column_from_first(c), d);
#pragma unroll
        for (int r = 0; r < kRows; ++r) rS[r][c] += q[r] * k;
      }
    }
  }

  /// rO += P V by multiply-add, leaving out keys that are not `allowed(r, c)` one by one: for
  /// values that are infinite or NaN, or nearly so. The warp's queries are overwritten with
  /// weights.
  template <class Allowed>
  static __device__ void add_selected(Output& rO, const Weights& rP, Allowed allowed,
                                      const Tile& sV, QueryRows& sP) {
    static_assert(kTileColumns <= kWidth);
    const int row = first_row() + opaque(lane()) / 4, t = opaque(lane()) % 4;
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c)
        sP.at(row + 8 * r, 2 * t + Part::column_from_first(c)) =
            allowed(r, c) ? rP.at[r][c] : kExcluded<Real>;
    __syncwarp();
#pragma unroll 1
    for (int key = 0; key < kTileColumns; ++key)
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const Real p = sP.at(row + 8 * r, key);
        if (is_excluded(p)) continue;
#pragma unroll
        for (int c = 0; c < kOutColumns; ++c)
          rO[r][c] += p * sV.piece(key, c / 4 * 4 + t).at[c % 4];
      }
    __syncwarp();
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

 private:
  /// Groups of 16 columns that are multiplied at once: four sums in a row do not wait for each
  /// other.
  static constexpr int kGroupsAtOnce = kBands == 1 ? 2 : 1;

  /// Products one after the other, of eight elements of sums each, that tensor cores add up.
  static constexpr int kSteps = 2;

  /// Operands of those.
  struct Left {
    FloatParts<4> at[kSteps][kBands];
  };
  /// So many groups of 16 columns, of which eight each are a product's.
  template <int Groups>
  struct Right {
    FloatParts<2> at[kSteps][2 * Groups];
  };

  template <int Columns>
  static __device__ void clear(Real (&sum)[kRows][Columns]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < Columns; ++c) sum[r][c] = 0;
  }

  // Calls `take(m, i, y, x, sum)` for the m-th 16 rows and i-th eight columns: the thread's row y
  // and column x of those.
  template <int Groups, class Take>
  static __device__ void add(const Left& a, const Right<Groups>& b, Take take) {
    Real d[kBands][2 * Groups][4] = {};
    const auto multiply = [&](auto left, auto right) {
#pragma unroll
      for (int step = 0; step < kSteps; ++step)
#pragma unroll
        for (int m = 0; m < kBands; ++m)
#pragma unroll
          for (int i = 0; i < 2 * Groups; ++i)
            mma_m16n8k8_tf32(d[m][i], a.at[step][m].*left, b.at[step][i].*right);
    };
    multiply(&FloatParts<4>::small, &FloatParts<2>::big);
    multiply(&FloatParts<4>::big, &FloatParts<2>::small);
    multiply(&FloatParts<4>::big, &FloatParts<2>::big);
#pragma unroll
    for (int m = 0; m < kBands; ++m)
#pragma unroll
      for (int i = 0; i < 2 * Groups; ++i)
#pragma unroll
        for (int x = 0; x < 4; ++x) take(m, i, x / 2, x % 2, d[m][i][x]);
  }
};

}  // namespace attend::cuda
