#pragma once

/// @file
/// The barriers that a block has by number; 0 is that of __syncthreads().

namespace attend::cuda {

/// barrier.cta.sync.aligned: `Threads` threads, whole warps, wait for each other.
template <int Number, int Threads>
__device__ inline void barrier_sync() {
  asm volatile("barrier.cta.sync.aligned %0, %1;" : : "n"(Number), "n"(Threads) : "memory");
}

/// The same by a number that is known when the kernel runs.
template <int Threads>
__device__ inline void barrier_sync(int number) {
  asm volatile("barrier.cta.sync.aligned %0, %1;" : : "r"(number), "n"(Threads) : "memory");
}

/// barrier.cta.red.or.pred.aligned: the same, and whether any of them says so.
template <int Number, int Threads>
__device__ inline bool barrier_red_or(bool says) {
  int any;
  asm volatile(
      "{.reg .pred says, any; setp.ne.b32 says, %1, 0; "
      "barrier.cta.red.or.pred.aligned any, %2, %3, says; selp.b32 %0, 1, 0, any;}"
      : "=r"(any)
      : "r"(static_cast<int>(says)), "n"(Number), "n"(Threads)
      : "memory");
  return any != 0;
}

/// The same by a number that is known when the kernel runs.
template <int Threads>
__device__ inline bool barrier_red_or(int number, bool says) {
  int any;
  asm volatile(
      "{.reg .pred says, any; setp.ne.b32 says, %1, 0; "
      "barrier.cta.red.or.pred.aligned any, %2, %3, says; selp.b32 %0, 1, 0, any;}"
      : "=r"(any)
      : "r"(static_cast<int>(says)), "r"(number), "n"(Threads)
      : "memory");
  return any != 0;
}

}  // namespace attend::cuda
