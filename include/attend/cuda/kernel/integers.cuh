#pragma once

#include <cstdint>

/// @file
/// Integers of the host's that come to the device as a kernel's parameters.

namespace attend::cuda {

/// As many as are moved at a time.
struct IntegerRun {
  static constexpr int kMost = 256;  ///< 2 KiB of parameters
  std::int64_t value[kMost];         ///< the integers
};

/// One thread each.
template <class V>
__global__ void store_integers(IntegerRun run, int count, std::int64_t* to) {
  const int n = static_cast<int>(threadIdx.x);
  if (n < count) to[n] = run.value[n];
}

}  // namespace attend::cuda
