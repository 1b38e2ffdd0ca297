#pragma once

#include <cstdint>

#include "../arch/dot.cuh"
#include "key_bits.cuh"
#include "keys_of_rows.cuh"

/// @file
/// What a mask says of a tile of scores that lies in registers.

namespace attend::cuda {

/// A mask's part of a tile, fetched ahead of its use where the tiling says so.
template <class Engine>
class RegisterMask {
 public:
  using Bits = typename KeyBits<Engine>::Bits;
  using Rows = typename Engine::Rows;
  static constexpr int kRows = Engine::kRows;
  static constexpr int kFours = Engine::kColumns / 4;
  static constexpr bool kFetches = Engine::kTiling.ahead != FetchAhead::nothing;

  /// Of a tile's rows.
  __device__ RegisterMask(const View<const bool, 4>& mask, const Rows& rows) : mask_(mask, rows) {}

  /// Begins to read what `kept(first)` will be asked for next.
  __device__ void fetch(int first) {
    if constexpr (kFetches) {
      if (!mask_.come_in_fours(first)) return;
#pragma unroll
      for (int r = 0; r < kRows; ++r)
        if (r == 0 || !mask_.same_for_rows()) read(fours_[r], r, first);
    }
  }
  /// Nothing is to be read.
  __device__ void forget_fetched() {
    for (auto& row : fours_)
      for (std::uint32_t& four : row) forget(four);
  }

  /// A bit for each of the thread's scores of the tile of keys `first` and following: those that
  /// the mask keeps. They were fetched.
  __device__ Bits kept(int first) const {
    Bits kept = 0;
    const bool same = mask_.same_for_rows();
    if (mask_.come_in_fours(first)) {
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (r > 0 && same) continue;
        if constexpr (kFetches) {
          kept |= KeyBits<Engine>::of_row(r, row_bits(fours_[r]));
        } else {
          Fours fours;
          read(fours, r, first);
          kept |= KeyBits<Engine>::of_row(r, row_bits(fours));
        }
      }
    } else {
#pragma unroll 1
      for (int r = 0; r < (same ? 1 : kRows); ++r) {
        unsigned bits = 0;
        mask_.template each<4>(r, first,
                               [&](int c, bool keeps) { bits |= (keeps ? 1u : 0u) << c; });
        kept |= KeyBits<Engine>::of_row(r, bits);
      }
    }
    if (same)
#pragma unroll
      for (int r = 1; r < kRows; r *= 2) kept |= KeyBits<Engine>::of_row(r, kept);
    return kept;
  }

 private:
  using Fours = std::uint32_t[kFours];

  __device__ void read(Fours& fours, int r, int first) const {
    mask_.each_four(r, first, [&](int n, std::uint32_t four) { fours[n] = four; });
  }
  // A bit for each byte, which is 0 or 1.
  static __device__ unsigned row_bits(const Fours& fours) {
    static_assert(kFours % 2 == 0);
    unsigned bits = 0;
#pragma unroll
    for (int n = 0; n < kFours; n += 2)
      bits |= dp4a(fours[n + 1], 0x80402010, dp4a(fours[n], 0x08040201, 0)) << 4 * n;
    return bits;
  }

  KeysOfRows<Engine, bool> mask_;
  Fours fours_[kFetches ? kRows : 1];
};

}  // namespace attend::cuda
