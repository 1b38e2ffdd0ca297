#pragma once

#include <cstdint>

#include "../arch/warp.cuh"
#include "gradient_tile.cuh"

/// @file
/// Tiles of queries that see some of a block's keys, where position alone excludes: one run of them
/// in each head, found once.

namespace attend::cuda {

/// What is known of a block's keys, and of the queries that see them, counted in 32 bits.
struct SeeingSpan {
  std::int64_t b, h_kv;     ///< batch element, key and value head
  std::int64_t begin, end;  ///< keys
  std::int64_t h_end;       ///< one past the last query head
  int heads;                ///< how many there are
  int any_begin, any_end;   ///< queries that see some of the keys lie between
  int all_begin, all_end;   ///< those between see all
  KeyBand band;             ///< what queries see

  /// Looks for them, for tiles of `count` queries.
  template <class V>
  __device__ void find(const Problem& problem, const V& variant, const GradientBlock& block,
                       int rows, int count) {
    b = block.b, h_kv = block.h;
    begin = block.tile * rows;
    end = min(begin + rows, problem.len_k);
    band = variant.band(problem, b);
    const auto after = [&](std::int64_t key) {  // the first query that sees keys after it
      return first_query(problem.len_q, [&](std::int64_t i) { return band.row(i).end > key; });
    };
    const auto past = [&](std::int64_t key) {  // the first that doesn't see it any more
      return first_query(problem.len_q, [&](std::int64_t i) { return band.row(i).begin > key; });
    };
    any_begin = after(begin) / count * count, any_end = past(end - 1);
    all_begin = after(end - 1), all_end = past(begin);
    heads = any_begin < any_end ? static_cast<int>(problem.group()) : 0;
    h_end = (block.h + 1) * problem.group();
  }

  /// Whether all queries that see some of the keys see all.
  __device__ bool within() const { return all_begin <= any_begin && any_end <= all_end; }

 private:
  // The first query of which a condition is true that stays true; one past the last if none.
  template <class Condition>
  static __device__ int first_query(std::int64_t count, Condition condition) {
    int begin = 0, end = static_cast<int>(count);
    while (begin < end) {
      const int middle = begin + (end - begin) / 2;
      if (condition(middle))
        end = middle;
      else
        begin = middle + 1;
    }
    return begin;
  }
};

/// Those tiles, of `Count` queries, of all heads that share a key and value head.
template <int Count>
class SpannedQueries {
 public:
  int i;  ///< the tile's first query

  /// The first.
  __device__ explicit SpannedQueries(const SeeingSpan& span)
      : i(of_warp(span.any_begin)), span_(span), left_(of_warp(span.heads)) {}

  /// Whether there is such a tile.
  __device__ bool exists() const { return left_ > 0; }
  /// The one after it.
  __device__ SpannedQueries next() const {
    SpannedQueries other = *this;
    other.i += Count;
    if (other.i >= of_warp(span_.any_end)) other.i = of_warp(span_.any_begin), --other.left_;
    return other;
  }
  /// Goes on to that one.
  __device__ SpannedQueries& operator=(const SpannedQueries& other) {
    i = other.i, left_ = other.left_;
    return *this;
  }
  /// Its head.
  __device__ HeadQueries head() const { return {span_.b, span_.h_end - left_}; }
  /// Nothing has to be known of it but what lies in shared memory.
  struct Mark {};
  __device__ Mark mark() const { return {}; }
  /// Whether all its queries see all the keys; not where it has more of them than there are.
  __device__ bool within() const { return span_.all_begin <= i && i + Count <= span_.all_end; }

 private:
  const SeeingSpan& span_;
  int left_;  // heads, this one included
};

}  // namespace attend::cuda
