#pragma once

/// @file
/// The shared memory whose size a launch decides.

namespace attend::cuda {

/// The block's dynamic shared memory, as what it holds.
template <class Contents>
__device__ inline Contents& dynamic_shared() {
  extern __shared__ __align__(128) unsigned char bytes[];
  return *reinterpret_cast<Contents*>(bytes);
}

}  // namespace attend::cuda
