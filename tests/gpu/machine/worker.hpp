#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gpu/machine/block.hpp"
#include "gpu/machine/frame.hpp"
#include "gpu/machine/launch.hpp"

namespace gpu {

/// Thrown through the interpreter when a failure ends the launch, or to stop the other host
/// threads.
struct LaunchStopped {};

/// Counts of one instruction on one host thread.
struct SiteTally {
  std::uint64_t executed = 0;
  std::uint64_t lanes = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t read_sectors = 0;
  std::uint64_t written_sectors = 0;
  std::uint64_t phases = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t local_bytes = 0;
  std::uint64_t product_bytes = 0;

  SiteTally& operator+=(const SiteTally& other);
};

/// What all host threads of a launch share.
struct LaunchState {
  const Device& device;
  const Kernel& kernel;
  const LaunchConfig& config;
  const LaunchOptions& options;
  std::vector<std::byte> parameters;
  std::vector<std::shared_ptr<const Allocation>> allocations;
  Address grid_workspace = 0;  ///< of cooperative launches

  std::uint64_t blocks = 0;
  std::uint64_t resident_limit = 0;

  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t started = 0;
  std::uint64_t finished = 0;
  std::deque<std::unique_ptr<Block>> paused;
  std::vector<std::uint64_t> order;  ///< of the blocks of the current stretch
  std::atomic<bool> stop{false};
  std::vector<Report> reports;
  std::map<std::pair<const Instruction*, int>, std::size_t> known;  ///< report by place and fault
  std::exception_ptr error;

  void add_report(Report report, const Instruction* where);
  void print(std::string_view text);
};

/// One host thread of a launch.
class Worker {
 public:
  explicit Worker(LaunchState& launch);
  void run();

  LaunchState& launch;
  FramePool frames;
  /// By function index, then instruction.
  std::vector<std::vector<SiteTally>> tallies;
  SiteTally* tallies_of(const Function& function) {
    auto& of_function = tallies[static_cast<std::size_t>(function.index)];
    if (of_function.empty()) of_function.resize(function.code.size());
    return of_function.data();
  }
  std::uint64_t warps = 0;
  /// Allocation that served last; most accesses go to the same again.
  const Allocation* recent = nullptr;
  const Allocation* find(Address address, std::size_t bytes);

  std::uint64_t seed() const { return launch.options.seed; }

 private:
  std::unique_ptr<Block> next_block();
};

}  // namespace gpu
