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

}  // namespace attend::cuda
