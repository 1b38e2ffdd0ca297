#pragma once

#include <compare>

/// @file
/// The ways to compute attention, and the original's table of which device takes which.

namespace attend {

/// A way to compute attention.
enum class Path {
  math,           ///< scores in memory; host and device; the reference
  fused,          ///< online softmax over tiles, on the host
  flash,          ///< the flash kernel, on a CUDA device
  mem_efficient,  ///< the memory-efficient kernel, on a CUDA device
};

/// "math", "fused", "flash" or "mem_efficient".
constexpr const char* name(Path path) {
  switch (path) {
    case Path::math:
      return "math";
    case Path::fused:
      return "fused";
    case Path::flash:
      return "flash";
    case Path::mem_efficient:
      return "mem_efficient";
  }
  return "unknown";
}

/// Compute capability of a CUDA device, `{8, 0}` for an A100. `{0, 0}`: no device.
struct Capability {
  int major = 0;  ///< generation
  int minor = 0;  ///< within it

  /// Equal if both numbers are.
  friend constexpr bool operator==(const Capability&, const Capability&) = default;
  /// Ordered as versions are.
  friend constexpr auto operator<=>(const Capability&, const Capability&) = default;
};

/// Capability of the A100, the one device for which the rule prefers the flash kernel.
inline constexpr Capability kCapabilityA100{8, 0};

/// Which kernels are enabled: the original's triple (enable_flash, enable_math,
/// enable_mem_efficient).
struct Backends {
  bool flash = false;          ///< the flash kernel
  bool math = false;           ///< the math path
  bool mem_efficient = false;  ///< the memory-efficient kernel
};

/// The original's rule: an A100 takes flash alone, every other device math and mem-efficient.
constexpr Backends backends(Capability capability) {
  if (capability == kCapabilityA100) return {.flash = true};
  return {.math = true, .mem_efficient = true};
}

}  // namespace attend
