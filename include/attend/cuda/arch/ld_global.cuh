#pragma once

/// @file
/// Loads from global memory without branches.

namespace attend::cuda {

/// ld.global.v4.f32: 0 unless they are `there`, and then memory is not read.
__device__ inline float4 ld_global_v4_or_zero(const float* from, bool there) {
  float4 four;
  asm volatile(
      "{.reg .pred there; setp.ne.b32 there, %5, 0; mov.b32 %0, 0; mov.b32 %1, 0; mov.b32 %2, 0;"
      " mov.b32 %3, 0; @there ld.global.v4.f32 {%0, %1, %2, %3}, [%4];}"
      : "=&f"(four.x), "=&f"(four.y), "=&f"(four.z), "=&f"(four.w)
      : "l"(__cvta_generic_to_global(from)), "r"(static_cast<int>(there))
      : "memory");
  return four;
}

}  // namespace attend::cuda
