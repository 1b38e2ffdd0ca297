#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/machine/counts.hpp"
#include "gpu/machine/device.hpp"
#include "gpu/machine/module.hpp"
#include "gpu/machine/report.hpp"

namespace gpu {

struct Dim3 {
  std::uint32_t x = 1, y = 1, z = 1;
  std::uint64_t count() const { return std::uint64_t{x} * y * z; }
};

struct LaunchConfig {
  Dim3 grid = {};
  Dim3 block = {};
  Dim3 cluster = {};  ///< in blocks; 1 x 1 x 1: no clusters
  std::size_t dynamic_shared_bytes = 0;
  bool cooperative = false;  ///< all blocks must be resident at once
};

/// When the data of asynchronous copies reaches shared memory.
enum class CopyTiming {
  by_seed,  ///< late or early, drawn from the seed
  late,     ///< only when a wait demands it
  early,    ///< as soon as the copy is issued
};

/// What happens when undefined bits are stored to global memory.
enum class UndefinedStores {
  fail,  ///< a failure (undefined_store)
  mark,  ///< the memory becomes undefined, nothing else
};

struct LaunchOptions {
  std::uint64_t seed = 0;  ///< order of warps and blocks, timing, perturbations
  CopyTiming copies = CopyTiming::by_seed;
  UndefinedStores undefined_stores = UndefinedStores::fail;
  bool shuffle = true;            ///< false: warps and blocks in their natural order
  bool perturb = true;            ///< approximations off by a little, mma sums in another order
  bool keep_going = false;        ///< failures become reports and the launch goes on
  std::size_t max_reports = 100;  ///< that are kept with keep_going
  std::uint64_t step_limit = 400'000'000;  ///< warp instructions per block before "deadlock"
  int threads = 0;                         ///< host threads; 0: all cores
  std::function<void(std::string_view)> print =
      {};  ///< for printf in kernels; none: standard output
};

struct LaunchResult {
  std::vector<Report> failures;  ///< empty: the launch succeeded; without keep_going at most one
  Counts counts;

  bool ok() const { return failures.empty(); }
};

/// Why a driver would refuse a launch.
enum class Refusal {
  invalid_configuration,  ///< a zero or too large grid, block or cluster
                          ///< (cudaErrorInvalidConfiguration)
  too_many_resources,     ///< block above the kernel's .maxntid, or too many registers
                          ///< (cudaErrorLaunchOutOfResources)
  too_much_shared,        ///< static + dynamic above the device's limit (cudaErrorInvalidValue)
  cooperative_too_large,  ///< more blocks than can be resident (cudaErrorCooperativeLaunchTooLarge)
  wrong_parameters,       ///< parameter buffer of the wrong size (cudaErrorInvalidValue)
};

/// A refusal and its reason in words.
struct Refused {
  Refusal refusal;
  std::string message;
};

/// Why the launch can't be made on this device; nothing if it can. `shared_limit`: bytes of shared
/// memory (static + dynamic) that the kernel was allowed, at least Device::shared_per_block.
std::optional<Refused> refuse(const Device& device, const Kernel& kernel,
                              const LaunchConfig& config, std::size_t shared_limit);

/// Blocks of that kernel that fit on one SM at the same time.
int resident_blocks_per_sm(const Device& device, const Kernel& kernel, int threads_per_block,
                           std::size_t dynamic_shared_bytes);

/// Runs the kernel to its end or its first failure. `parameters` has kernel.parameter_bytes bytes,
/// laid out as kernel.parameters says. The kernel's module must not be used by another launch that
/// writes to the same memory at the same time unless the program is right to do so. Throws
/// std::invalid_argument for a launch that refuse() refuses for any reason but the shared memory
/// limit.
LaunchResult launch(const Device& device, const Kernel& kernel, const LaunchConfig& config,
                    std::span<const std::byte> parameters, const LaunchOptions& options = {});

}  // namespace gpu
