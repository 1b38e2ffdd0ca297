#pragma once

#include <cstdint>

#include "flash_tiling.hpp"
#include "gradient_query.cuh"
#include "mask_bits.hpp"

/// @file
/// Which queries and keys a block of a backward pass works on.

namespace attend::cuda {

/// The work of a block, by default of blockIdx.x: a tile of one head's queries or keys, and part of
/// its gradient's columns.
struct GradientBlock {
  std::int64_t b, h;    ///< batch element, head
  std::int64_t tile;    ///< which tile
  std::int64_t column;  ///< first column of the gradient

  /// The n-th of `tiles` for each head, and blocks of `width` columns.
  __device__ GradientBlock(std::int64_t heads, std::int64_t tiles, std::int64_t columns, int width,
                           std::int64_t n = blockIdx.x) {
    const std::int64_t across = (columns + width - 1) / width;
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

  /// Looks `Count` of them up, from `first` on, each thread of `Threads` some; rows of one kind.
  template <int Threads, int Count, RowKind kind, class V>
  __device__ void find(GradientQuery<V>* to, const Problem& problem, const V& variant,
                       const View<RowGradient<typename V::Real>, 3>& states,
                       std::int64_t first) const {
    for (int n = static_cast<int>(threadIdx.x); n < Count; n += Threads)
      to[n].template find<kind>(problem, variant, states, b, h, first + n);
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
  /// Of `count` queries from `first` on. Those that there are not see none.
  template <class V>
  __device__ Keys keys(const Problem& problem, const V& variant, std::int64_t first,
                       int count) const {
    const KeyBand band = variant.band(problem, b);
    const std::int64_t end = first + count;
    if (end > problem.len_q) return {band.any(first, problem.len_q), KeyRange{}};
    return {band.any(first, end), band.all(first, end)};
  }

  /// How much the user's function keeps of keys j <= key < end for `count` queries from `first` on,
  /// or as many of both as there are: it is not asked where there are none.
  template <class V>
  __device__ Coverage coverage(const Problem& problem, const V& variant, std::int64_t first,
                               int count, std::int64_t j, std::int64_t end) const {
    if (V::kHasMaskMod && (first >= problem.len_q || j >= problem.len_k)) return Coverage::none;
    return variant.mask_mod.coverage({b, h, first,
                                      first + count < problem.len_q ? first + count : problem.len_q,
                                      j, end < problem.len_k ? end : problem.len_k});
  }
  /// Whether the mask hides all of those.
  __device__ bool masks(const Problem& problem, const MaskBits& mask, std::int64_t first, int count,
                        std::int64_t j, std::int64_t end) const {
    return mask &&
           mask.hides(b, h, first, min(first + count, problem.len_q), j, min(end, problem.len_k));
  }
  /// Whether mask or function exclude all of those.
  template <class V>
  __device__ bool hides(const Problem& problem, const V& variant, const MaskBits& mask,
                        std::int64_t first, int count, std::int64_t j, std::int64_t end) const {
    return masks(problem, mask, first, count, j, end) ||
           (V::kHasMaskMod && coverage(problem, variant, first, count, j, end) == Coverage::none);
  }
};

/// Tiles of `Columns` keys, one after the other, without those that the mask or the user's function
/// excludes for all of a block's `Rows` queries. (Kernels for products take neither.)
template <class V, FlashScores scores, int Rows, int Columns>
class SeenKeyTile {
 public:
  std::int64_t j, end;  ///< the tile's first key, the end of all

  /// The first tile of `keys`, which the queries `first` and following of a head see.
  __device__ SeenKeyTile(const Problem& problem, const V& variant, const MaskBits& mask,
                         const HeadQueries& head, const std::int64_t& first, const KeyRange& keys)
      : j(keys.begin / Columns * Columns),
        end(keys.end),
        problem_(problem),
        variant_(variant),
        mask_(mask),
        head_(head),
        first_(first) {
    skip();
  }

  /// Whether there is such a tile.
  __device__ bool exists() const { return j < end; }
  /// Which it is: its first key.
  __device__ std::int64_t mark() const { return j; }
  /// The one after it.
  __device__ SeenKeyTile next() const {
    SeenKeyTile other = *this;
    other.j += Columns;
    other.skip();
    return other;
  }
  /// Goes on to that one.
  __device__ SeenKeyTile& operator=(const SeenKeyTile& other) {
    j = other.j;
    return *this;
  }

 private:
  __device__ void skip() {
    if constexpr (scores != FlashScores::products)
      while (exists() && head_.hides(problem_, variant_, mask_, first_, Rows, j, j + Columns))
        j += Columns;
  }

  const Problem& problem_;
  const V& variant_;
  const MaskBits& mask_;
  const HeadQueries& head_;
  const std::int64_t& first_;
};

/// Tiles of `count` queries, of all heads that share a key and value head, of which some query sees
/// one of a block's keys. Registers are short: what the block is about is looked up.
template <class V>
class SeeingQueries {
 public:
  std::int64_t i = 0;  ///< the tile's first query

  /// What tiles are sought for.
  struct Sought {
    std::int64_t b;           ///< batch element
    std::int64_t h_kv;        ///< key and value head
    std::int64_t begin, end;  ///< keys
    int count;                ///< queries of a tile
  };

  /// The first that sees one of the keys.
  __device__ SeeingQueries(const Problem& problem, const V& variant, const MaskBits& mask,
                           const Sought& sought)
      : problem_(problem),
        variant_(variant),
        mask_(mask),
        sought_(sought),
        left_(problem.len_q == 0 ? 0 : static_cast<int>(problem.group())) {
    skip();
  }

  /// Whether there is such a tile.
  __device__ bool exists() const { return left_ > 0; }
  /// The one after it.
  __device__ SeeingQueries next() const {
    SeeingQueries other = *this;
    other.step();
    other.skip();
    return other;
  }
  /// Goes on to that one.
  __device__ SeeingQueries& operator=(const SeeingQueries& other) {
    i = other.i, left_ = other.left_;
    return *this;
  }
  /// Its head.
  __device__ HeadQueries head() const {
    return {sought_.b, (sought_.h_kv + 1) * problem_.group() - left_};
  }
  /// Keys that its queries see.
  __device__ HeadQueries::Keys keys() const {
    return head().keys(problem_, variant_, i, sought_.count);
  }
  /// How much the user's function keeps of some keys for its queries.
  __device__ Coverage coverage(std::int64_t j, std::int64_t end) const {
    return head().coverage(problem_, variant_, i, sought_.count, j, end);
  }

 private:
  __device__ void step() {
    i += sought_.count;
    if (i >= problem_.len_q) i = 0, --left_;
  }
  __device__ void skip() {
    // The mean over all keys is every key's affair.
    while (exists() && variant_.empty_row != EmptyRow::uniform &&
           (!keys().touch(sought_.begin, sought_.end) || is_hidden()))
      step();
  }
  __device__ bool is_hidden() const {
    if (!V::kHasMaskMod && !mask_) return false;
    return head().hides(problem_, variant_, mask_, i, sought_.count, sought_.begin, sought_.end);
  }

  const Problem& problem_;
  const V& variant_;
  const MaskBits& mask_;
  const Sought& sought_;
  int left_;  // heads, this one included
};

}  // namespace attend::cuda
