#pragma once

#include <cstdint>

#include "config.hpp"

/// @file
/// Which keys position alone (causal, window, key lengths) lets a query see: an interval per row,
/// monotone in the row, so that whole tiles are known to be outside, inside, or on the boundary.

namespace attend {

/// Keys begin <= j < end.
struct KeyRange {
  std::int64_t begin = 0;  ///< first key
  std::int64_t end = 0;    ///< one past the last

  /// Number of keys.
  ATTEND_HD constexpr std::int64_t size() const { return end > begin ? end - begin : 0; }
  /// No key at all.
  ATTEND_HD constexpr bool empty() const { return end <= begin; }
  /// Whether key j is one of them.
  ATTEND_HD constexpr bool contains(std::int64_t j) const { return begin <= j && j < end; }
};

/// a + b, held at the ends of the 64-bit range.
ATTEND_HD constexpr std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  constexpr std::int64_t kMax = INT64_MAX;
  constexpr std::int64_t kMin = INT64_MIN;
  if (b > 0 && a > kMax - b) return kMax;
  if (b < 0 && a < kMin - b) return kMin;
  return a + b;
}

/// Keys on both sides of a query's position that it may see; -1 is no bound.
struct Window {
  std::int64_t left = -1;   ///< keys before the position
  std::int64_t right = -1;  ///< keys after it
};

/// The keys that the queries of one batch element see by position: query i stands at `i + shift`
/// among the keys and sees `position - left <= j <= position + right`, of the first `length` keys.
class KeyBand {
 public:
  /// Sides of -1 are unbounded. Causal is a right side of 0.
  ATTEND_HD constexpr KeyBand(std::int64_t shift, std::int64_t length, Window sides)
      : shift_(shift), length_(length), sides_(sides) {}

  /// Where query i stands among the keys.
  ATTEND_HD constexpr std::int64_t position(std::int64_t i) const {
    return saturating_add(i, shift_);
  }
  /// Keys of this batch element.
  ATTEND_HD constexpr std::int64_t length() const { return length_; }

  /// Keys that query i sees.
  ATTEND_HD constexpr KeyRange row(std::int64_t i) const { return {first(i), last(i)}; }
  /// Keys that at least one of the queries i_begin <= i < i_end sees (where there are such
  /// queries).
  ATTEND_HD constexpr KeyRange any(std::int64_t i_begin, std::int64_t i_end) const {
    return {first(i_begin), last(i_end - 1)};
  }
  /// Keys that every one of the queries i_begin <= i < i_end sees: no need to look at positions
  /// there.
  ATTEND_HD constexpr KeyRange all(std::int64_t i_begin, std::int64_t i_end) const {
    return {first(i_end - 1), last(i_begin)};
  }

 private:
  ATTEND_HD constexpr std::int64_t first(std::int64_t i) const {
    if (sides_.left < 0) return 0;
    return clamped(saturating_add(position(i), -sides_.left));
  }
  ATTEND_HD constexpr std::int64_t last(std::int64_t i) const {
    if (sides_.right < 0) return length_;
    return clamped(saturating_add(saturating_add(position(i), sides_.right), 1));
  }
  ATTEND_HD constexpr std::int64_t clamped(std::int64_t j) const {
    return j < 0 ? 0 : j > length_ ? length_ : j;
  }

  std::int64_t shift_;
  std::int64_t length_;
  Window sides_;
};

}  // namespace attend
