#pragma once

#include <cstdint>

#include "shared_memory.cuh"

/// @file
/// Fragments from shared memory: four 8 x 8 matrices of 16-bit elements at once. Lanes 8n to 8n + 7
/// give the addresses of matrix n's rows, 16 bytes each; register n of lane l is its row l / 4,
/// columns 2 (l % 4) and the next.

namespace attend::cuda {

/// ldmatrix.sync.aligned.m8n8.x4.shared.b16
__device__ inline void ldmatrix_x4(std::uint32_t (&r)[4], std::uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row)
               : "memory");
}
/// @copydoc ldmatrix_x4(std::uint32_t (&)[4], std::uint32_t)
__device__ inline void ldmatrix_x4(std::uint32_t (&r)[4], const void* row) {
  ldmatrix_x4(r, shared_address(row));
}

/// ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16: each matrix transposed.
__device__ inline void ldmatrix_x4_trans(std::uint32_t (&r)[4], std::uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row)
               : "memory");
}
/// @copydoc ldmatrix_x4_trans(std::uint32_t (&)[4], std::uint32_t)
__device__ inline void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* row) {
  ldmatrix_x4_trans(r, shared_address(row));
}

}  // namespace attend::cuda
