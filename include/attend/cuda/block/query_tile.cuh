#pragma once

#include <cstdint>

#include "row.cuh"

/// @file
/// Which queries, keys and output columns a block works on.

namespace attend::cuda {

/// How the keys of a call are divided among blocks, where its queries alone are too few for a
/// device.
struct KeySplit {
  std::int64_t count = 1;   ///< parts; 1: not divided
  std::int64_t length = 0;  ///< keys of a part
};

/// The work of block blockIdx.x. All query heads that share a key and value head (GQA) share tiles:
/// row r of them is query r / group of head r % group in the group, so that keys and values are
/// read once for all, and the rows of a tile are neighbouring queries.
struct QueryTile {
  std::int64_t b;          ///< batch element
  std::int64_t h_kv;       ///< key and value head
  std::int64_t first_row;  ///< of the tile
  std::int64_t column;     ///< first column of the output
  std::int64_t split;      ///< part of the keys
  std::int64_t rows;       ///< of all tiles together

  /// Tiles of `tile_rows` rows and `width` output columns.
  __device__ QueryTile(const Problem& problem, int tile_rows, int width, const KeySplit& split_keys)
      : rows(problem.len_q * problem.group()) {
    const std::int64_t tiles = (rows + tile_rows - 1) / tile_rows;
    const std::int64_t columns = column_tiles(problem, width);
    std::int64_t n = blockIdx.x;
    column = n % columns * width;
    n /= columns;
    split = n % split_keys.count;
    n /= split_keys.count;
    first_row = (tiles - 1 - n % tiles) * tile_rows;  // the last, with causal the longest, first
    n /= tiles;
    h_kv = n % problem.heads_kv;
    b = n / problem.heads_kv;
  }
  /// Blocks for all of them.
  static std::int64_t count(const Problem& problem, int tile_rows, int width,
                            const KeySplit& split) {
    const std::int64_t tiles = (problem.len_q * problem.group() + tile_rows - 1) / tile_rows;
    return problem.batch * problem.heads_kv * tiles * column_tiles(problem, width) * split.count;
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
    const std::int64_t group = problem.group();
    return {problem, variant, b, h_kv * group + r % group, r / group};
  }

  /// Keys that some row sees, of this block's part of them; and those that all rows see.
  struct Keys {
    KeyRange any;
    KeyRange all;
  };
  /// Of a tile of `tile_rows` rows.
  template <class V>
  __device__ Keys keys(const Problem& problem, const V& variant, int tile_rows,
                       const KeySplit& split_keys) const {
    const KeyBand band = variant.band(problem, b);
    const std::int64_t end_row = first_row + tile_rows < rows ? first_row + tile_rows : rows;
    const std::int64_t i_begin = first_row / problem.group();
    const std::int64_t i_end = (end_row - 1) / problem.group() + 1;
    Keys keys{band.any(i_begin, i_end), band.all(i_begin, i_end)};
    if (split_keys.count > 1) {
      const std::int64_t begin = split * split_keys.length;
      const std::int64_t end = begin + split_keys.length;
      keys.any.begin = keys.any.begin < begin ? begin : keys.any.begin;
      keys.any.end = keys.any.end > end ? end : keys.any.end;
    }
    return keys;
  }
};

}  // namespace attend::cuda
