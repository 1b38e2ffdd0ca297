#pragma once

#include <cstdint>

#include "../../core/variant.hpp"

/// @file
/// One row of scores: what a variant says of its keys.

namespace attend::cuda {

/// Row (b, h, i) of the scores.
template <class V>
struct Row {
  using Real = typename V::Real;

  std::int64_t b, h, i;       ///< which; i is -1 where a tile has more rows than there are
  std::int64_t position;      ///< of the query among the keys
  KeyRange keys;              ///< those that position lets it see
  std::uint64_t row_counter;  ///< where its dropout bits begin

  /// No row: it sees no key.
  __device__ Row() : b(0), h(0), i(-1), position(0), row_counter(0) {}
  /// Looks it up.
  __device__ Row(const Problem& problem, const V& variant, std::int64_t b, std::int64_t h,
                 std::int64_t i)
      : b(b), h(h), i(i), row_counter(variant.dropout.row_counter(problem, b, h, i)) {
    const KeyBand band = variant.band(problem, b);
    position = band.position(i);
    keys = band.row(i);
  }

  /// Whether there is such a row.
  __device__ bool exists() const { return i >= 0; }
  /// Whether key j is allowed but for the user's function.
  __device__ bool tensors_allow(const V& variant, std::int64_t j) const {
    return keys.contains(j) && variant.tensors_allow({b, h, i, j});
  }
  /// Whether key j is allowed.
  __device__ bool allows(const V& variant, std::int64_t j) const {
    return keys.contains(j) && variant.allows({b, h, i, j});
  }
  /// The logit of an allowed key from its dot product.
  __device__ Real logit(const V& variant, Real dot, std::int64_t j) const {
    return variant.logit(dot, {b, h, i, j}, position);
  }
  /// What dropout multiplies key j's probability by.
  __device__ Real dropout_factor(const V& variant, std::int64_t j) const {
    if (!variant.dropout.active()) return 1;
    return static_cast<Real>(variant.dropout.factor(row_counter, j));
  }
};

}  // namespace attend::cuda
