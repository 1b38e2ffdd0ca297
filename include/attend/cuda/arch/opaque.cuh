#pragma once

#include <cstdint>

/// @file
/// Values that a compiler knows nothing of.

namespace attend::cuda {

/// The value, of which the compiler forgets where it comes from: what is computed from it inside a
/// loop is not moved in front of the loop, where it would occupy registers all the time.
__device__ inline std::uint32_t opaque(std::uint32_t value) {
  asm volatile("" : "+r"(value));
  return value;
}
/// @copydoc opaque(std::uint32_t)
__device__ inline int opaque(int value) {
  asm volatile("" : "+r"(value));
  return value;
}
/// @copydoc opaque(std::uint32_t)
__device__ inline float opaque(float value) {
  asm volatile("" : "+f"(value));
  return value;
}
/// @copydoc opaque(std::uint32_t)
__device__ inline std::uint64_t opaque(std::uint64_t value) {
  asm volatile("" : "+l"(value));
  return value;
}

/// Makes it any value: what was there is of no use any more, and occupies no register.
__device__ inline void forget(std::uint32_t& value) { asm("" : "=r"(value)); }
/// @copydoc forget(std::uint32_t&)
__device__ inline void forget(float& value) { asm("" : "=f"(value)); }

}  // namespace attend::cuda
