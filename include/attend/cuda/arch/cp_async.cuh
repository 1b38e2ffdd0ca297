#pragma once

#include <cstdint>

/// @file
/// Copies from global to shared memory that do not pass through registers: begun, put into groups,
/// and waited for later. Since capability 8.0.

namespace attend::cuda {

/// Whether the device being compiled for has them.
#if __CUDA_ARCH__ >= 800
inline constexpr bool kHasCpAsync = true;
#else
inline constexpr bool kHasCpAsync = false;
#endif

/// cp.async.cg.shared.global of 16 bytes, cp.async.ca.shared.global of 4 or 8: 0 unless they are
/// `there`, and then memory is not read.
template <int Bytes>
__device__ inline void cp_async_or_zero(std::uint32_t to, const void* from, bool there) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
#if __CUDA_ARCH__ >= 800
  const auto source = __cvta_generic_to_global(from);
  if constexpr (Bytes == 16) {
    asm volatile(
        "{.reg .pred ignored; setp.eq.u32 ignored, %2, 0;"
        " cp.async.cg.shared.global [%0], [%1], 16, ignored;}"
        :
        : "r"(to), "l"(source), "r"(static_cast<int>(there))
        : "memory");
  } else {
    asm volatile(
        "{.reg .pred ignored; setp.eq.u32 ignored, %2, 0;"
        " cp.async.ca.shared.global [%0], [%1], %3, ignored;}"
        :
        : "r"(to), "l"(source), "r"(static_cast<int>(there)), "n"(Bytes)
        : "memory");
  }
#else
  __trap();
#endif
}

/// cp.async.commit_group: what was begun since the last one is a group.
__device__ inline void cp_async_commit_group() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" : : : "memory");
#endif
}

/// cp.async.wait_group: until all groups but the `Pending` latest have landed.
template <int Pending>
__device__ inline void cp_async_wait_group() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" : : "n"(Pending) : "memory");
#endif
}

}  // namespace attend::cuda
