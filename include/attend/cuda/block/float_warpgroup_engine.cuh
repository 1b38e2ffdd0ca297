#pragma once

#include <cstdint>

#include "../arch/compiled.cuh"
#include "../arch/wgmma.cuh"
#include "../tile/float_parts_tile.cuh"
#include "../tile/fragments.cuh"
#include "float_fragments.cuh"
#include "warpgroup_product.cuh"
#include "warpgroup_roles.cuh"

/// @file
/// The products of the flash kernel for floats on warpgroups, of parts as in float_product.cuh.
/// Keys and values are split once for all queries of a block, by the warps that bring them; queries
/// and weights by the warps whose they are, as left operands are registers.
///
/// What limits it is the tensor cores' time: 64 x 64 x 8 products take 32 cycles of a
/// multiprocessor, its shared memory's 2 KiB half as many.

namespace attend::cuda {

/// The engine of `HeadDim`'s tiling.
template <int HeadDim, FlashScores scores>
struct FloatWarpgroupEngine
    : WarpgroupRoles<FloatFragments<HeadDim, scores, ProductUnit::warpgroup_of_parts>, 104> {
  using Fragments = FloatFragments<HeadDim, scores, ProductUnit::warpgroup_of_parts>;
  using Fragments::first_row, Fragments::kColumns, Fragments::kRows,
      Fragments::kTileColumns, Fragments::kWidth;
  using typename Fragments::Output, typename Fragments::QueryRows, typename Fragments::Scores,
      typename Fragments::Tile, typename Fragments::Weights;
  static constexpr Compiled kCompiled = Compiled::with_wgmma;
  static constexpr int kQueryTiles = kWidth > 64 ? 1 : 2;  ///< that there is room for

  using Keys = KeyParts<kTileColumns, kWidth>;
  using Values = ValueParts<kTileColumns, kWidth>;
  /// Room for a tile.
  union Slot {
    Keys of_keys;
    Values of_values;
    Tile of_either;
  };
  /// A slot as a tile of keys.
  static __device__ Keys& keys(Slot& slot) { return slot.of_keys; }
  /// A slot as a tile of values.
  static __device__ Values& values(Slot& slot) { return slot.of_values; }
  /// A slot as one of either as it is.
  static __device__ Tile& whole(Slot& slot) { return slot.of_either; }

  /// rS = Q K^T. NaN where an operand is infinite or NaN.
  static __device__ void dot_products(Scores& rS, const QueryRows& sQ, const Keys& sK) {
    Fragments::clear(rS);
    const LeftOperand<QueryRows> queries(sQ, first_row());
    const RightParts<Tile> keys(sK);
#pragma unroll
    for (int k = 0; k < kWidth / 8; k += kSteps) {
      Left a;
#pragma unroll
      for (int step = 0; step < kSteps; ++step) {
        std::uint32_t four[4];
        queries.read(four, k + step);
#pragma unroll
        for (int x = 0; x < 4; ++x) a.at[step].split(x, four[x]);
      }
      add_product(rS, 0, a, keys, k, 0);
    }
  }

  using Fragments::add_products;
  /// rO += P V. NaN where a value is infinite or NaN.
  static __device__ void add_products(Output& rO, const Weights& rP, const Values& sV) {
    const RightParts<FloatTile<kWidth, kTileColumns>> values(sV);
#pragma unroll
    for (int k = 0; k < kTileColumns / 8; k += kSteps) {
      Left a;
#pragma unroll
      for (int step = 0; step < kSteps; ++step)
#pragma unroll
        for (int x = 0; x < 4; ++x) a.at[step].split(x, rP.at[x % 2][2 * (k + step) + x / 2]);
#pragma unroll
      for (int e = 0; e < kWidth; e += kAtOnce) add_product(rO, e / 4, a, values, k, e);
    }
  }

 private:
  /// Products one after the other, of eight elements of sums each, that tensor cores add up.
  static constexpr int kSteps = 2;
  /// Columns of a product.
  static constexpr int kAtOnce = 64;
  static_assert(kTileColumns == kAtOnce && kWidth % kAtOnce == 0);

  /// Left operands of those.
  struct Left {
    FloatParts<4> at[kSteps];
  };
  /// Right ones: rows of a tile, along which products go.
  template <class OfTile>
  struct RightParts {
    WarpgroupOperand<OfTile> big, small;
    template <class Parts>
    __device__ explicit RightParts(const Parts& parts) : big(parts.big), small(parts.small) {}

    /// How much further on the k-th eight columns of rows `first` and following begin.
    static __device__ std::uint64_t at(int k, int first) {
      return product_columns<OfTile>(k) +
             static_cast<std::uint64_t>(first) * OfTile::kRowBytes / 16;
    }
  };

  // Adds products with the k-th and following eight columns of rows `first` and following to
  // columns `c` and following of a thread's.
  template <int Columns, class OfTile>
  static __device__ void add_product(float (&to)[kRows][Columns], int c, const Left& a,
                                     const RightParts<OfTile>& right, int k, int first) {
    float sum[kRows][kAtOnce / 4];
    const auto multiply = [&](auto part, const WarpgroupOperand<OfTile>& with, bool adds) {
#pragma unroll
      for (int step = 0; step < kSteps; ++step)
        wgmma_m64n64k8(sum[0], sum[1], a.at[step].*part,
                       with.descriptor + RightParts<OfTile>::at(k + step, first), adds || step > 0);
    };
    wgmma_fence();
    multiply(&FloatParts<4>::small, right.big, false);
    multiply(&FloatParts<4>::big, right.small, true);
    multiply(&FloatParts<4>::big, right.big, true);
    wgmma_commit_group();
    wait_for_products<0>(sum);
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int n = 0; n < kAtOnce / 4; ++n) to[r][c + n] += sum[r][n];
  }
};

}  // namespace attend::cuda
