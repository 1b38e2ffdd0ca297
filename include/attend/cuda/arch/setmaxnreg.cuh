#pragma once

/// @file
/// Registers that a warpgroup gives to others. Capability 9.0 only, compiled for sm_90a.

namespace attend::cuda {

/// setmaxnreg.dec.sync.aligned.u32: this warpgroup's threads need no more than `Count` registers.
template <int Count>
__device__ inline void setmaxnreg_dec() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" : : "n"(Count));
#endif
}

/// setmaxnreg.inc.sync.aligned.u32: they get `Count`, as soon as others have given them.
template <int Count>
__device__ inline void setmaxnreg_inc() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" : : "n"(Count));
#endif
}

}  // namespace attend::cuda
