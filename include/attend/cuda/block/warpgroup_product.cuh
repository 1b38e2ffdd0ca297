#pragma once

#include <cstdint>
#include <type_traits>

#include "../arch/convert.cuh"
#include "../arch/opaque.cuh"
#include "../arch/shared_memory.cuh"
#include "../arch/warp.cuh"
#include "../arch/wgmma.cuh"

/// @file
/// Products of tiles by warpgroups: 64 rows each, 16 of each warp. They are begun, and run while
/// the warps go on.

namespace attend::cuda {

/// Threads of a warpgroup.
inline constexpr int kWarpgroup = 4 * kWarp;
/// Rows of its products.
inline constexpr int kWarpgroupRows = 64;

/// So many groups of products.
template <int Count>
using Groups = std::integral_constant<int, Count>;

/// The most threads of a block's, if so many are wanted, where the compiler at hand makes code for
/// warpgroups: what a kernel without it allows says so to the host, which then takes another one.
template <int Threads>
inline constexpr int kWarpgroupThreads = kHasWgmma ? Threads : kWarp;

/// A thread's weights of `Columns` columns as left operands, rounded to elements: of 16 rows and 16
/// columns a register is what it has of a row, two neighbours each.
template <int Columns>
struct WarpgroupWeights {
  std::uint32_t at[Columns / 16][4];
};

/// Rounds weights to elements.
template <int Columns, class T>
__device__ inline void round_to(WarpgroupWeights<Columns>& rounded,
                                const float (&rP)[2][Columns / 4], T) {
#pragma unroll
  for (int k = 0; k < Columns / 16; ++k)
#pragma unroll
    for (int x = 0; x < 4; ++x) {
      const int r = x % 2, c = 4 * k + x / 2 * 2;
      rounded.at[k][x] = opaque(packed(rP[r][c], rP[r][c + 1], T{}));
    }
}

/// An operand in shared memory: a tile from a byte on. All lanes of a warp have the same, and the
/// compiler knows: else it would take a product eight instructions instead of one to find out.
template <class Tile>
struct WarpgroupOperand {
  std::uint64_t descriptor;

  /// Of a tile.
  __device__ WarpgroupOperand(const Tile& tile, std::uint32_t byte = 0)
      : descriptor(wgmma_operand(of_warp(shared_address(&tile) + byte), Tile::kPanelBytes)) {}
};

/// How much further on the columns of the n-th product (32 bytes of a row) begin of an operand
/// whose rows products go along.
template <class Tile>
constexpr __device__ std::uint64_t product_columns(int n) {
  constexpr int kInPanel = 4;
  return static_cast<std::uint64_t>(n % kInPanel * 32) / 16 +
         n / kInPanel * std::uint64_t{Tile::kPanelBytes} / 16;
}

/// Begins rS = A B^T, as a group, of 64 rows of A.
template <class TileA, class TileB>
__device__ inline void begin_dot_products(float (&rS)[2][TileB::kRows / 4],
                                          const WarpgroupOperand<TileA>& sA,
                                          const WarpgroupOperand<TileB>& sB) {
  using T = typename TileB::T;
  wgmma_fence();
#pragma unroll
  for (int n = 0; n < TileB::kColumns / 16; ++n) {
    const std::uint64_t left = sA.descriptor + product_columns<TileA>(n);
    const std::uint64_t right = sB.descriptor + product_columns<TileB>(n);
    static_assert(TileB::kRows == 32 || TileB::kRows == 64 || TileB::kRows == 128);
    if constexpr (TileB::kRows == 32) wgmma_m64n32k16(rS[0], rS[1], left, right, n > 0, T{});
    if constexpr (TileB::kRows == 64) wgmma_m64n64k16(rS[0], rS[1], left, right, n > 0, T{});
    if constexpr (TileB::kRows == 128) wgmma_m64n128k16(rS[0], rS[1], left, right, n > 0, T{});
  }
  wgmma_commit_group();
}

/// The rows of an operand that are the n-th warpgroup's.
template <class Tile>
__device__ inline WarpgroupOperand<Tile> rows_of_warpgroup(const Tile& tile, int n) {
  return {tile, static_cast<std::uint32_t>(n * kWarpgroupRows) * Tile::kRowBytes};
}
/// Columns `first` (a multiple of 64) and following of an operand.
template <class Tile>
__device__ inline WarpgroupOperand<Tile> columns_from(const Tile& tile, int first) {
  return {tile, static_cast<std::uint32_t>(first) / 64 * Tile::kPanelBytes};
}

/// Begins rO += rP B, as a group.
template <int OutColumns, class TileB>
__device__ inline void begin_weighted_sums(float (&rO)[2][OutColumns],
                                           const std::uint32_t (&rP)[TileB::kRows / 16][4],
                                           const WarpgroupOperand<TileB>& sB) {
  using T = typename TileB::T;
  constexpr int kWidth = 4 * OutColumns, kAtOnce = kWidth < 128 ? kWidth : 128;
  static_assert(kAtOnce == 64 || kAtOnce == 128);
  wgmma_fence();
#pragma unroll
  for (int k = 0; k < TileB::kRows / 16; ++k)
#pragma unroll
    for (int c = 0; c < kWidth; c += kAtOnce) {
      const std::uint64_t right = sB.descriptor + (k * 16 * std::uint64_t{TileB::kRowBytes} +
                                                   c / 64 * std::uint64_t{TileB::kPanelBytes}) /
                                                      16;
      if constexpr (kAtOnce == 64) wgmma_m64n64k16(rO[0] + c / 4, rO[1] + c / 4, rP[k], right, T{});
      if constexpr (kAtOnce == 128)
        wgmma_m64n128k16(rO[0] + c / 4, rO[1] + c / 4, rP[k], right, T{});
    }
  wgmma_commit_group();
}

/// Waits until all groups but the `Pending` latest are done, one of which had results in `x`.
template <int Pending, int Columns>
__device__ inline void wait_for_products(float (&x)[2][Columns]) {
  wgmma_wait_group<Pending>();
#pragma unroll
  for (int r = 0; r < 2; ++r)
#pragma unroll
    for (int c = 0; c < Columns; ++c) x[r][c] = opaque(x[r][c]);  // read after the wait
}

}  // namespace attend::cuda
