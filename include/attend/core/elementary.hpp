#pragma once

#include <cmath>
#include <cstdint>

#include "config.hpp"

/// @file
/// Elementary functions for a user's score function. The C library's are called for one number at a
/// time; of a loop that calls these compilers make vectors (of `tanh` g++ only where instructions
/// take masks, as AVX-512's do). On a device they are CUDA's.

namespace attend {

namespace numbers {
template <class Real, class Slope>
struct Dual;
}

/// What `tanh` and `exp` of a `Score` and of a `Dual` are computed by.
namespace elementary {

/// (tanh(x) / x - 1) / x^2 as a polynomial in x^2 for |x| < 0.625, highest power first (Cephes
/// tanhf).
inline constexpr float kTanhNearZero[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f,
                                          1.33314422036e-1f, -3.33332819422e-1f};

#if !defined(__CUDA_ARCH__)
/// e^x as 2^n times a factor, with an error below a unit in the last place; |x| is at most 2^21.
struct ReducedExp {
  std::int32_t n;  ///< x / ln 2, rounded
  float factor;    ///< e^(x - n ln 2)

  /// Of x.
  explicit ReducedExp(float x) {
    constexpr float kRounds = 12582912;  // 1.5 2^23: a sum with it has no room for fractions
    const float shifted = x * 1.44269504f + kRounds;
    const float whole = shifted - kRounds;
    // ln 2 in two parts, the first of few bits (Cody and Waite, 1980).
    const float r = x - whole * 0.693359375f - whole * -2.12194440e-4f;
    // Interpolates (e^r - 1 - r) / r^2 at Chebyshev points.
    float p = 1.39276847e-3f;
    p = p * r + 8.36438069e-3f;
    p = p * r + 4.16665454e-2f;
    p = p * r + 1.66665696e-1f;
    p = p * r + 0.5f;
    factor = p * r * r + r + 1;
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
  x = x > 89 ? 89.f : x;      // infinity
  x = x < -105 ? -105.f : x;  // 0
  const ReducedExp reduced(x);
  const std::int32_t half = reduced.n >> 1;  // 2^n alone may be no float
  return reduced.factor * power_of_two(half) * power_of_two(reduced.n - half);
#endif
}
/// The C library's.
ATTEND_HD inline double exp(double x) { return std::exp(x); }

/// tanh(x), with an error of at most 2 units in the last place; NaN for NaN.
ATTEND_HD inline float tanh(float x) {
#if defined(__CUDA_ARCH__)
  return ::tanhf(x);
#else
  const float size = std::fabs(x);
  const ReducedExp reduced(20 < 2 * size ? 20 : 2 * size);
  const float far = 1 - 2 / (reduced.factor * power_of_two(reduced.n) + 1);
  const float z = x * x;
  float p = kTanhNearZero[0];
  p = p * z + kTanhNearZero[1];
  p = p * z + kTanhNearZero[2];
  p = p * z + kTanhNearZero[3];
  p = p * z + kTanhNearZero[4];
  return size < 0.625f ? p * z * x + x : std::copysign(far, x);
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
