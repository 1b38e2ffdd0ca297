#pragma once

#include <cstdint>

#include "gradient_row.cuh"

/// @file
/// Which queries and keys a block of a backward pass works on.

namespace attend::cuda {

/// The work of block blockIdx.x: a tile of one head's queries or keys, and part of its gradient's
/// columns.
struct GradientBlock {
  std::int64_t b, h;    ///< batch element, head
  std::int64_t tile;    ///< which tile
  std::int64_t column;  ///< first column of the gradient

  /// `tiles` for each head, and blocks of `width` columns.
  __device__ GradientBlock(std::int64_t heads, std::int64_t tiles, std::int64_t columns,
                           int width) {
    const std::int64_t across = (columns + width - 1) / width;
    std::int64_t n = blockIdx.x;
    column = n % across * width;
    n /= across;
    tile = n % tiles;
    n /= tiles;
    h = n % heads;
    b = n / heads;
  }
  /// Blocks for all of them.
  static std::int64_t count(std::int64_t batch, std::int64_t heads, std::int64_t tiles,
                            std::int64_t columns, int width) {
    return batch * heads * tiles * ((columns + width - 1) / width);
  }
};

/// The queries of a head.
struct HeadQueries {
  std::int64_t b, h;  ///< batch element, query head

  /// Looks `Count` of them up, from `first` on, each thread of `Threads` some.
  template <int Threads, int Count, class V>
  __device__ void find(GradientRow<V>* to, const Problem& problem, const V& variant,
                       const View<RowGradient<typename V::Real>, 3>& states,
                       std::int64_t first) const {
    for (int n = static_cast<int>(threadIdx.x); n < Count; n += Threads)
      to[n] = first + n < problem.len_q
                  ? GradientRow<V>(problem, variant, {problem, variant, b, h, first + n}, states)
                  : GradientRow<V>();
  }

  /// Keys that some of a tile's queries see by position, and those that all see.
  struct Keys {
    KeyRange any;
    KeyRange all;

    /// Whether some query sees a key of j <= key < end.
    __device__ bool touch(std::int64_t j, std::int64_t end) const {
      return j < any.end && any.begin < end && !any.empty();
    }
    /// Whether every query sees all keys of j <= key < end.
    __device__ bool cover(std::int64_t j, std::int64_t end) const {
      return all.begin <= j && end <= all.end;
    }
  };
  /// Of `count` queries from `first` on, or as many as there are.
  template <class V>
  __device__ Keys keys(const Problem& problem, const V& variant, std::int64_t first,
                       int count) const {
    const KeyBand band = variant.band(problem, b);
    const std::int64_t end = first + count < problem.len_q ? first + count : problem.len_q;
    return {band.any(first, end), band.all(first, end)};
  }

  /// How much the user's function keeps of keys j <= key < end for `count` queries from `first` on,
  /// or as many as there are.
  template <class V>
  __device__ Coverage coverage(const Problem& problem, const V& variant, std::int64_t first,
                               int count, std::int64_t j, std::int64_t end) const {
    return variant.mask_mod.coverage({b, h, first,
                                      first + count < problem.len_q ? first + count : problem.len_q,
                                      j, end < problem.len_k ? end : problem.len_k});
  }
};

}  // namespace attend::cuda
