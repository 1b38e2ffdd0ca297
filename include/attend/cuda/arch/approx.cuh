#pragma once

/// @file
/// Functions that a device approximates in one instruction.

namespace attend::cuda {

/// ex2.approx.ftz.f32: 2^x, to 2 ulp. -inf gives 0.
__device__ inline float ex2_approx_ftz(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace attend::cuda
