#pragma once

#include <cstdint>

#include "../core/variant.hpp"

/// @file
/// Where a tile of scores stands, and loops over it of which compilers can make vectors.

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

/// Lanes that a user's function is called for in one loop.
constexpr int kLanesAtOnce = 16;

/// Calls body(lane) for up to kLanesAtOnce lanes. That is the usual number and a constant, so that
/// compilers can make vectors of it.
template <class Body>
void for_each_lane(int lanes, const Body& body) {
  if (lanes >= kLanesAtOnce) {
    for (int lane = 0; lane < kLanesAtOnce; ++lane) body(lane);
  } else {
    for (int lane = 0; lane < lanes; ++lane) body(lane);
  }
}

/// Calls body(lane, index) for up to kLanesAtOnce lanes from r in row n of a tile. Lanes in a row
/// have indices that need no memory, and what depends on the head is the same for all.
template <class Body>
void for_each_index(const TilePlace& place, int r, std::int64_t n, const Body& body) {
  const Index first = place.at(r, n);
  if (place.in_a_row()) {
    for_each_lane(place.rows - r, [&](int lane) {
      body(lane, Index{first.b, first.h, first.i + lane, first.j});
    });
  } else {
    for_each_lane(place.rows - r, [&](int lane) { body(lane, place.at(r + lane, n)); });
  }
}

}  // namespace attend::cpu
