#pragma once

#include <cstdint>

#include "../../core/dtype.hpp"

/// @file
/// Products that the four warps of a warpgroup compute together, on tensor cores, from operands in
/// shared memory, while the warps do other things: begun, put into groups, and waited for later.
/// Capability 9.0 only, compiled for sm_90a. (PTX ISA, "Asynchronous Warpgroup Level Matrix
/// Instructions".)
///
/// Warp w of a warpgroup has rows 16w to 16w + 15 of the result and of a left operand that is in
/// registers. With g = lane / 4 and t = lane % 4, a thread's results are two rows: (g, 8n + 2t) and
/// (g, 8n + 2t + 1) are up[2n] and up[2n + 1], and those of row g + 8 are down's. A left operand's
/// registers are those of mma_m16n8k16.

namespace attend::cuda {

/// Whether the device being compiled for has them.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
inline constexpr bool kHasWgmma = true;
#else
inline constexpr bool kHasWgmma = false;
#endif

/// Describes an operand that begins at an address in shared memory (PTX ISA, "Matrix Descriptor
/// Format"): groups of eight rows are 1024 bytes apart, panels `panel_bytes` (which only counts
/// where products go along columns).
__device__ inline std::uint64_t wgmma_operand(std::uint32_t address, std::uint32_t panel_bytes) {
  constexpr std::uint64_t kEightRows = 1024, kSwizzle128 = 1;
  return std::uint64_t{(address & 0x3ffff) >> 4} | std::uint64_t{panel_bytes >> 4} << 16 |
         kEightRows >> 4 << 32 | kSwizzle128 << 62;
}

/// wgmma.fence.sync.aligned: before the first product, and after registers of one were written.
__device__ inline void wgmma_fence() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.fence.sync.aligned;" : : : "memory");
#endif
}
/// wgmma.commit_group.sync.aligned: what was begun since the last one is a group.
__device__ inline void wgmma_commit_group() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.commit_group.sync.aligned;" : : : "memory");
#endif
}
/// wgmma.wait_group.sync.aligned: until all groups but the `Pending` latest are done.
template <int Pending>
__device__ inline void wgmma_wait_group() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("wgmma.wait_group.sync.aligned %0;" : : "n"(Pending) : "memory");
#endif
}
/// fence.proxy.async.shared::cta: what this thread wrote to shared memory, what its copies brought
/// there, and what others did that it has waited for, is seen by products that it begins, and by
/// those that others begin after a barrier.
__device__ inline void fence_proxy_async() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("fence.proxy.async.shared::cta;" : : : "memory");
#endif
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/// wgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16: d = a b, or d += a b where it `adds`; a is
/// 64 rows of shared memory.
__device__ inline void wgmma_m64n32k16(float* up, float* down, std::uint64_t a, std::uint64_t b,
                                       bool adds, F16) {
  asm volatile(
      "{.reg .pred adds; setp.ne.b32 adds, %18, 0; "
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.f16.f16 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15}, %16, %17, adds, 1, 1, 0, 0;}"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7])
      : "l"(a), "l"(b), "r"(static_cast<int>(adds)));
}
/// m64n32k16 of bf16.
__device__ inline void wgmma_m64n32k16(float* up, float* down, std::uint64_t a, std::uint64_t b,
                                       bool adds, BF16) {
  asm volatile(
      "{.reg .pred adds; setp.ne.b32 adds, %18, 0; "
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15}, %16, %17, adds, 1, 1, 0, 0;}"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7])
      : "l"(a), "l"(b), "r"(static_cast<int>(adds)));
}

/// wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16: d = a b, or d += a b where it `adds`; a is
/// 64 rows of shared memory.
__device__ inline void wgmma_m64n64k16(float* up, float* down, std::uint64_t a, std::uint64_t b,
                                       bool adds, F16) {
  asm volatile(
      "{.reg .pred adds; setp.ne.b32 adds, %34, 0; "
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, "
      "%25, %26, %27, %28, %29, %30, %31}, %32, %33, adds, 1, 1, 0, 0;}"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7]), "+f"(up[8]), "+f"(up[9]),
        "+f"(down[8]), "+f"(down[9]), "+f"(up[10]), "+f"(up[11]), "+f"(down[10]), "+f"(down[11]),
        "+f"(up[12]), "+f"(up[13]), "+f"(down[12]), "+f"(down[13]), "+f"(up[14]), "+f"(up[15]),
        "+f"(down[14]), "+f"(down[15])
      : "l"(a), "l"(b), "r"(static_cast<int>(adds)));
}
/// The same with a in registers: d += a b; b's products go along its columns.
__device__ inline void wgmma_m64n64k16(float* up, float* down, const std::uint32_t (&a)[4],
                                       std::uint64_t b, F16) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, "
      "%25, %26, %27, %28, %29, %30, %31}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7]), "+f"(up[8]), "+f"(up[9]),
        "+f"(down[8]), "+f"(down[9]), "+f"(up[10]), "+f"(up[11]), "+f"(down[10]), "+f"(down[11]),
        "+f"(up[12]), "+f"(up[13]), "+f"(down[12]), "+f"(down[13]), "+f"(up[14]), "+f"(up[15]),
        "+f"(down[14]), "+f"(down[15])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

/// m64n64k16 of bf16.
__device__ inline void wgmma_m64n64k16(float* up, float* down, std::uint64_t a, std::uint64_t b,
                                       bool adds, BF16) {
  asm volatile(
      "{.reg .pred adds; setp.ne.b32 adds, %34, 0; "
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, "
      "%25, %26, %27, %28, %29, %30, %31}, %32, %33, adds, 1, 1, 0, 0;}"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7]), "+f"(up[8]), "+f"(up[9]),
        "+f"(down[8]), "+f"(down[9]), "+f"(up[10]), "+f"(up[11]), "+f"(down[10]), "+f"(down[11]),
        "+f"(up[12]), "+f"(up[13]), "+f"(down[12]), "+f"(down[13]), "+f"(up[14]), "+f"(up[15]),
        "+f"(down[14]), "+f"(down[15])
      : "l"(a), "l"(b), "r"(static_cast<int>(adds)));
}
/// The same with a in registers: d += a b; b's products go along its columns.
__device__ inline void wgmma_m64n64k16(float* up, float* down, const std::uint32_t (&a)[4],
                                       std::uint64_t b, BF16) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, "
      "%25, %26, %27, %28, %29, %30, %31}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7]), "+f"(up[8]), "+f"(up[9]),
        "+f"(down[8]), "+f"(down[9]), "+f"(up[10]), "+f"(up[11]), "+f"(down[10]), "+f"(down[11]),
        "+f"(up[12]), "+f"(up[13]), "+f"(down[12]), "+f"(down[13]), "+f"(up[14]), "+f"(up[15]),
        "+f"(down[14]), "+f"(down[15])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

/// m64n128k16 of f16.
__device__ inline void wgmma_m64n128k16(float* up, float* down, std::uint64_t a, std::uint64_t b,
                                        bool adds, F16) {
  asm volatile(
      "{.reg .pred adds; setp.ne.b32 adds, %66, 0; "
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, "
      "%25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, "
      "%42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, "
      "%59, %60, %61, %62, %63}, %64, %65, adds, 1, 1, 0, 0;}"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7]), "+f"(up[8]), "+f"(up[9]),
        "+f"(down[8]), "+f"(down[9]), "+f"(up[10]), "+f"(up[11]), "+f"(down[10]), "+f"(down[11]),
        "+f"(up[12]), "+f"(up[13]), "+f"(down[12]), "+f"(down[13]), "+f"(up[14]), "+f"(up[15]),
        "+f"(down[14]), "+f"(down[15]), "+f"(up[16]), "+f"(up[17]), "+f"(down[16]), "+f"(down[17]),
        "+f"(up[18]), "+f"(up[19]), "+f"(down[18]), "+f"(down[19]), "+f"(up[20]), "+f"(up[21]),
        "+f"(down[20]), "+f"(down[21]), "+f"(up[22]), "+f"(up[23]), "+f"(down[22]), "+f"(down[23]),
        "+f"(up[24]), "+f"(up[25]), "+f"(down[24]), "+f"(down[25]), "+f"(up[26]), "+f"(up[27]),
        "+f"(down[26]), "+f"(down[27]), "+f"(up[28]), "+f"(up[29]), "+f"(down[28]), "+f"(down[29]),
        "+f"(up[30]), "+f"(up[31]), "+f"(down[30]), "+f"(down[31])
      : "l"(a), "l"(b), "r"(static_cast<int>(adds)));
}
/// The same with a in registers: d += a b; b's products go along its columns.
__device__ inline void wgmma_m64n128k16(float* up, float* down, const std::uint32_t (&a)[4],
                                        std::uint64_t b, F16) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, "
      "%25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, "
      "%42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, "
      "%59, %60, %61, %62, %63}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7]), "+f"(up[8]), "+f"(up[9]),
        "+f"(down[8]), "+f"(down[9]), "+f"(up[10]), "+f"(up[11]), "+f"(down[10]), "+f"(down[11]),
        "+f"(up[12]), "+f"(up[13]), "+f"(down[12]), "+f"(down[13]), "+f"(up[14]), "+f"(up[15]),
        "+f"(down[14]), "+f"(down[15]), "+f"(up[16]), "+f"(up[17]), "+f"(down[16]), "+f"(down[17]),
        "+f"(up[18]), "+f"(up[19]), "+f"(down[18]), "+f"(down[19]), "+f"(up[20]), "+f"(up[21]),
        "+f"(down[20]), "+f"(down[21]), "+f"(up[22]), "+f"(up[23]), "+f"(down[22]), "+f"(down[23]),
        "+f"(up[24]), "+f"(up[25]), "+f"(down[24]), "+f"(down[25]), "+f"(up[26]), "+f"(up[27]),
        "+f"(down[26]), "+f"(down[27]), "+f"(up[28]), "+f"(up[29]), "+f"(down[28]), "+f"(down[29]),
        "+f"(up[30]), "+f"(up[31]), "+f"(down[30]), "+f"(down[31])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

/// m64n128k16 of bf16.
__device__ inline void wgmma_m64n128k16(float* up, float* down, std::uint64_t a, std::uint64_t b,
                                        bool adds, BF16) {
  asm volatile(
      "{.reg .pred adds; setp.ne.b32 adds, %66, 0; "
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, "
      "%25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, "
      "%42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, "
      "%59, %60, %61, %62, %63}, %64, %65, adds, 1, 1, 0, 0;}"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7]), "+f"(up[8]), "+f"(up[9]),
        "+f"(down[8]), "+f"(down[9]), "+f"(up[10]), "+f"(up[11]), "+f"(down[10]), "+f"(down[11]),
        "+f"(up[12]), "+f"(up[13]), "+f"(down[12]), "+f"(down[13]), "+f"(up[14]), "+f"(up[15]),
        "+f"(down[14]), "+f"(down[15]), "+f"(up[16]), "+f"(up[17]), "+f"(down[16]), "+f"(down[17]),
        "+f"(up[18]), "+f"(up[19]), "+f"(down[18]), "+f"(down[19]), "+f"(up[20]), "+f"(up[21]),
        "+f"(down[20]), "+f"(down[21]), "+f"(up[22]), "+f"(up[23]), "+f"(down[22]), "+f"(down[23]),
        "+f"(up[24]), "+f"(up[25]), "+f"(down[24]), "+f"(down[25]), "+f"(up[26]), "+f"(up[27]),
        "+f"(down[26]), "+f"(down[27]), "+f"(up[28]), "+f"(up[29]), "+f"(down[28]), "+f"(down[29]),
        "+f"(up[30]), "+f"(up[31]), "+f"(down[30]), "+f"(down[31])
      : "l"(a), "l"(b), "r"(static_cast<int>(adds)));
}
/// The same with a in registers: d += a b; b's products go along its columns.
__device__ inline void wgmma_m64n128k16(float* up, float* down, const std::uint32_t (&a)[4],
                                        std::uint64_t b, BF16) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, "
      "%25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, "
      "%42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, "
      "%59, %60, %61, %62, %63}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7]), "+f"(up[8]), "+f"(up[9]),
        "+f"(down[8]), "+f"(down[9]), "+f"(up[10]), "+f"(up[11]), "+f"(down[10]), "+f"(down[11]),
        "+f"(up[12]), "+f"(up[13]), "+f"(down[12]), "+f"(down[13]), "+f"(up[14]), "+f"(up[15]),
        "+f"(down[14]), "+f"(down[15]), "+f"(up[16]), "+f"(up[17]), "+f"(down[16]), "+f"(down[17]),
        "+f"(up[18]), "+f"(up[19]), "+f"(down[18]), "+f"(down[19]), "+f"(up[20]), "+f"(up[21]),
        "+f"(down[20]), "+f"(down[21]), "+f"(up[22]), "+f"(up[23]), "+f"(down[22]), "+f"(down[23]),
        "+f"(up[24]), "+f"(up[25]), "+f"(down[24]), "+f"(down[25]), "+f"(up[26]), "+f"(up[27]),
        "+f"(down[26]), "+f"(down[27]), "+f"(up[28]), "+f"(up[29]), "+f"(down[28]), "+f"(down[29]),
        "+f"(up[30]), "+f"(up[31]), "+f"(down[30]), "+f"(down[31])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#endif

/// wgmma.mma_async.sync.aligned.m64n32k8.f32.tf32.tf32: d = a b, or d += a b where it `adds`; a is
/// in registers, those of mma_m16n8k8_tf32, and b's products go along its rows.
__device__ inline void wgmma_m64n32k8(float* up, float* down, const std::uint32_t (&a)[4],
                                      std::uint64_t b, bool adds) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile(
      "{.reg .pred adds; setp.ne.b32 adds, %21, 0; "
      "wgmma.mma_async.sync.aligned.m64n32k8.f32.tf32.tf32 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15}, {%16, %17, %18, %19}, %20, adds, 1, 1;}"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(adds)));
#endif
}
/// m64n64k8.
__device__ inline void wgmma_m64n64k8(float* up, float* down, const std::uint32_t (&a)[4],
                                      std::uint64_t b, bool adds) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile(
      "{.reg .pred adds; setp.ne.b32 adds, %37, 0; "
      "wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32.tf32 {%0, %1, %2, %3, %4, %5, %6, %7, "
      "%8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, "
      "%25, %26, %27, %28, %29, %30, %31}, {%32, %33, %34, %35}, %36, adds, 1, 1;}"
      : "+f"(up[0]), "+f"(up[1]), "+f"(down[0]), "+f"(down[1]), "+f"(up[2]), "+f"(up[3]),
        "+f"(down[2]), "+f"(down[3]), "+f"(up[4]), "+f"(up[5]), "+f"(down[4]), "+f"(down[5]),
        "+f"(up[6]), "+f"(up[7]), "+f"(down[6]), "+f"(down[7]), "+f"(up[8]), "+f"(up[9]),
        "+f"(down[8]), "+f"(down[9]), "+f"(up[10]), "+f"(up[11]), "+f"(down[10]), "+f"(down[11]),
        "+f"(up[12]), "+f"(up[13]), "+f"(down[12]), "+f"(down[13]), "+f"(up[14]), "+f"(up[15]),
        "+f"(down[14]), "+f"(down[15])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(adds)));
#endif
}

}  // namespace attend::cuda
