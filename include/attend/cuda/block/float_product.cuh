#pragma once

#include <cstdint>

#include "../arch/mma.cuh"
#include "../arch/opaque.cuh"
#include "../arch/warp.cuh"
#include "../tile/excluded.cuh"
#include "../tile/float_tile.cuh"
#include "../tile/fragments.cuh"

/// @file
/// Products of tiles of floats on tensor cores. Operands are split into two parts that tensor cores
/// take, of 11 bits each; of the four products of parts the one of the smalls is left out (Ootomo,
/// Yokota, "Recovering single precision accuracy from Tensor Cores while surpassing the FP32
/// theoretical peak performance", 2022). As tensor cores cut sums off where they should round, they
/// add up no more than 16 products, the small ones first; sums of those are rounded.
///
/// So results are as accurate as those of a plain computation in float, though not the same: with
/// sums cut off as tensor cores do (simulated outputs, 128 to 4096 keys, head dims 64 and 128)
/// their greatest error was 0.5 to 0.8 of the plain one's; without the roundings between, values of
/// mean 1 would make it 6 to 14 times as great. A single value of weight 1 may come out with its
/// last bit changed.

namespace attend::cuda {

/// The products of a warp with `Bands` times 16 rows. Of its tiles of results a thread holds rows g
/// and g + 8 of each 16 (g = lane / 4) and four columns of each 16: of dot products two neighbours
/// of each eight, of weighted sums four neighbours.
template <int Bands>
struct FloatProduct {
  static constexpr int kRows = 2 * Bands;

  /// The first column of this thread, of weighted sums.
  static __device__ int first_out_column() { return lane() % 4 * 4; }
  /// Its n-th column, counted from its first.
  static constexpr __device__ int out_column_from_first(int n) { return n / 4 * 16 + n % 4; }

  /// rS += A B^T, of A's rows `first_row` and following.
  template <class TileA, class TileB>
  static __device__ void add_dot_products(float (&rS)[kRows][TileB::kRows / 4], const TileA& sA,
                                          int first_row, const TileB& sB) {
    constexpr int kGroups = TileB::kRows / 16 < kGroupsAtOnce ? TileB::kRows / 16 : kGroupsAtOnce;
    const LeftOperand<TileA> left(sA, first_row);
    const TransposedOperand<TileB> right(sB);
#pragma unroll 1
    for (int k = 0; k < TileA::kColumns / 8; k += kSteps) {
      Left a;
#pragma unroll
      for (int step = 0; step < kSteps; ++step)
#pragma unroll
        for (int m = 0; m < Bands; ++m) {
          std::uint32_t four[4];
          left.read(four, k + step, 16 * m);
#pragma unroll
          for (int x = 0; x < 4; ++x) a.at[step][m].split(x, four[x]);
        }
#pragma unroll
      for (int n = 0; n < TileB::kRows / 16; n += kGroups) {
        Right<kGroups> b;
#pragma unroll
        for (int step = 0; step < kSteps; ++step)
#pragma unroll
          for (int group = 0; group < kGroups; ++group) {
            std::uint32_t four[4];
            right.read(four, n + group, k + step);
#pragma unroll
            for (int x = 0; x < 4; ++x) b.at[step][2 * group + x / 2].split(x % 2, four[x]);
          }
        add(a, b, [&](int m, int i, int y, int x, float sum) {
          rS[2 * m + y][4 * n + 2 * i + x] += sum;
        });
      }
    }
  }

  /// rO += P B. A thread's scores are the fragment of P.
  template <class Tile>
  static __device__ void add_products(float (&rO)[kRows][Tile::kColumns / 4],
                                      const float (&weights)[kRows][Tile::kRows / 4],
                                      const Tile& sB) {
    constexpr int kColumns = Tile::kRows / 4;
    float rP[kRows][kColumns];
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) rP[r][c] = weights[r][c];
    const FloatRightOperand<Tile> right(sB);
#pragma unroll 1
    for (int k = 0; k < Tile::kRows / 8; k += kSteps) {
      Left a;
#pragma unroll
      for (int step = 0; step < kSteps; ++step)
#pragma unroll
        for (int m = 0; m < Bands; ++m)
#pragma unroll
          for (int x = 0; x < 4; ++x) a.at[step][m].split(x, rP[2 * m + x % 2][2 * step + x / 2]);
#pragma unroll
      for (int n = 0; n < Tile::kColumns / 16; n += kGroupsAtOnce) {
        Right<kGroupsAtOnce> b;
#pragma unroll
        for (int step = 0; step < kSteps; ++step)
#pragma unroll
          for (int group = 0; group < kGroupsAtOnce; ++group) {
            float four[2][2];
            right.read(four, n + group, k + step);
#pragma unroll
            for (int x = 0; x < 4; ++x)
              b.at[step][2 * group + x / 2].split(x % 2, four[x / 2][x % 2]);
          }
        add(a, b, [&](int m, int i, int y, int x, float sum) {
          rO[2 * m + y][4 * (n + i / 2) + 2 * x + i % 2] += sum;
        });
      }
      // Registers can't be indexed: those of the next keys become the first.
#pragma unroll
      for (int r = 0; r < kRows; ++r)
#pragma unroll
        for (int c = 2 * kSteps; c < kColumns; ++c) rP[r][c - 2 * kSteps] = rP[r][c];
    }
  }

  /// rS += A B^T by multiply-add.
  template <class TileA, class TileB>
  static __device__ void add_any_dot_products(float (&rS)[kRows][TileB::kRows / 4], const TileA& sA,
                                              int first_row, const TileB& sB) {
    const int g = opaque(lane()) / 4, t = opaque(lane()) % 4;
#pragma unroll 1
    for (int d = 0; d < TileA::kColumns; ++d) {
      float a[kRows];
#pragma unroll
      for (int r = 0; r < kRows; ++r) a[r] = sA.at(first_row + g + 8 * r, d);
#pragma unroll
      for (int c = 0; c < TileB::kRows / 4; ++c) {
        const float b = sB.at(2 * t + c / 2 * 8 + c % 2, d);
#pragma unroll
        for (int r = 0; r < kRows; ++r) rS[r][c] += a[r] * b;
      }
    }
  }

  /// rO += P B by multiply-add, leaving out excluded pairs (`kExcluded`) one by one. `sP` is for
  /// the weights; only rows `first_row` and following of it are used, which are the warp's.
  template <class TileP, class Tile>
  static __device__ void add_selected(float (&rO)[kRows][Tile::kColumns / 4],
                                      const float (&rP)[kRows][Tile::kRows / 4], TileP& sP,
                                      int first_row, const Tile& sB) {
    const int row = first_row + opaque(lane()) / 4, t = opaque(lane()) % 4;
    __syncwarp();
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < Tile::kRows / 4; ++c)
        sP.at(row + 8 * r, 2 * t + c / 2 * 8 + c % 2) = rP[r][c];
    __syncwarp();
#pragma unroll 1
    for (int key = 0; key < Tile::kRows; ++key)
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const float p = sP.at(row + 8 * r, key);
        if (is_excluded(p)) continue;
#pragma unroll
        for (int c = 0; c < Tile::kColumns / 4; ++c)
          rO[r][c] += p * sB.piece(key, c / 4 * 4 + t).at[c % 4];
      }
    __syncwarp();
  }

 private:
  /// Groups of 16 columns that are multiplied at once: four sums in a row do not wait for each
  /// other.
  static constexpr int kGroupsAtOnce = Bands == 1 ? 2 : 1;

  /// Products one after the other, of eight elements of sums each, that tensor cores add up.
  static constexpr int kSteps = 2;

  /// Operands of those.
  struct Left {
    FloatParts<4> at[kSteps][Bands];
  };
  /// So many groups of 16 columns, of which eight each are a product's.
  template <int Groups>
  struct Right {
    FloatParts<2> at[kSteps][2 * Groups];
  };

  // Calls `take(m, i, y, x, sum)` for the m-th 16 rows and i-th eight columns: the thread's row y
  // and column x of those.
  template <int Groups, class Take>
  static __device__ void add(const Left& a, const Right<Groups>& b, Take take) {
    float d[Bands][2 * Groups][4] = {};
    const auto multiply = [&](auto left, auto right) {
#pragma unroll
      for (int step = 0; step < kSteps; ++step)
#pragma unroll
        for (int m = 0; m < Bands; ++m)
#pragma unroll
          for (int i = 0; i < 2 * Groups; ++i)
            mma_m16n8k8_tf32(d[m][i], a.at[step][m].*left, b.at[step][i].*right);
    };
    multiply(&FloatParts<4>::small, &FloatParts<2>::big);
    multiply(&FloatParts<4>::big, &FloatParts<2>::small);
    multiply(&FloatParts<4>::big, &FloatParts<2>::big);
#pragma unroll
    for (int m = 0; m < Bands; ++m)
#pragma unroll
      for (int i = 0; i < 2 * Groups; ++i)
#pragma unroll
        for (int x = 0; x < 4; ++x) take(m, i, x / 2, x % 2, d[m][i][x]);
  }
};

}  // namespace attend::cuda
