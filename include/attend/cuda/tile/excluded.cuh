#pragma once

#include <cstdint>

/// @file
/// The probability of an excluded key: -0. It weighs nothing in a product, and can be told from a
/// probability that became 0 (+0): with excluded keys nothing may be computed where the value is
/// NaN or infinite, with the others it must be.

namespace attend::cuda {

/// What stands for an excluded key among probabilities.
template <class Real>
inline constexpr Real kExcluded = -Real{0};

/// Whether a value that is not finite may meet an excluded key's weight, so that each has to be
/// looked at.
enum class Values { finite, any };

/// Whether the key is excluded.
__device__ inline bool is_excluded(float probability) {
  return __float_as_uint(probability) == 0x80000000u;
}
/// @copydoc is_excluded(float)
__device__ inline bool is_excluded(double probability) {
  return static_cast<std::uint64_t>(__double_as_longlong(probability)) == std::uint64_t{1} << 63;
}

}  // namespace attend::cuda
