// The instructions of a warpgroup's products, one function each, and descriptors of their tiles.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

#include "../instructions.cuh"

namespace programs {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ inline void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
__device__ inline void wgmma_commit_group() {
  asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory");
}
template <int kGroups>
__device__ inline void wgmma_wait_group() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(kGroups) : "memory");
}
__device__ inline void fence_proxy_async() {
  asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory");
}
__device__ inline void mbarrier_init(const void* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(barrier)),
               "r"(arrivals)
               : "memory");
}
// The thread arrives when the copies that it has begun have landed.
__device__ inline void mbarrier_arrive_after_copies(const void* barrier) {
  asm volatile(
      "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];\n" ::"r"(shared_address(barrier))
      : "memory");
}
__device__ inline void mbarrier_wait(const void* barrier, int parity) {
  asm volatile(
      "{\n.reg .pred p;\nagain:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n@!p bra again;\n}\n" ::"r"(
          shared_address(barrier)),
      "r"(parity)
      : "memory");
}
// Keeps the compiler from moving uses of the accumulators over a wait.
template <int kCount>
__device__ inline void hold(float (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

// A tile of rows of 128 bytes, swizzled by 128 bytes; 8 rows are 1024 bytes. By K: `stride` leads
// to the next 8 rows. By M or N (rows are along K): `leading` leads to the next 64 of them.
__device__ inline uint64_t swizzled_tile(const void* start, int leading, int stride) {
  return (shared_address(start) >> 4 & 0x3FFF) | uint64_t(leading >> 4) << 16 |
         uint64_t(stride >> 4) << 32 | uint64_t(1) << 62;
}

#define PROGRAMS_D32                                                                            \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, " \
  "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}"
#define PROGRAMS_D8(i)                                                                        \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])

// D (64 x 64, f32) = A (64 x 16, by K) B (16 x 64, by K), plus D if `accumulates`.
__device__ inline void wgmma_m64n64k16(float (&d)[32], uint64_t a, uint64_t b, bool accumulates) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 " PROGRAMS_D32
      ", %32, %33, p, 1, 1, 0, 0;\n}\n"
      : PROGRAMS_D8(0), PROGRAMS_D8(8), PROGRAMS_D8(16), PROGRAMS_D8(24)
      : "l"(a), "l"(b), "r"(int(accumulates)));
}
// D (64 x 64, f32) += A (64 x 16, in registers) B (16 x 64, by N).
__device__ inline void wgmma_m64n64k16(float (&d)[32], const uint32_t (&a)[4], uint64_t b) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 " PROGRAMS_D32
      ", {%32, %33, %34, %35}, %36, p, 1, 1, 1;\n}\n"
      : PROGRAMS_D8(0), PROGRAMS_D8(8), PROGRAMS_D8(16), PROGRAMS_D8(24)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#undef PROGRAMS_D32
#undef PROGRAMS_D8

#endif

}  // namespace programs
