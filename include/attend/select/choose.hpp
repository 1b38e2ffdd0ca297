#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "obstacle.hpp"
#include "options.hpp"
#include "path.hpp"

/// @file
/// The choice of a path: per call, from where the tensors are and, on a device, its compute
/// capability.

namespace attend {

/// A path, and why it was taken.
struct Choice {
  Path path = Path::math;  ///< what runs
  std::string reason;      ///< one line
};

/// Forces a path on the calling thread for as long as the object lives, as
/// `torch.nn.attention.sdpa_kernel` does. A call's own `path` goes before it; of nested overrides
/// the innermost holds.
class PathOverride {
 public:
  /// From here on.
  explicit PathOverride(Path path) : outer_(current()) { current() = path; }
  ~PathOverride() { current() = outer_; }
  PathOverride(const PathOverride&) = delete;
  PathOverride& operator=(const PathOverride&) = delete;

  /// The calling thread's path, if one is forced.
  static std::optional<Path>& current() {
    thread_local std::optional<Path> path;
    return path;
  }

 private:
  std::optional<Path> outer_;
};

/// The path that the rule prefers, whether or not it can take the problem. Host: fused if `flash`,
/// else math. Device: math if not `flash`; capability 8.0 flash, every other mem-efficient.
constexpr Path preferred(Device device, bool flash, Capability capability) {
  if (!flash) return Path::math;
  if (device == Device::host) return Path::fused;
  return backends(capability).flash ? Path::flash : Path::mem_efficient;
}

/// Where the rule goes on if a path can't take the problem: flash, mem-efficient, math, which takes
/// all.
constexpr Path next(Path path) { return path == Path::flash ? Path::mem_efficient : Path::math; }

/// The path that is taken where none is forced: the preferred one, or the first after it that can
/// take the problem.
constexpr Path chosen(const Problem& problem, bool flash, Capability capability) {
  Path path = preferred(problem.device, flash, capability);
  while (path != Path::math && !can(path, problem, capability)) path = next(path);
  return path;
}

/// Says why a path that was forced can't take a problem.
[[noreturn]] inline void refuse(Path forced, std::vector<std::string> reasons) {
  throw unsupported_error(std::string("path ") + name(forced) + " was forced and cannot run",
                          std::move(reasons));
}

/// Chooses the path for a problem on a device of `capability` (not looked at for host tensors).
/// `forced`, else the calling thread's `PathOverride`, goes before the rule.
/// @throws unsupported_error with every reason, if a forced path can't take the problem.
inline Choice choose(const Problem& problem, const Options& options, Capability capability = {},
                     std::optional<Path> forced = {}) {
  const bool by_argument = forced.has_value();
  if (!by_argument) forced = PathOverride::current();
  if (forced) {
    if (!can(*forced, problem, capability)) refuse(*forced, why_not(*forced, problem, capability));
    return {*forced, by_argument ? "forced by the call" : "forced by a PathOverride"};
  }

  std::string reason = options.flash ? "flash is on" : "flash is off";
  if (problem.device == Device::host) {
    reason += "; the tensors lie on the host";
  } else if (options.flash) {
    reason += "; the device has compute capability " + text(capability);
  }
  const Path path = chosen(problem, options.flash, capability);
  for (Path refused = preferred(problem.device, options.flash, capability); refused != path;
       refused = next(refused))
    for (const std::string& obstacle : why_not(refused, problem, capability))
      reason += "; " + obstacle;
  return {path, reason};
}

}  // namespace attend
