#pragma once

#include <cmath>
#include <cstdint>

#include "config.hpp"
#include "dtype.hpp"

/// @file
/// Elementary functions for a user's score function. The C library's are called for one number at a
/// time; of a loop that calls these compilers make vectors. On a device they are CUDA's.

namespace attend {

namespace numbers {
template <class Real, class Slope>
struct Dual;
}

/// What `tanh` and `exp` of a `Score` and of a `Dual` are computed by.
namespace elementary {

#if !defined(__CUDA_ARCH__)
/// The lesser of x and `most`, which is above 0; NaN for NaN. By their bits: a choice between
/// floats is control flow to g++, which then makes no vectors.
inline float at_most(float x, float most) {
  constexpr std::int32_t kInfinityBits = 0x7f800000;
  const auto bits = __builtin_bit_cast(std::int32_t, x);
  const auto limit = __builtin_bit_cast(std::int32_t, most);
  const std::int32_t if_nan = -static_cast<std::int32_t>(bits > kInfinityBits);
  return __builtin_bit_cast(float, (bits < limit ? bits : limit) | (bits & if_nan));
}

/// e^x as 2^n times 1 + rest, with an error below a unit in the last place; |x| is at most 2^21.
struct ReducedExp {
  std::int32_t n;  ///< x / ln 2, rounded
  float rest;      ///< e^(x - n ln 2) - 1

  /// Of x.
  explicit ReducedExp(float x) {
    constexpr float kRounds = 12582912;  // 1.5 2^23: a sum with it has no room for fractions
    const float shifted = x * kLog2E<float> + kRounds;
    const float whole = shifted - kRounds;
    // ln 2 in two parts, the first of few bits (Cody and Waite, 1980).
    const float r = x - whole * 0.693359375f - whole * -2.12194440e-4f;
    // Interpolates (e^r - 1 - r) / r^2 at Chebyshev points.
    float p = 1.39276847e-3f;
    p = p * r + 8.36438069e-3f;
    p = p * r + 4.16665454e-2f;
    p = p * r + 1.66665696e-1f;
    p = p * r + 0.5f;
    rest = p * r * r + r;
    n = __builtin_bit_cast(std::int32_t, shifted) - __builtin_bit_cast(std::int32_t, kRounds);
  }
};
/// 2^n, for -126 <= n <= 127.
inline float power_of_two(std::int32_t n) { return __builtin_bit_cast(float, (n + 127) << 23); }
#endif

/// e^x, with an error of at most 2 units in the last place; 0 for -infinity, NaN for NaN.
ATTEND_HD inline float exp(float x) {
#if defined(__CUDA_ARCH__)
  return ::expf(x);
#else
  const ReducedExp reduced(-at_most(-at_most(x, 89), 105));  // infinity, 0
  const std::int32_t half = reduced.n >> 1;                  // 2^n alone may be no float
  return (1 + reduced.rest) * power_of_two(half) * power_of_two(reduced.n - half);
#endif
}
/// The C library's.
ATTEND_HD inline double exp(double x) { return std::exp(x); }

/// tanh(x), with an error of at most 3 units in the last place; NaN for NaN.
ATTEND_HD inline float tanh(float x) {
#if defined(__CUDA_ARCH__)
  return ::tanhf(x);
#else
  const ReducedExp reduced(at_most(2 * std::fabs(x), 20));
  const float power = power_of_two(reduced.n);
  const float t = power * reduced.rest + (power - 1);  // e^2|x| - 1, exact near 0 too
  return std::copysign(t / (t + 2), x);
#endif
}
/// The C library's.
ATTEND_HD inline double tanh(double x) { return std::tanh(x); }

/// With its derivative.
template <class Real, class Slope>
ATTEND_HD numbers::Dual<Real, Slope> exp(numbers::Dual<Real, Slope> a) {
  const Real value = exp(a.value);
  return {value, value * a.slope};
}
/// With its derivative, 1 - tanh^2.
template <class Real, class Slope>
ATTEND_HD numbers::Dual<Real, Slope> tanh(numbers::Dual<Real, Slope> a) {
  const Real value = tanh(a.value);
  return {value, (1 - value * value) * a.slope};
}

}  // namespace elementary
}  // namespace attend
