#pragma once

#include <cstdint>

#include "../../core/dtype.hpp"

/// @file
/// Conversions between element types and the types of the computation.

namespace attend::cuda {

/// cvt.f32.f16
__device__ inline float cvt_f32_f16(std::uint16_t bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}

/// cvt.rn.f16.f32
__device__ inline std::uint16_t cvt_rn_f16_f32(float value) {
  std::uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

/// cvt.rn.bf16.f32, and what it does where there is none (before 8.0).
__device__ inline std::uint16_t cvt_rn_bf16_f32(float value) {
#if __CUDA_ARCH__ >= 800
  std::uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
#else
  if (value != value) return 0x7fff;
  const std::uint32_t bits = __float_as_uint(value);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
#endif
}

/// Two numbers as a register of elements, the first in the lower half: cvt.rn.f16x2.f32, where
/// there is one (since 8.0).
__device__ inline std::uint32_t packed(float low, float high, F16) {
#if __CUDA_ARCH__ >= 800
  std::uint32_t bits;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
#else
  return cvt_rn_f16_f32(low) | std::uint32_t{cvt_rn_f16_f32(high)} << 16;
#endif
}

/// The same of bfloat16: cvt.rn.bf16x2.f32.
__device__ inline std::uint32_t packed(float low, float high, BF16) {
#if __CUDA_ARCH__ >= 800
  std::uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
#else
  return cvt_rn_bf16_f32(low) | std::uint32_t{cvt_rn_bf16_f32(high)} << 16;
#endif
}

/// An element as a number.
__device__ inline float to_real(F16 x) { return cvt_f32_f16(x.bits); }
/// @copydoc to_real(F16)
__device__ inline float to_real(BF16 x) {
  return __uint_as_float(static_cast<std::uint32_t>(x.bits) << 16);
}
/// @copydoc to_real(F16)
__device__ inline float to_real(float x) { return x; }
/// @copydoc to_real(F16)
__device__ inline double to_real(double x) { return x; }

/// The number as an element, rounded to nearest even.
__device__ inline void store(F16& to, float x) { to.bits = cvt_rn_f16_f32(x); }
/// @copydoc store(F16&, float)
__device__ inline void store(BF16& to, float x) { to.bits = cvt_rn_bf16_f32(x); }
/// @copydoc store(F16&, float)
__device__ inline void store(float& to, float x) { to = x; }
/// @copydoc store(F16&, float)
__device__ inline void store(double& to, double x) { to = x; }

}  // namespace attend::cuda
