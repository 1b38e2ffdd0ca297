#pragma once

#include <cstdint>

#include "../core/variant.hpp"

/// @file
/// Where a tile of scores stands.

namespace attend::cpu {

/// Where a tile of scores stands: lane r is query `query[r]` of head `head[r]`, row n is key
/// `first_key + n`.
struct TilePlace {
  std::int64_t b;             ///< batch element
  const std::int64_t* head;   ///< query head of each lane
  const std::int64_t* query;  ///< query of each lane
  int rows;                   ///< lanes that are queries
  std::int64_t width;         ///< lanes, padding included
  std::int64_t first_key;     ///< key of row 0
  std::int64_t keys;          ///< keys

  /// The score in lane r and row n.
  Index at(int r, std::int64_t n) const { return {b, head[r], query[r], first_key + n}; }
  /// Whether the lanes are queries of one head in a row.
  bool in_a_row() const {
    const int last = rows - 1;
    return head[0] == head[last] && query[last] - query[0] == last;
  }
  /// The word that has bit n % 32 for lane r and row n.
  std::int64_t word(int r, std::int64_t n) const { return n / 32 * width + r; }
};

}  // namespace attend::cpu
