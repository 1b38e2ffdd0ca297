#pragma once

#include <cstdint>

#include "../../core/view.hpp"

/// @file
/// A mask as kernels take it: a bit for each key, in the order of registers, and which of its tiles
/// are empty.

namespace attend::cuda {

/// Queries and keys of a tile of a mask.
inline constexpr int kMaskTileRows = 64, kMaskTileKeys = 128;
/// Words of a row of a tile.
inline constexpr int kMaskTileWords = kMaskTileKeys / 32;

/// A mask in words and in tiles, broadcast as it is itself. Null: there is no mask. Backward passes
/// have no words.
struct MaskBits {
  /// (b h i w). Of the keys of a tile the four lanes that share a row of scores have a word each,
  /// whose bits are the lane's keys in order: four neighbours of every sixteen (see
  /// `FlashPart::key`). A mask that says the same of all keys has one word for a row.
  View<const std::uint32_t, 4> words;
  /// (b h m n). Whether any bit is set in a tile.
  View<const bool, 4> tiles;

  /// Where the words of a row begin, counted from those of row (0, 0), in words of a tile: of the
  /// heads of a group 32 bits are enough for 64 GiB.
  ATTEND_HD std::uint32_t row(std::int64_t h, std::int64_t i) const {
    return static_cast<std::uint32_t>((h * words.stride(1) + i * words.stride(2)) / kMaskTileWords);
  }
  /// Whether it hides all keys j <= key < j_end from all queries i <= query < i_end of a head: of
  /// both there are some, and there is a mask.
  ATTEND_HD bool hides(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t i_end,
                       std::int64_t j, std::int64_t j_end) const {
    for (std::int64_t m = i / kMaskTileRows; m * kMaskTileRows < i_end; ++m)
      for (std::int64_t n = j / kMaskTileKeys; n * kMaskTileKeys < j_end; ++n)
        if (tiles(b, h, m, n)) return false;
    return true;
  }
  /// Whether there is a mask.
  ATTEND_HD explicit operator bool() const { return static_cast<bool>(tiles); }
};

}  // namespace attend::cuda
