#pragma once

#include <algorithm>
#include <string>

#include "../../select/obstacle.hpp"
#include "../kernel/integers.cuh"
#include "device.hpp"
#include "forward.hpp"
#include "launch.cuh"

/// @file
/// What the code that a program has for a device can do there.

namespace attend::cuda {

/// `usable_capability` of the kernels of a variant.
template <class V>
Capability usable_capability_of() {
  const Capability device = capability(current_device());
  const int version = attributes(store_integers<V>).ptxVersion;
  const Capability code{version / 10, version % 10};
  return code < kCapabilityA100 ? std::min(device, code) : device;
}

/// Whether a path is carried out by flash's kernels on the current device: flash itself, and the
/// memory-efficient path where flash's kernels, which are the faster ones, can take the problem.
/// @throws unsupported_error if flash's kernels were compiled for a capability that has none
template <class V>
bool runs_flash(Path path, const Problem& problem) {
  if (path == Path::math) return false;
  const Capability usable = usable_capability_of<V>();
  const bool can_run = can(Path::flash, problem, usable);
  if (path == Path::flash && !can_run)
    throw unsupported_error("the flash path cannot run", {compiled_for(usable)});
  return can_run;
}

}  // namespace attend::cuda
