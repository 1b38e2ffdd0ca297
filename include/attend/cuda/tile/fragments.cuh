#pragma once

#include <cstdint>

#include "../arch/ldmatrix.cuh"
#include "../arch/opaque.cuh"
#include "../arch/warp.cuh"
#include "half_tile.cuh"

/// @file
/// A warp's fragments of a tile for m16n8k16: the operands of 16 rows or columns at a time.

namespace attend::cuda {

/// Where a lane reads its rows' octets of a tile. A lane reads every other octet of rows that agree
/// in row % 8, whose octets are swizzled alike, so that its address for octets 2k and 2k + 1 is
/// that for octets 0 and 1 with bits of 2k flipped.
template <class Tile>
struct LaneOctets {
  std::uint32_t first;  ///< of octets 0, 1

  /// Lanes read `row`, and octet `half` (0 or 1) of each two.
  __device__ LaneOctets(const Tile& tile, int row, int half)
      : first(opaque(shared_address(&tile) + static_cast<std::uint32_t>(row) * Tile::kRowBytes +
                     static_cast<std::uint32_t>(half ^ Tile::flip(row)) * 16)) {}

  /// Octets 2k and 2k + 1 of the rows `rows` (a multiple of 8) further down.
  __device__ std::uint32_t address(int k, int rows = 0) const {
    constexpr std::uint32_t kTwos = Tile::kPanelPieces / 2;
    return (first ^ static_cast<std::uint32_t>(k) % kTwos * 32) +
           static_cast<std::uint32_t>(k) / kTwos * Tile::kPanelBytes +
           static_cast<std::uint32_t>(rows) * Tile::kRowBytes;
  }
};

/// The left operand: 16 rows from `row` on, of columns 16k to 16k + 15.
template <class Tile>
struct LeftOperand : LaneOctets<Tile> {
  __device__ LeftOperand(const Tile& tile, int row)
      : LaneOctets<Tile>(tile, row + lane() % 16, lane() / 16) {}
  /// Rows `rows` further down.
  __device__ void read(std::uint32_t (&a)[4], int k, int rows = 0) const {
    ldmatrix_x4(a, this->address(k, rows));
  }
};

/// The right operand of a product with the transpose (scores: keys are the result's columns): rows
/// 16n to 16n + 15 of the tile, of its columns 16k to 16k + 15. Registers 0, 1 are those of rows 0
/// to 7 and 2, 3 those of the next eight.
template <class Tile>
struct TransposedOperand : LaneOctets<Tile> {
  __device__ explicit TransposedOperand(const Tile& tile)
      : LaneOctets<Tile>(tile, lane() / 16 * 8 + lane() % 8, lane() / 8 % 2) {}
  /// Of rows 16n and following.
  __device__ void read(std::uint32_t (&b)[4], int n, int k) const {
    ldmatrix_x4(b, this->address(k, 16 * n));
  }
};

/// The right operand of a product (outputs: values are rows): rows 16k to 16k + 15 of the tile, its
/// columns 16n to 16n + 15. Registers 0, 1 are those of columns 0 to 7 and 2, 3 the next eight.
template <class Tile>
struct RightOperand : LaneOctets<Tile> {
  __device__ explicit RightOperand(const Tile& tile)
      : LaneOctets<Tile>(tile, lane() % 16, lane() / 16) {}
  /// Of columns 16n and following.
  __device__ void read(std::uint32_t (&b)[4], int n, int k) const {
    ldmatrix_x4_trans(b, this->address(n, 16 * k));
  }
};

}  // namespace attend::cuda
