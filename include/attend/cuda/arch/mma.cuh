#pragma once

#include <cstdint>

#include "../../core/dtype.hpp"

/// @file
/// Products of small matrices on tensor cores. A fragment is a lane's part of a matrix; with
/// g = lane / 4 and t = lane % 4, a register holds two neighbouring elements, the lower one in its
/// lower half.

namespace attend::cuda {

/// mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32: d += a b.
/// a: (g, 2t) (g+8, 2t); b: (k 2t, n g); d: (g, 2t) (g, 2t+1) (g+8, 2t) (g+8, 2t+1).
__device__ inline void mma_m16n8k8(float (&d)[4], const std::uint32_t (&a)[2], std::uint32_t b,
                                   F16) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(b));
}

#if __CUDA_ARCH__ >= 800
/// mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32: d += a b.
/// a: (g, 2t) (g+8, 2t) (g, 2t+8) (g+8, 2t+8); b: (k 2t, n g) (k 2t+8, n g); d as of m16n8k8.
__device__ inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4],
                                    const std::uint32_t (&b)[2], F16) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32: as of f16.
__device__ inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4],
                                    const std::uint32_t (&b)[2], BF16) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
      "{%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32: d += a b, of floats whose lower 13 bits are
/// not looked at. a: (g, t) (g+8, t) (g, t+4) (g+8, t+4); b: (k t, n g) (k t+4, n g); d as of f16.
__device__ inline void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                                        const std::uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
      "{%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#else
/// m16n8k16 as two of m16n8k8, where there is no larger one (before 8.0).
__device__ inline void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4],
                                    const std::uint32_t (&b)[2], F16) {
  mma_m16n8k8(d, {a[0], a[1]}, b[0], F16{});
  mma_m16n8k8(d, {a[2], a[3]}, b[1], F16{});
}

/// Never called: before 8.0 there is no product of bf16 matrices, and launches take another engine.
__device__ inline void mma_m16n8k16(float (&)[4], const std::uint32_t (&)[4],
                                    const std::uint32_t (&)[2], BF16) {
  __trap();
}

/// Never called, as there is none either.
__device__ inline void mma_m16n8k8_tf32(float (&)[4], const std::uint32_t (&)[4],
                                        const std::uint32_t (&)[2]) {
  __trap();
}
#endif

}  // namespace attend::cuda
