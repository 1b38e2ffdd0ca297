#pragma once

/// @file
/// Which threads have neighbouring elements of a tile.

namespace attend::cuda {

/// Where four neighbouring rows or columns of a tile are, the first of them a multiple of four:
/// `lanes` lanes of a warp, `step` apart, have `each` of them. (The rest are another warp's.)
struct Fours {
  int lanes;
  int step;
  int each;
};

/// Of the result of products on tensor cores (m16n8k16).
inline constexpr Fours kFragmentRowFours{.lanes = 4, .step = 4, .each = 1};
/// @copydoc kFragmentRowFours
inline constexpr Fours kFragmentColumnFours{.lanes = 2, .step = 1, .each = 2};

}  // namespace attend::cuda
