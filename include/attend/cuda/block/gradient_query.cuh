#pragma once

#include <cstdint>

#include "../../core/dtype.hpp"
#include "../../core/score_gradient.hpp"
#include "../../core/variant.hpp"

/// @file
/// What a tile of a backward pass knows of its queries, in shared memory.

namespace attend::cuda {

/// Which rows of scores a kernel takes. What both kinds give to a key's gradients is added up in
/// the gradients' own type, so each is rounded to it.
enum class RowKind {
  any,
  trusted,    ///< whose log-sum-exp is known as the forward pass gave it
  distrusted  ///< whose maximum and sum were taken anew, of dot products in order
};

/// Whether a row of half types is of that kind.
__device__ inline bool is_distrusted(const RowGradient<float>& row) {
  const float size = fabsf(row.shift);
  return row.factor < 1 || (size > static_cast<float>(kTrustedLse<F16>) && size < kInfinity<float>);
}

/// One query: what all of its pairs need, looked up once. A tile may have more queries than there
/// are; such a one sees no key, and the rest is the last query's, so that what is read for it is
/// there.
template <class V>
struct alignas(16) GradientQuery {
  using Real = typename V::Real;

  RowGradient<Real> state;    ///< of its row of scores
  KeyRange keys;              ///< that position lets it see
  std::int64_t position;      ///< among the keys
  std::uint64_t row_counter;  ///< where its dropout bits begin
  const bool* mask;           ///< of its key 0; null: no mask
  const Real* bias;           ///< of its key 0; null: no bias
  std::int64_t i;             ///< its number
  Real slope;                 ///< ALiBi's

  /// Looks up query i of head (b, h); one whose row is not of the kind sees no key, and where that
  /// is not looked at, as position lets it see all, none weighs anything for it.
  template <RowKind kind>
  __device__ void find(const Problem& problem, const V& variant,
                       const View<RowGradient<Real>, 3>& states, std::int64_t b, std::int64_t h,
                       std::int64_t wanted) {
    const bool exists = wanted < problem.len_q;
    i = exists ? wanted : problem.len_q - 1;
    const KeyBand band = variant.band(problem, b);
    state = exists ? states(b, h, i) : RowGradient<Real>{};
    bool taken = true;
    if constexpr (kind != RowKind::any)
      taken = is_distrusted(state) == (kind == RowKind::distrusted);
    if (!taken) state = {.shift = kInfinity<Real>};
    keys = exists && taken ? band.row(i) : KeyRange{};
    position = band.position(i);
    row_counter = variant.dropout.row_counter(problem, b, h, i);
    mask = variant.mask ? variant.mask.address(b, h, i) : nullptr;
    bias = variant.bias ? variant.bias.address(b, h, i) : nullptr;
    slope = variant.alibi ? variant.alibi(b, h) : Real{0};
  }
};

}  // namespace attend::cuda
