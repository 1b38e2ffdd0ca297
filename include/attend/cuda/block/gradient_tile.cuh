#pragma once

#include <cstdint>

#include "gradient_row.cuh"

/// @file
/// Which queries and keys a block of a backward pass works on.

namespace attend::cuda {

/// The work of block blockIdx.x: a tile of one key and value head's queries or keys, and part of
/// its gradient's columns.
struct GradientBlock {
  std::int64_t b, h_kv;  ///< batch element, key and value head
  std::int64_t tile;     ///< which tile
  std::int64_t column;   ///< first column of the gradient

  /// `tiles` for each head, and blocks of `width` columns.
  __device__ GradientBlock(const Problem& problem, std::int64_t tiles, std::int64_t columns,
                           int width) {
    const std::int64_t across = (columns + width - 1) / width;
    std::int64_t n = blockIdx.x;
    column = n % across * width;
    n /= across;
    tile = n % tiles;
    n /= tiles;
    h_kv = n % problem.heads_kv;
    b = n / problem.heads_kv;
  }
  /// Blocks for all of them.
  static std::int64_t count(const Problem& problem, std::int64_t tiles, std::int64_t columns,
                            int width) {
    return problem.batch * problem.heads_kv * tiles * ((columns + width - 1) / width);
  }
};

/// Queries of neighbouring heads as the rows of one matrix: row r is query r / group of head
/// r % group, so that a tile's rows are neighbouring queries, and what is summed over heads (GQA)
/// is summed over rows.
struct QueryRows {
  std::int64_t b, first_head, group;  ///< heads first_head <= h < first_head + group

  /// How many.
  __device__ std::int64_t count(const Problem& problem) const { return problem.len_q * group; }

  /// Fills `Count` rows from `first` on, each thread of `Threads` some.
  template <int Threads, int Count, class V>
  __device__ void find(GradientRow<V>* to, const Problem& problem, const V& variant,
                       const View<RowGradient<typename V::Real>, 3>& states,
                       std::int64_t first) const {
    for (int n = static_cast<int>(threadIdx.x); n < Count; n += Threads) {
      const std::int64_t r = first + n;
      to[n] = r < count(problem)
                  ? GradientRow<V>(problem, variant,
                                   {problem, variant, b, first_head + r % group, r / group}, states)
                  : GradientRow<V>();
    }
  }

  /// Keys that some of a tile's rows see by position, and those that all see.
  struct Keys {
    KeyRange any;
    KeyRange all;

    /// Whether some row sees a key of j <= key < end.
    __device__ bool touch(std::int64_t j, std::int64_t end) const {
      return j < any.end && any.begin < end && !any.empty();
    }
    /// Whether every row sees all keys of j <= key < end.
    __device__ bool cover(std::int64_t j, std::int64_t end) const {
      return all.begin <= j && end <= all.end;
    }
  };
  /// Of `tile_rows` rows from `first` on, or as many as there are.
  template <class V>
  __device__ Keys keys(const Problem& problem, const V& variant, std::int64_t first,
                       int tile_rows) const {
    const KeyBand band = variant.band(problem, b);
    const std::int64_t end =
        first + tile_rows < count(problem) ? first + tile_rows : count(problem);
    const std::int64_t i_begin = first / group, i_end = (end - 1) / group + 1;
    return {band.any(i_begin, i_end), band.all(i_begin, i_end)};
  }
};

/// Where the rows of a tensor (b h i c) that belong to a tile's queries begin.
template <class T, class V>
__device__ auto rows_of(const GradientRow<V>* sQueries, const View<const T, 4>& tensor) {
  return [=](int n) -> const T* {
    const GradientRow<V>& row = sQueries[n];
    return row.exists() ? tensor.data() + tensor.offset(row.b, row.h, row.i) : nullptr;
  };
}

}  // namespace attend::cuda
