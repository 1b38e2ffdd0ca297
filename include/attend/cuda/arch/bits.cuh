#pragma once

/// @file
/// Bits of a word.

namespace attend::cuda {

/// The bits n and above, 0 <= n; none for 32 (a shift by so many is undefined in C++).
__device__ inline unsigned bits_from(int n) {
  return __funnelshift_lc(0u, ~0u, static_cast<unsigned>(n));
}

}  // namespace attend::cuda
