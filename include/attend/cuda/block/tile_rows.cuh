#pragma once

#include <cstdint>

#include "query_tile.cuh"

/// @file
/// What a block remembers of its rows, in shared memory: little of each, as the rest is arithmetic.
/// Keys are counted in 32 bits here.

namespace attend::cuda {

/// Keys that some row of several sees, and those that all of them see.
struct SeenKeys {
  int any_begin, any_end;
  int all_begin, all_end;

  /// In 32 bits.
  __device__ SeenKeys(const QueryTile::Keys& keys)
      : any_begin(static_cast<int>(keys.any.begin)),
        any_end(static_cast<int>(keys.any.end)),
        all_begin(static_cast<int>(keys.all.begin)),
        all_end(static_cast<int>(keys.all.end)) {}

  /// Whether some row sees one of `count` keys from j on.
  __device__ bool touch(int j, int count) const {
    return any_begin < any_end && any_begin < j + count && j < any_end;
  }
  /// Whether position excludes none of them, from any row.
  __device__ bool cover(int j, int count) const {
    return all_begin <= j && j + count <= all_end && any_begin <= j && j + count <= any_end;
  }
};

/// One row of a tile.
struct TileRow {
  int i, h;        ///< query, counted from the tile's first; query head, from the group's first
  int begin, end;  ///< keys that position lets it see
};

/// The tile of a block and its rows, `Warps` times `WarpRows`. Rows past the last are like the
/// last, so that what is looked up for them is there, but see no key.
template <int Warps, int WarpRows>
struct TileRows {
  static constexpr int kCount = Warps * WarpRows;
  QueryTile tile;
  SeenKeys block;        ///< of all rows
  SeenKeys warp[Warps];  ///< of each warp's rows
  TileRow row[kCount];

  /// Looks everything up. It is there after a barrier.
  template <class V>
  __device__ void find(const Problem& problem, const V& variant, const KeySplit& split) {
    const int thread = static_cast<int>(threadIdx.x);
    if (thread == 0) tile = QueryTile(problem, kCount, /*width=*/0, split);
    __syncthreads();
    if (thread == 0) block = tile.keys(problem, variant, 0, kCount, split);
    if (thread < Warps)
      warp[thread] = tile.keys(problem, variant, thread * WarpRows, WarpRows, split);
    const KeyBand band = variant.band(problem, tile.b);
    const auto group = static_cast<unsigned>(tile.group);
    const auto before = static_cast<unsigned>(tile.first_row - tile.first_i * tile.group);
    for (int n = thread; n < kCount; n += Warps * kWarp) {
      const int last = static_cast<int>(tile.rows - tile.first_row) - 1;
      const auto r = before + static_cast<unsigned>(exists(n) ? n : last);
      const KeyRange keys = band.row(tile.first_i + r / group);
      row[n] = {static_cast<int>(r / group), static_cast<int>(r % group), 0, 0};
      if (exists(n))
        row[n].begin = static_cast<int>(keys.begin), row[n].end = static_cast<int>(keys.end);
    }
  }

  /// Whether there is such a row.
  __device__ bool exists(int n) const { return tile.first_row + n < tile.rows; }
  /// Batch element, query head and query of a row.
  __device__ Index index(int n) const {
    return {tile.b, tile.first_h + row[n].h, tile.first_i + row[n].i, 0};
  }
};

/// Where the rows of a tile begin in a tensor (b h i d).
template <class Rows, class T>
struct RowsInTensor {
  const Rows& rows;
  const View<const T, 4>& tensor;
  int first = 0;

  /// Those from the n-th on.
  __device__ RowsInTensor from(int n) const { return {rows, tensor, first + n}; }
  /// Whether there is an n-th.
  __device__ bool exists(int n) const { return rows.exists(first + n); }
  /// Where it begins.
  __device__ const T* address(int n) const {
    const Index at = rows.index(first + n);
    return tensor.data() + tensor.offset(at.b, at.h, at.i);
  }
};

}  // namespace attend::cuda
