// What the library has built in, as a user would write it in functions of one's own.
#pragma once

#include <attend/attend.hpp>
#include <cstdlib>
#include <type_traits>

#include "row.hpp"

namespace bench {

/// Causal: key j is allowed for query i where j <= i, for as many queries as keys.
struct CausalMask {
  bool operator()(attend::Index at) const { return at.j <= at.i; }
  attend::Coverage coverage(const attend::IndexBlock& block) const {
    if (block.j_end <= block.i_begin + 1) return attend::Coverage::all;
    return block.j_begin < block.i_end ? attend::Coverage::some : attend::Coverage::none;
  }
};

/// The softcap of all rows that have one.
inline constexpr float kSoftcap = 30;

/// Returns compute(functions...) with those that do what a row asks for, none if it asks for no
/// functions. For f32 alone, which all rows with functions are: each set is one more instance.
template <class T, class Compute>
auto with_functions(const Row& row, const float* slopes, const Compute& compute) {
  if constexpr (std::is_same_v<T, float>) {
    if (row.functions && row.causal) return compute(attend::mask_mod(CausalMask{}));
    if (row.functions && row.extra == Extra::softcap)
      return compute(
          attend::score_mod([](auto s, attend::Index) { return kSoftcap * tanh(s / kSoftcap); }));
    if (row.functions && row.extra == Extra::alibi)
      return compute(attend::score_mod([slopes](auto s, attend::Index at) {
        return s - slopes[at.h] * static_cast<float>(std::abs(at.i - at.j));
      }));
  }
  return compute();
}

}  // namespace bench
