#pragma once

#include <cstdint>

#include "../arch/compiled.cuh"
#include "../arch/mma.cuh"
#include "../tile/fragments.cuh"
#include "flash_fragments.cuh"

/// @file
/// The products of the flash kernel: a warp's rows against a tile of keys or values that is in
/// shared memory. Scores and outputs are in registers.

namespace attend::cuda {

/// The engine of `HeadDim`'s tiling.
template <class T, int HeadDim, FlashScores scores>
struct FlashEngine : FlashFragments<T, HeadDim, scores, ProductUnit::warp> {
  using Fragments = FlashFragments<T, HeadDim, scores, ProductUnit::warp>;
  using Real = typename Fragments::Real;
  using Fragments::first_row, Fragments::kBands, Fragments::kColumns, Fragments::kKeepsQueries,
      Fragments::kRows, Fragments::kSteps, Fragments::kTileColumns;
  using typename Fragments::Output, typename Fragments::QueryRows, typename Fragments::Scores,
      typename Fragments::Tile, typename Fragments::Weights;
  static constexpr Compiled kCompiled =
      has_warpgroup_tiling(HeadDim) ? Compiled::from_8_0_without_wgmma : Compiled::from_8_0;

  /// The warp's queries, as left operands.
  class Queries {
   public:
    /// Of the tile, which has to be there when they are taken or read.
    __device__ explicit Queries(const QueryRows& sQ) : sQ_(sQ) {}
    /// Takes them into registers, if they are kept there.
    __device__ void take() {
      if constexpr (kKeepsQueries) {
        const LeftOperand<QueryRows> rows(sQ_, first_row());
        for (int k = 0; k < kSteps; ++k)
          for (int m = 0; m < kBands; ++m) rows.read(kept_[k][m], k, 16 * m);
      }
    }
    /// Calls `use(k, a)` for all k: a[m] is columns 16k to 16k + 15 of the m-th 16 rows.
    template <class Use>
    __device__ void each(Use use) const {
      const LeftOperand<QueryRows> rows(sQ_, first_row());
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
        if constexpr (kKeepsQueries) {
          use(k, kept_[k]);
        } else {
          std::uint32_t a[kBands][4];
#pragma unroll
          for (int m = 0; m < kBands; ++m) rows.read(a[m], k, 16 * m);
          use(k, a);
        }
      }
    }

   private:
    const QueryRows& sQ_;
    std::uint32_t kept_[kKeepsQueries ? kSteps : 1][kBands][4];
  };

  /// rS = Q K^T.
  static __device__ void dot_products(Scores& rS, const Queries& rQ, const Tile& sK) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) rS[r][c] = 0;
    const TransposedOperand<Tile> keys(sK);
    rQ.each([&](int k, const std::uint32_t(&a)[kBands][4]) {
#pragma unroll
      for (int n = 0; n < kTileColumns / 16; ++n) {
        std::uint32_t b[4];
        keys.read(b, n, k);
#pragma unroll
        for (int m = 0; m < kBands; ++m) add_product(rS, m, 4 * n, a[m], b);
      }
    });
  }

  /// rO += P V.
  static __device__ void add_products(Output& rO, const Weights& rP, const Tile& sV) {
    const RightOperand<Tile> values(sV);
#pragma unroll
    for (int k = 0; k < kTileColumns / 16; ++k)
#pragma unroll
      for (int n = 0; n < kSteps; ++n) {
        std::uint32_t b[4];
        values.read(b, n, k);
#pragma unroll
        for (int m = 0; m < kBands; ++m) add_product(rO, m, 4 * n, rP.at[m][k], b);
      }
  }

 private:
  // The products of the m-th 16 rows with columns 0 to 7 and 8 to 15 of an operand, into the
  // thread's columns c and following.
  template <int Columns>
  static __device__ void add_product(Real (&sum)[kRows][Columns], int m, int c,
                                     const std::uint32_t (&a)[4], const std::uint32_t (&b)[4]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      Real* const up = &sum[2 * m][c + 2 * half];
      Real* const down = &sum[2 * m + 1][c + 2 * half];
      Real d[4] = {up[0], up[1], down[0], down[1]};
      mma_m16n8k16(d, a, {b[2 * half], b[2 * half + 1]}, T{});
      up[0] = d[0], up[1] = d[1], down[0] = d[2], down[1] = d[3];
    }
  }
};

}  // namespace attend::cuda
