#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace gpu::ops {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;

enum class Rounding : u8 { nearest, zero, down, up, away };  ///< .rn .rz .rm .rp .rna

/// IEEE binary16.
struct Half {
  u16 bits;
};

/// bfloat16: the upper half of a float.
struct Bf16 {
  u16 bits;
};

/// The upper 19 bits of a float: products ignore the others, whatever they are.
struct Tf32 {
  u32 bits;
};

[[gnu::always_inline]] inline float to_float(Half h) {
  // exponent and mantissa moved into place, then scaled: right for subnormals too
  const u32 magnitude = (h.bits & 0x7FFFu) << 13;
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
  const u32 inf_or_nan = (h.bits & 0x7C00u) == 0x7C00u ? 0x7F800000u : 0u;
  return std::bit_cast<float>(std::bit_cast<u32>(scaled) | inf_or_nan |
                              ((h.bits & 0x7FFFu) > 0x7C00u ? magnitude | 0x7F800000u : 0u) |
                              (u32{h.bits} & 0x8000u) << 16);
}

/// Round to nearest even.
[[gnu::always_inline]] inline Half to_half(float f) {
  const u32 bits = std::bit_cast<u32>(f);
  const u32 sign = bits >> 16 & 0x8000u;
  const u32 magnitude = bits & 0x7FFFFFFFu;
  // subnormal results: adding 0.5 lets the float unit round at the right bit
  const u32 tiny =
      std::bit_cast<u32>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<u32>(0.5f);
  const u32 normal = (magnitude + 0xFFFu + (magnitude >> 13 & 1u) - (112u << 23)) >> 13;
  u32 half = magnitude < 0x38800000u ? tiny : normal;
  half = magnitude >= 0x477FF000u ? 0x7C00u : half;
  half = magnitude > 0x7F800000u ? 0x7FFFu : half;  // the NaN that hardware gives
  return {static_cast<u16>(magnitude > 0x7F800000u ? half : sign | half)};
}

[[gnu::always_inline]] inline float to_float(Bf16 b) {
  return std::bit_cast<float>(u32{b.bits} << 16);
}

[[gnu::always_inline]] inline float to_float(Tf32 t) {
  return std::bit_cast<float>(t.bits & 0xFFFFE000u);
}

[[gnu::always_inline]] inline Bf16 to_bf16(float f) {
  const u32 bits = std::bit_cast<u32>(f);
  const u32 rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
  return {static_cast<u16>((bits & 0x7FFFFFFFu) > 0x7F800000u ? 0x7FFFu : rounded)};
}

/// Subnormals become zeros of the same sign.
[[gnu::always_inline]] inline float flush(float f) {
  const u32 bits = std::bit_cast<u32>(f);
  return std::bit_cast<float>((bits & 0x7F800000u) == 0 ? bits & 0x80000000u : bits);
}

/// Clamps to [0, 1]; NaN gives +0 (.sat).
template <class T>
[[gnu::always_inline]] inline T saturate(T x) {
  return x > T{0} ? (x < T{1} ? x : T{1}) : T{0};
}

/// A finite format with `mantissa` stored bits; values as doubles.
struct Format {
  int mantissa;
  int min_exponent;  ///< of the smallest normal number
  int max_exponent;  ///< of the largest
};
constexpr Format kHalfFormat{10, -14, 15};
constexpr Format kBf16Format{7, -126, 127};
constexpr Format kFloatFormat{23, -126, 127};
constexpr Format kTf32Format{10, -126, 127};

/// The nearest value of the format in the given direction (overflow to infinity or to the largest
/// number as IEEE 754 says).
double round_to(double x, const Format& format, Rounding rounding);

/// Canonical NaN of single and double precision, as the hardware gives it.
constexpr u32 kNan32 = 0x7FFFFFFFu;

}  // namespace gpu::ops
