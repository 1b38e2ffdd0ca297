#pragma once

#include <cstdint>
#include <cstring>

#include "kernels.hpp"

/// @file
/// A mask's bytes as bits.

namespace attend::cpu {

/// The bits of up to 32 keys of a mask's row; true = keep.
inline std::uint32_t mask_word(const bool* mask, std::int64_t stride, std::int64_t count) {
  std::uint32_t word = 0;
  std::int64_t n = 0;
  if (stride == 1) {
    // Byte k (0 or 1) times 2^(56 - 7k) is bit k of the top byte.
    for (; n + 8 <= count; n += 8) {
      std::uint64_t eight;
      std::memcpy(&eight, mask + n, sizeof eight);
      word |= static_cast<std::uint32_t>(eight * 0x0102040810204080 >> 56) << n;
    }
  }
  for (; n < count; ++n) word |= std::uint32_t{mask[n * stride]} << n;
  return word;
}

/// Writes a word of bits for each 32 columns of each row, `skipped` elements from where it begins:
/// row r's lie at `words + r`, `width` apart.
using MaskWords = void (*)(const Rows<const bool>& mask, std::int64_t skipped, std::uint32_t* words,
                           std::int64_t width);

}  // namespace attend::cpu
