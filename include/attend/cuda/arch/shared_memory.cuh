#pragma once

#include <cstdint>

/// @file
/// The shared memory whose size a launch decides, and addresses in shared memory.

namespace attend::cuda {

/// The block's dynamic shared memory, as what it holds.
template <class Contents>
__device__ inline Contents& dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char bytes[];
  return *reinterpret_cast<Contents*>(bytes);
}

/// The address of something in shared memory, as instructions take it.
__device__ inline std::uint32_t shared_address(const void* in_shared) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(in_shared));
}

/// ld.shared.v2.f32
__device__ inline float2 ld_shared_v2(std::uint32_t address) {
  float2 two;
  asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];"
               : "=f"(two.x), "=f"(two.y)
               : "r"(address)
               : "memory");
  return two;
}

}  // namespace attend::cuda
