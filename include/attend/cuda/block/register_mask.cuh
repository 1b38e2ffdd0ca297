#pragma once

#include <cstdint>

#include "../arch/opaque.cuh"
#include "../arch/warp.cuh"
#include "key_bits.cuh"
#include "mask_bits.hpp"

/// @file
/// What a mask says of a tile of scores that lies in registers.

namespace attend::cuda {

/// A mask's part of a tile, fetched ahead of its use: a word for each row.
template <class Engine>
class RegisterMask {
 public:
  using Bits = typename KeyBits<Engine>::Bits;
  using Rows = typename Engine::Rows;

  /// Of a tile's rows.
  __device__ RegisterMask(const MaskBits& mask, const Rows& rows) : mask_(mask), rows_(rows) {}

  /// Whether there is a mask.
  __device__ bool given() const { return static_cast<bool>(mask_); }

  /// Begins to read what `kept(first)` will be asked for next.
  __device__ void fetch(int first) {
    const int word = first / kMaskTileKeys * kMaskTileWords + opaque(lane()) % 4;
    const std::uint32_t* const words = rows_.mask_words + word * mask_.words.stride(3);
#pragma unroll
    for (int r = 0; r < Engine::kRows; ++r)
      words_[r] = words[rows_.row[Engine::row(r)].mask * std::uint64_t{kMaskTileWords}];
  }
  /// Nothing is to be read.
  __device__ void forget_fetched() {
    for (std::uint32_t& word : words_) forget(word);
  }

  /// A bit for each of the thread's scores of the tile of keys `first` and following: those that
  /// the mask keeps. They were fetched.
  __device__ Bits kept(int first) const {
    Bits kept = 0;
#pragma unroll
    for (int r = 0; r < Engine::kRows; ++r) {
      const std::uint32_t from_first = words_[r] >> first % kMaskTileKeys / 4;
      kept |= KeyBits<Engine>::of_row(r, from_first & KeyBits<Engine>::kRow);
    }
    return kept;
  }

 private:
  const MaskBits& mask_;
  const Rows& rows_;
  std::uint32_t words_[Engine::kRows];
};

}  // namespace attend::cuda
