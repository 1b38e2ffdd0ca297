#pragma once

#include <cstdint>

/// @file
/// Products of bytes.

namespace attend::cuda {

/// dp4a.u32.u32: c + the sum of the products of the bytes of a and b.
__device__ inline std::uint32_t dp4a(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  std::uint32_t d;
  asm("dp4a.u32.u32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}

}  // namespace attend::cuda
