#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../core/problem.hpp"
#include "path.hpp"

/// @file
/// What keeps a path from a problem. `choose` and `why_not` both ask here, so they can't disagree.

namespace attend {

/// A reason for which a path cannot take a problem.
enum class Obstacle {
  on_host,     ///< tensors on the host, path on a device
  on_device,   ///< tensors on a device, path on the host
  dtype,       ///< element type
  capability,  ///< device too old
  head_dim,    ///< head dim of q and k, or of v, too large
  length,      ///< too many queries or keys
};
/// Every obstacle, in the order in which reasons are listed.
inline constexpr Obstacle kObstacles[] = {Obstacle::on_host,  Obstacle::on_device,
                                          Obstacle::dtype,    Obstacle::capability,
                                          Obstacle::head_dim, Obstacle::length};

/// What a path's kernels are limited to.
struct PathLimits {
  Device device = Device::host;           ///< where it runs (math: both)
  Capability oldest = {0, 0};             ///< lowest compute capability
  std::int64_t max_head_dim = INT64_MAX;  ///< of q and k, and of v
  std::int64_t max_length = INT64_MAX;    ///< queries, and keys
};

/// The limits of each path.
constexpr PathLimits limits(Path path) {
  switch (path) {
    case Path::math:
    case Path::fused:
      return {};
    case Path::flash:
      return {Device::cuda, {8, 0}, 256, INT32_MAX - 255};  // it counts in 32 bits
    case Path::mem_efficient:
      return {Device::cuda, {7, 5}, INT64_MAX};
  }
  return {};
}

/// Whether a path has kernels for an element type.
constexpr bool takes(Path path, Dtype dtype) {
  if (path == Path::flash) return dtype == Dtype::f16 || dtype == Dtype::bf16;
  return path != Path::mem_efficient || dtype != Dtype::f64;
}

/// Whether one obstacle stands between a path and a problem on a device of the given capability.
constexpr bool stands(Obstacle obstacle, Path path, const Problem& problem, Capability capability) {
  const PathLimits limit = limits(path);
  switch (obstacle) {
    case Obstacle::on_host:
      return limit.device == Device::cuda && problem.device == Device::host;
    case Obstacle::on_device:
      return path == Path::fused && problem.device == Device::cuda;
    case Obstacle::dtype:
      return !takes(path, problem.dtype);
    case Obstacle::capability:
      return problem.device == Device::cuda && capability < limit.oldest;
    case Obstacle::head_dim:
      return problem.head_dim > limit.max_head_dim || problem.head_dim_v > limit.max_head_dim;
    case Obstacle::length:
      return problem.len_q > limit.max_length || problem.len_k > limit.max_length;
  }
  return true;
}

/// Whether a path can take a problem.
constexpr bool can(Path path, const Problem& problem, Capability capability) {
  for (const Obstacle obstacle : kObstacles)
    if (stands(obstacle, path, problem, capability)) return false;
  return true;
}

/// "8.0"
inline std::string text(Capability capability) {
  return std::to_string(capability.major) + "." + std::to_string(capability.minor);
}

/// The obstacle in words.
inline std::string text(Obstacle obstacle, Path path, const Problem& problem,
                        Capability capability) {
  const std::string the_path = std::string("the ") + name(path) + " path";
  switch (obstacle) {
    case Obstacle::on_host:
      return the_path + " runs on a CUDA device; q, k and v lie on the host";
    case Obstacle::on_device:
      return the_path + " runs on the host; q, k and v lie on a CUDA device";
    case Obstacle::dtype:
      return the_path + " takes " + (path == Path::flash ? "f16 and bf16" : "f16, bf16 and f32") +
             "; q, k and v are " + name(problem.dtype);
    case Obstacle::capability:
      return the_path + " needs compute capability " + text(limits(path).oldest) +
             "; the device has " + text(capability);
    case Obstacle::head_dim:
      return the_path + " takes head dims up to " + std::to_string(limits(path).max_head_dim) +
             "; q and k have " + std::to_string(problem.head_dim) + ", v has " +
             std::to_string(problem.head_dim_v);
    case Obstacle::length:
      return the_path + " takes up to " + std::to_string(limits(path).max_length) +
             " queries and keys; q has " + std::to_string(problem.len_q) + ", k has " +
             std::to_string(problem.len_k);
  }
  return "unknown";
}

/// Every reason for which `path` can't take `problem` on a device of `capability` (not looked at
/// for host tensors); empty if it can.
inline std::vector<std::string> why_not(Path path, const Problem& problem,
                                        Capability capability = {}) {
  std::vector<std::string> reasons;
  for (const Obstacle obstacle : kObstacles)
    if (stands(obstacle, path, problem, capability))
      reasons.push_back(text(obstacle, path, problem, capability));
  return reasons;
}

}  // namespace attend
