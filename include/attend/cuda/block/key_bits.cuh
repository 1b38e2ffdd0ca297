#pragma once

#include <cstdint>
#include <type_traits>

#include "../arch/bits.cuh"
#include "../arch/warp.cuh"

/// @file
/// A bit for each of a thread's scores.

namespace attend::cuda {

/// Column c of row r is bit `r * kColumns + c`.
template <class Engine>
struct KeyBits {
  static constexpr int kRows = Engine::kRows;
  static constexpr int kColumns = Engine::kColumns;
  static_assert(kRows * kColumns <= 64, "one bit each");

  using Bits = std::conditional_t<kRows * kColumns <= 32, std::uint32_t, std::uint64_t>;
  /// The bits of all scores.
  static constexpr Bits kAll = static_cast<Bits>(~std::uint64_t{0} >> (64 - kRows * kColumns));

  /// Those of row 0.
  static constexpr Bits kRow = static_cast<Bits>(~std::uint64_t{0} >> (64 - kColumns));

  /// The bits of row r, given as those of row 0.
  static __device__ Bits of_row(int r, Bits bits) { return bits << (r * kColumns); }
  /// Whether the bit of row r's column c is set.
  static __device__ bool is_set(Bits bits, int r, int c) {
    return (bits >> (r * kColumns + c) & 1) != 0;
  }

  /// How many of a thread's keys lie before key `key`, counted from the tile's first (it may lie
  /// outside).
  static __device__ int keys_before(int key) {
    const int n = min(max(key, 0), Engine::kTileColumns);
    return n / 16 * 4 + min(max(n % 16 - lane() % 4 * 4, 0), 4);
  }
  /// Keys begin <= j < end, counted like that, of one row.
  static __device__ unsigned between(int begin, int end) {
    return ~bits_from(keys_before(end)) & bits_from(keys_before(begin));
  }
};

}  // namespace attend::cuda
