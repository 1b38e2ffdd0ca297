#pragma once

#include <cstdint>

#include "../arch/warp.cuh"
#include "kept_keys.cuh"
#include "mask_bits.hpp"
#include "query_tile.cuh"

/// @file
/// What a block remembers of its rows, in shared memory: little of each, as the rest is arithmetic.
/// Keys are counted in 32 bits here.

namespace attend::cuda {

/// Keys that some row of several sees, and those that all of them see.
struct SeenKeys {
  int any_begin, any_end;
  int all_begin, all_end;

  /// Of no rows.
  static __device__ SeenKeys none() { return {INT32_MAX, 0, 0, INT32_MAX}; }
  /// Of one row, which sees the keys begin <= j < end.
  static __device__ SeenKeys of(int begin, int end) {
    return begin < end ? SeenKeys{begin, end, begin, end} : SeenKeys{INT32_MAX, 0, begin, end};
  }
  /// Of these rows and others.
  __device__ SeenKeys with(const SeenKeys& other) const {
    return {min(any_begin, other.any_begin), max(any_end, other.any_end),
            max(all_begin, other.all_begin), min(all_end, other.all_end)};
  }
  /// Of the rows of `Width` neighbouring lanes, the same in all of them.
  template <int Width>
  __device__ SeenKeys of_lanes() const {
    SeenKeys keys = *this;
    for (int mask = Width / 2; mask > 0; mask /= 2)
      keys = keys.with({shfl_xor(keys.any_begin, mask), shfl_xor(keys.any_end, mask),
                        shfl_xor(keys.all_begin, mask), shfl_xor(keys.all_end, mask)});
    return keys;
  }
  /// Where only keys begin <= j < end are looked at.
  __device__ SeenKeys within(int begin, int end) const {
    const SeenKeys keys{max(any_begin, begin), min(any_end, end), all_begin, all_end};
    return keys.any_begin < keys.any_end ? keys : SeenKeys{INT32_MAX, 0, all_begin, all_end};
  }

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
  int i, h;            ///< query, counted from the tile's first; query head, from the group's first
  int begin, end;      ///< keys that position lets it see
  std::uint32_t mask;  ///< where its words of the mask begin, counted from the tile's first row's
};

/// The tile of a block and its rows, `Warps` times `WarpRows`. Rows past the last are like the
/// last, so that what is looked up for them is there, but see no key.
template <int Warps, int WarpRows>
struct TileRows {
  static constexpr int kCount = Warps * WarpRows;
  QueryTile tile;
  int count;                        ///< of rows that there are
  std::int64_t shift;               ///< of positions against queries
  SeenKeys block;                   ///< of all rows
  SeenKeys warp[Warps];             ///< of each warp's rows
  KeptKeys kept;                    ///< that the mask leaves, if there is one
  const std::uint32_t* mask_words;  ///< of the first row, if there is a mask
  TileRow row[kCount];

  /// Looks everything up, of the n-th tile of those `width` columns wide. `Threads` threads do it,
  /// of which this one is the `thread`-th, and `sync` is their barrier. It is there after a
  /// barrier.
  template <int Threads, class V, class Sync>
  __device__ void find(const Problem& problem, const V& variant, const MaskBits& mask, int width,
                       const Division& work, unsigned n, int thread, Sync sync) {
    static_assert(Threads % kWarp == 0 && kCount % kWarp == 0);
    const QueryTile own(problem, kCount, width, work, n);
    const KeyBand band = variant.band(problem, own.b);
    int begin = 0, end = static_cast<int>(band.length());
    if (work.parts > 1) {
      begin = static_cast<int>(own.split * work.part_keys);
      end = static_cast<int>(min(begin + work.part_keys, band.length()));
    }
    const auto group = static_cast<unsigned>(own.group);
    const auto before = static_cast<unsigned>(own.first_row - own.first_i * own.group);
    const int last = static_cast<int>(min(own.rows - own.first_row, std::int64_t{kCount})) - 1;
    if (thread == 0) {
      tile = own, count = last + 1, shift = band.position(0);
      mask_words = mask.words.address(own.b, own.first_h, own.first_i);
    }
    for (int which = thread; which < kCount; which += Threads) {
      const auto r = before + static_cast<unsigned>(min(which, last));
      const KeyRange keys = band.row(own.first_i + r / group);
      TileRow of{static_cast<int>(r / group), static_cast<int>(r % group), 0, 0, 0};
      if (mask) of.mask = mask.row(static_cast<unsigned>(of.h), static_cast<unsigned>(of.i));
      SeenKeys seen = SeenKeys::none();
      if (which <= last) {
        of.begin = static_cast<int>(keys.begin), of.end = static_cast<int>(keys.end);
        seen = SeenKeys::of(of.begin, of.end);
      }
      row[which] = of;
      seen = seen.template of_lanes<WarpRows>();
      if (which % WarpRows == 0) warp[which / WarpRows] = seen.within(begin, end);
    }
    if (mask) {
      const unsigned last_i = (before + static_cast<unsigned>(last)) / group;
      kept.find<Threads>(mask, own, static_cast<int>(last_i) + 1, begin, end, thread);
    }
    sync();
    if (thread == 0) {
      SeenKeys all = warp[0];
      for (int other = 1; other < Warps; ++other) all = all.with(warp[other]);
      block = all;
      if (block.any_end == 0) block.any_begin = 0;  // what tiles are counted from
    }
  }
  /// Of the tile of block blockIdx.x, by all its threads.
  template <int Threads, class V>
  __device__ void find(const Problem& problem, const V& variant, const MaskBits& mask, int width,
                       const Division& work) {
    find<Threads>(problem, variant, mask, width, work, blockIdx.x, static_cast<int>(threadIdx.x),
                  [] { __syncthreads(); });
  }

  /// Whether some row of the n-th four warps sees keys.
  __device__ bool warpgroup_sees(int n) const {
    bool sees = false;
    for (int of = 4 * n; of < 4 * n + 4; ++of) sees = sees || warp[of].any_begin < warp[of].any_end;
    return sees;
  }

  /// Whether there is such a row.
  __device__ bool exists(int n) const { return n < count; }
  /// Whether it sees keys by position.
  __device__ bool sees(int n) const { return row[n].begin < row[n].end; }
  /// Batch element, query head and query of a row.
  __device__ Index index(int n) const {
    return {tile.b, tile.first_h + row[n].h, tile.first_i + row[n].i, 0};
  }
};

/// Where the rows of a tile begin in a tensor (b h i d).
template <class Rows, class T>
class RowsInTensor {
 public:
  /// Of that tensor.
  __device__ RowsInTensor(const Rows& rows, const View<T, 4>& tensor)
      : rows_(rows.row),
        count_(rows.count),
        tile_(tensor.data() + tensor.offset(rows.tile.b, rows.tile.first_h, rows.tile.first_i)),
        strides_{tensor.stride(1), tensor.stride(2)} {}

  /// Those from the n-th on.
  __device__ RowsInTensor from(int n) const {
    RowsInTensor rows = *this;
    rows.rows_ += n, rows.count_ -= n;
    return rows;
  }
  /// Whether there is an n-th.
  __device__ bool exists(int n) const { return n < count_; }
  /// Where it begins.
  __device__ T* address(int n) const {
    const auto h = static_cast<unsigned>(rows_[n].h), i = static_cast<unsigned>(rows_[n].i);
    return tile_ + h * strides_[0] + i * strides_[1];
  }

 private:
  const TileRow* rows_;
  int count_;
  T* tile_;
  std::int64_t strides_[2];
};

}  // namespace attend::cuda
