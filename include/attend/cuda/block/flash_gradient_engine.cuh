#pragma once

#include <cstdint>

#include "../arch/compiled.cuh"
#include "../arch/convert.cuh"
#include "../tile/fragments.cuh"
#include "flash_gradient_fragments.cuh"
#include "tensor_core_product.cuh"

/// @file
/// The products of the flash kernels' backward pass: a warp's rows of a block's own tile against a
/// tile that came to it. Scores, their gradients and sums are in registers.

namespace attend::cuda {

/// The engine of `HeadDim`'s tiling.
template <class T, int HeadDim, FlashGradient kind>
struct FlashGradientEngine
    : FlashGradientFragments<T, HeadDim, kind, FlashScores::any, ProductUnit::warp> {
  using Fragments = FlashGradientFragments<T, HeadDim, kind, FlashScores::any, ProductUnit::warp>;
  using Fragments::kBands, Fragments::kColumns, Fragments::kRows, Fragments::kSteps,
      Fragments::kTileColumns, Fragments::first_row;
  using typename Fragments::Output, typename Fragments::Own, typename Fragments::Real,
      typename Fragments::Scores, typename Fragments::Tile;
  static constexpr Compiled kCompiled = Compiled::from_8_0_without_wgmma;

  /// rS = A B^T.
  static __device__ void dot_products(Scores& rS, const Own& sA, const Tile& sB) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) rS[r][c] = 0;
    const LeftOperand<Own> left(sA, first_row());
    const TransposedOperand<Tile> right(sB);
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      std::uint32_t a[kBands][4];
#pragma unroll
      for (int m = 0; m < kBands; ++m) left.read(a[m], k, 16 * m);
#pragma unroll
      for (int n = 0; n < kTileColumns / 16; ++n) {
        std::uint32_t b[4];
        right.read(b, n, k);
        add_products(rS, 4 * n, a, b);
      }
    }
  }

  /// rO += rP B. A thread's weights are the fragment of the left operand.
  static __device__ void add_weighted(Output& rO, const Scores& rP, const Tile& sB) {
    const RightOperand<Tile> right(sB);
#pragma unroll
    for (int k = 0; k < kTileColumns / 16; ++k) {
      std::uint32_t a[kBands][4];
#pragma unroll
      for (int m = 0; m < kBands; ++m)
#pragma unroll
        for (int x = 0; x < 4; ++x) {
          const int r = 2 * m + x % 2, c = 4 * k + x / 2 * 2;
          a[m][x] = packed(rP[r][c], rP[r][c + 1], T{});
        }
#pragma unroll
      for (int n = 0; n < kSteps; ++n) {
        std::uint32_t b[4];
        right.read(b, n, k);
        add_products(rO, 4 * n, a, b);
      }
    }
  }

 private:
  // The products of all bands with columns 0 to 7 and 8 to 15 of an operand, into the thread's
  // columns c and following.
  template <int Columns>
  static __device__ void add_products(Real (&sum)[kRows][Columns], int c,
                                      const std::uint32_t (&a)[kBands][4],
                                      const std::uint32_t (&b)[4]) {
#pragma unroll
    for (int m = 0; m < kBands; ++m) {
      add_product(sum, c, a[m], {b[0], b[1]}, T{}, 2 * m);
      add_product(sum, c + 2, a[m], {b[2], b[3]}, T{}, 2 * m);
    }
  }
};

}  // namespace attend::cuda
