#pragma once

#include "device.hpp"
#include "launch.cuh"

/// @file
/// Which of a path's kernels a device runs.

namespace attend::cuda {

/// Whether the current device multiplies by warpgroups, and the program has code for it of a kernel
/// of so many threads.
template <class... Parameters>
bool has_warpgroups(void (*kernel)(Parameters...), int threads) {
  if (capability(current_device()) != Capability{9, 0}) return false;
  return attributes(kernel).maxThreadsPerBlock >= threads;
}

}  // namespace attend::cuda
