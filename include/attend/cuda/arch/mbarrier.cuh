#pragma once

#include <cstdint>

#include "shared_memory.cuh"

/// @file
/// Barriers in shared memory, on which threads arrive and others wait for a phase to be complete.
/// Capability 9.0 and later. (PTX ISA, "mbarrier".)

namespace attend::cuda {

/// A barrier, which has to be initialised.
struct alignas(8) Mbarrier {
  std::uint64_t state;  ///< opaque
};

/// mbarrier.init.shared::cta.b64: phases are complete when `count` threads have arrived. Seen by
/// others after the block's next barrier.
__device__ inline void mbarrier_init(Mbarrier& barrier, int count) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;"
               :
               : "r"(shared_address(&barrier)), "r"(count)
               : "memory");
#endif
}

/// mbarrier.arrive.shared::cta.b64: what this thread did before is seen by those who wait.
__device__ inline void mbarrier_arrive(Mbarrier& barrier) {
#if __CUDA_ARCH__ >= 900
  asm volatile("{.reg .b64 ignored; mbarrier.arrive.shared::cta.b64 ignored, [%0];}"
               :
               : "r"(shared_address(&barrier))
               : "memory");
#endif
}

/// cp.async.mbarrier.arrive.noinc.shared::cta.b64: this thread arrives when all copies to shared
/// memory that it began have landed.
__device__ inline void mbarrier_arrive_after_copies(Mbarrier& barrier) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];"
               :
               : "r"(shared_address(&barrier))
               : "memory");
#endif
}

/// mbarrier.try_wait.parity.shared::cta.b64 until the phase of a parity (0 for the first, and so on
/// in turn) is complete. The one before the first counts as complete.
__device__ inline void mbarrier_wait(Mbarrier& barrier, int parity) {
#if __CUDA_ARCH__ >= 900
  std::uint32_t done = 0;
  while (done == 0)
    asm volatile(
        "{.reg .pred done; mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2; "
        "selp.u32 %0, 1, 0, done;}"
        : "=r"(done)
        : "r"(shared_address(&barrier)), "r"(parity)
        : "memory");
#endif
}

}  // namespace attend::cuda
