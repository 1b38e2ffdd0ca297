#pragma once

#include "gpu/ops/numbers.hpp"

namespace gpu::ops {

/// 8-bit floating point (Micikevicius et al. 2022): e4m3 (no infinities, largest 448) or e5m2.
inline float from_fp8(u8 bits, bool e4m3) {
  const int mantissa = e4m3 ? 3 : 2;
  const int bias = e4m3 ? 7 : 15;
  const int exponent = (bits & 0x7F) >> mantissa;
  const int fraction = bits & ((1 << mantissa) - 1);
  const bool negative = (bits & 0x80) != 0;
  float x = 0;
  if (e4m3 ? (bits & 0x7F) == 0x7F : exponent == 31 && fraction != 0) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  if (!e4m3 && exponent == 31) {
    x = std::numeric_limits<float>::infinity();
  } else if (exponent == 0) {
    x = std::ldexp(static_cast<float>(fraction), 1 - bias - mantissa);
  } else {
    x = std::ldexp(static_cast<float>(fraction + (1 << mantissa)), exponent - bias - mantissa);
  }
  return negative ? -x : x;
}

/// Rounds to nearest even; too large becomes the largest finite number (.satfinite).
inline u8 to_fp8(float x, bool e4m3) {
  const u8 sign = std::signbit(x) ? 0x80 : 0;
  if (x != x) return e4m3 ? 0x7F : 0x7F;
  const Format format = e4m3 ? Format{3, -6, 8} : Format{2, -14, 15};
  const double largest = e4m3 ? 448.0 : 57344.0;
  double rounded = std::fabs(
      round_to(double{x}, Format{format.mantissa, format.min_exponent, 20}, Rounding::nearest));
  if (rounded > largest) rounded = largest;
  if (rounded == 0) return sign;
  int exponent = 0;
  std::frexp(rounded, &exponent);
  const int scale = std::max(exponent - 1, format.min_exponent) - format.mantissa;
  const int units = static_cast<int>(std::ldexp(rounded, -scale));
  const int bias = e4m3 ? 7 : 15;
  const int whole = 1 << format.mantissa;
  const int biased = units < whole ? 0 : scale + format.mantissa + bias;
  return static_cast<u8>(sign | biased << format.mantissa | (units & (whole - 1)));
}

}  // namespace gpu::ops
