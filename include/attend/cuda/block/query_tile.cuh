#pragma once

#include <cstdint>

#include "row.cuh"

/// @file
/// Which queries, keys and output columns a block works on.

namespace attend::cuda {

/// How the work of a call is divided among blocks.
struct Division {
  std::int64_t parts = 1;      ///< of the keys, where queries alone are too few for a device
  std::int64_t part_keys = 0;  ///< keys of a part
  std::int64_t together = 1;   ///< batch elements whose tiles of the same queries are neighbours
};

/// a / b of no negative numbers, mostly by 32 bits, which takes a fraction of the time.
__device__ inline std::int64_t divided(std::int64_t a, std::int64_t b) {
  return (a | b) >> 32 == 0 ? std::int64_t{static_cast<unsigned>(a) / static_cast<unsigned>(b)}
                            : a / b;
}

/// The work of a block, numbered. All query heads that share a key and value head (GQA) share
/// tiles: row r of them is query r / group of head r % group in the group, so that keys and values
/// are read once for all, and the rows of a tile are neighbouring queries.
struct QueryTile {
  std::int64_t b;          ///< batch element
  std::int64_t h_kv;       ///< key and value head
  std::int64_t first_row;  ///< of the tile
  std::int64_t column;     ///< first column of the output
  std::int64_t split;      ///< part of the keys
  std::int64_t rows;       ///< of all tiles together
  std::int64_t group;      ///< query heads that share a key and value head
  std::int64_t first_h;    ///< first of them
  std::int64_t first_i;    ///< query of the first row

  /// The n-th of the tiles of `tile_rows` rows and `width` output columns.
  __device__ QueryTile(const Problem& problem, int tile_rows, int width, const Division& work,
                       unsigned n = blockIdx.x) {
    // No count exceeds that of blocks, which has 32 bits.
    const auto heads_kv = static_cast<unsigned>(problem.heads_kv);
    group = static_cast<unsigned>(problem.heads) / heads_kv;
    rows = problem.len_q * group;
    const auto tiles = static_cast<unsigned>((rows + tile_rows - 1) / tile_rows);
    const auto columns = static_cast<unsigned>(column_tiles(problem, width));
    const auto splits = static_cast<unsigned>(work.parts);
    const auto together = static_cast<unsigned>(work.together);
    column = std::int64_t{n % columns} * width;
    n /= columns;
    const unsigned neighbour = n % together;
    n /= together;
    split = n % splits;
    n /= splits;
    // The last, with causal the longest, first.
    first_row = std::int64_t{tiles - 1 - n % tiles} * tile_rows;
    n /= tiles;
    h_kv = n % heads_kv;
    b = n / heads_kv * together + neighbour;
    first_h = h_kv * group;
    first_i = divided(first_row, group);
  }
  /// Blocks for all of them.
  static std::int64_t count(const Problem& problem, int tile_rows, int width,
                            const Division& work) {
    const std::int64_t tiles = (problem.len_q * problem.group() + tile_rows - 1) / tile_rows;
    return problem.batch * problem.heads_kv * tiles * column_tiles(problem, width) * work.parts;
  }
  /// Tiles side by side. A row has a log-sum-exp even where its output has no columns.
  static ATTEND_HD std::int64_t column_tiles(const Problem& problem, int width) {
    return problem.head_dim_v == 0 ? 1 : (problem.head_dim_v + width - 1) / width;
  }

  /// The n-th row of the tile.
  template <class V>
  __device__ Row<V> row(const Problem& problem, const V& variant, int n) const {
    const std::int64_t r = first_row + n;
    if (r >= rows) return {};
    return {problem, variant, b, first_h + r % group, r / group};
  }

  /// Keys that some row sees, of this block's part of them; and those that all rows see.
  struct Keys {
    KeyRange any;
    KeyRange all;

    /// Whether position alone excludes none of `count` keys from j on, from any row.
    __device__ bool cover(std::int64_t j, int count) const {
      return all.begin <= j && j + count <= all.end && any.begin <= j && j + count <= any.end;
    }
  };
  /// Of `count` rows from the tile's n-th on; there may be fewer, or none.
  template <class V>
  __device__ Keys keys(const Problem& problem, const V& variant, int n, int count,
                       const Division& work) const {
    const std::int64_t begin_row = first_row + n;
    if (begin_row >= rows) return {};
    const KeyBand band = variant.band(problem, b);
    const std::int64_t end_row = begin_row + count < rows ? begin_row + count : rows;
    const std::int64_t i_begin = begin_row / group;
    const std::int64_t i_end = (end_row - 1) / group + 1;
    Keys keys{band.any(i_begin, i_end), band.all(i_begin, i_end)};
    if (work.parts > 1) {
      const std::int64_t begin = split * work.part_keys;
      const std::int64_t end = begin + work.part_keys;
      keys.any.begin = keys.any.begin < begin ? begin : keys.any.begin;
      keys.any.end = keys.any.end > end ? end : keys.any.end;
    }
    return keys;
  }

  /// How much the user's function keeps of keys j <= key < end, which there are, for `count` rows
  /// from the tile's n-th on; there may be fewer.
  template <class V>
  __device__ Coverage coverage(const V& variant, int n, int count, std::int64_t j,
                               std::int64_t end) const {
    if constexpr (!V::kHasMaskMod) return Coverage::all;
    const std::int64_t begin_row = first_row + n;
    if (begin_row >= rows) return Coverage::none;
    const std::int64_t end_row = begin_row + count < rows ? begin_row + count : rows;
    IndexBlock block{b, first_h, begin_row / group, (end_row - 1) / group + 1, j, end};
    Coverage kept = variant.mask_mod.coverage(block);
    for (std::int64_t h = 1; h < group && kept != Coverage::some; ++h) {
      block.h = first_h + h;
      if (variant.mask_mod.coverage(block) != kept) kept = Coverage::some;
    }
    return kept;
  }
};

}  // namespace attend::cuda
