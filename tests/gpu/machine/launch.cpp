#include "gpu/machine/launch.hpp"

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "gpu/machine/worker.hpp"
#include "gpu/program/program.hpp"

namespace gpu {

Counts collect(const Module::Program& program, const std::vector<std::unique_ptr<Worker>>& workers);

namespace {

std::size_t round_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

std::size_t shared_of(const Kernel& kernel, std::size_t dynamic_bytes) {
  return dynamic_bytes == 0 ? kernel.static_shared_bytes
                            : round_up(kernel.static_shared_bytes, 16) + dynamic_bytes;
}

std::string text(const Dim3& d) {
  return std::to_string(d.x) + " x " + std::to_string(d.y) + " x " + std::to_string(d.z);
}

/// Memory that cooperative groups use to wait for a whole grid; zero at the start of each launch.
class GridWorkspace {
 public:
  GridWorkspace(Memory& memory, bool needed) : memory_(memory) {
    if (!needed) return;
    address_ = memory.allocate(256, "grid workspace");
    memory.fill(address_, 0, 256);
  }
  ~GridWorkspace() {
    if (address_ != 0) memory_.release(address_);
  }
  GridWorkspace(const GridWorkspace&) = delete;
  GridWorkspace& operator=(const GridWorkspace&) = delete;
  Address address() const { return address_; }

 private:
  Memory& memory_;
  Address address_ = 0;
};

}  // namespace

int resident_blocks_per_sm(const Device& device, const Kernel& kernel, int threads_per_block,
                           std::size_t dynamic_shared_bytes) {
  if (threads_per_block <= 0 || threads_per_block > device.max_threads_per_block) return 0;
  const int warps = (threads_per_block + 31) / 32;
  int blocks = std::min(device.max_blocks_per_sm, device.max_threads_per_sm / (warps * 32));
  // registers are handed out to warps in pieces of 256
  const int per_warp = (kernel.registers * 32 + 255) / 256 * 256;
  blocks = std::min(blocks, device.registers_per_sm / std::max(1, per_warp * warps));
  const std::size_t shared = shared_of(kernel, dynamic_shared_bytes);
  if (shared > device.shared_per_block_optin) return 0;
  const std::size_t piece = round_up(shared + device.reserved_shared_per_block, 128);
  if (piece != 0) blocks = std::min(blocks, static_cast<int>(device.shared_per_sm / piece));
  return blocks;
}

std::optional<Refused> refuse(const Device& device, const Kernel& kernel,
                              const LaunchConfig& config, std::size_t shared_limit) {
  const auto refused = [](Refusal refusal, std::string message) {
    return Refused{refusal, std::move(message)};
  };
  const Dim3& block = config.block;
  const Dim3& grid = config.grid;
  const Dim3& cluster = config.cluster;
  if (block.count() == 0 || grid.count() == 0) {
    return refused(Refusal::invalid_configuration,
                   "a grid of " + text(grid) + " blocks of " + text(block) + " threads is empty");
  }
  if (block.x > 1024 || block.y > 1024 || block.z > 64 ||
      block.count() > static_cast<std::uint64_t>(device.max_threads_per_block)) {
    return refused(Refusal::invalid_configuration,
                   "a block of " + text(block) +
                       " threads is larger than the device allows (1024; " +
                       "1024 x 1024 x 64 by axis)");
  }
  if (grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535) {
    return refused(Refusal::invalid_configuration,
                   "a grid of " + text(grid) + " blocks is larger than 2147483647 x 65535 x 65535");
  }
  if (block.count() > static_cast<std::uint64_t>(kernel.max_threads_per_block())) {
    return refused(Refusal::too_many_resources,
                   "a block of " + text(block) + " threads is larger than the kernel's bound of " +
                       std::to_string(kernel.max_threads_per_block()));
  }
  const auto& required = kernel.required_threads;
  if (required[0] != 0 &&
      block.count() != static_cast<std::uint64_t>(required[0] * required[1] * required[2])) {
    return refused(Refusal::too_many_resources, "the kernel requires another block size");
  }
  if (cluster.count() == 0 ||
      cluster.count() > static_cast<std::uint64_t>(device.max_cluster_size) ||
      grid.x % cluster.x != 0 || grid.y % cluster.y != 0 || grid.z % cluster.z != 0) {
    return refused(Refusal::invalid_configuration,
                   "clusters of " + text(cluster) + " blocks do not fit the device or the grid");
  }
  const std::size_t shared = shared_of(kernel, config.dynamic_shared_bytes);
  if (shared >
      std::min(std::max(shared_limit, device.shared_per_block), device.shared_per_block_optin)) {
    return refused(Refusal::too_much_shared,
                   std::to_string(shared) + " bytes of shared memory asked for, " +
                       std::to_string(std::min(std::max(shared_limit, device.shared_per_block),
                                               device.shared_per_block_optin)) +
                       " allowed");
  }
  const int resident = resident_blocks_per_sm(device, kernel, static_cast<int>(block.count()),
                                              config.dynamic_shared_bytes);
  if (resident == 0) {
    return refused(Refusal::too_many_resources, "not one block fits on a multiprocessor");
  }
  if (config.cooperative && grid.count() > static_cast<std::uint64_t>(resident) *
                                               static_cast<std::uint64_t>(device.sm_count)) {
    return refused(Refusal::cooperative_too_large,
                   "a cooperative grid of " + text(grid) + " blocks can't be resident at once");
  }
  return std::nullopt;
}

LaunchResult launch(const Device& device, const Kernel& kernel, const LaunchConfig& config,
                    std::span<const std::byte> parameters, const LaunchOptions& options) {
  if (parameters.size() != kernel.parameter_bytes) {
    throw std::invalid_argument("kernel " + kernel.name + " takes " +
                                std::to_string(kernel.parameter_bytes) +
                                " bytes of parameters, not " + std::to_string(parameters.size()));
  }
  if (const auto refused = refuse(device, kernel, config, device.shared_per_block_optin)) {
    throw std::invalid_argument(refused->message);
  }
  Memory& memory = kernel.module->memory();
  const GridWorkspace workspace(memory, config.cooperative);
  LaunchState state{.device = device,
                    .kernel = kernel,
                    .config = config,
                    .options = options,
                    .parameters = {parameters.begin(), parameters.end()},
                    .allocations = memory.snapshot(),
                    .grid_workspace = workspace.address(),
                    .blocks = config.grid.count(),
                    .resident_limit = 0,
                    .mutex = {},
                    .changed = {},
                    .started = 0,
                    .finished = 0,
                    .paused = {},
                    .order = {},
                    .stop = false,
                    .reports = {},
                    .known = {},
                    .error = {}};
  state.resident_limit =
      static_cast<std::uint64_t>(device.sm_count) *
      static_cast<std::uint64_t>(
          std::max(1, resident_blocks_per_sm(device, kernel, static_cast<int>(config.block.count()),
                                             config.dynamic_shared_bytes)));
  const unsigned cores = options.threads > 0 ? static_cast<unsigned>(options.threads)
                                             : std::max(1u, std::thread::hardware_concurrency());
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(cores, state.blocks));
  std::vector<std::unique_ptr<Worker>> workers;
  for (std::size_t i = 0; i < count; ++i) workers.push_back(std::make_unique<Worker>(state));
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < count; ++i) {
      threads.emplace_back([&worker = *workers[i]] { worker.run(); });
    }
    workers[0]->run();
  }
  state.paused.clear();
  if (state.error) std::rethrow_exception(state.error);
  LaunchResult result;
  result.failures = std::move(state.reports);
  result.counts = collect(kernel.module->program(), workers);
  result.counts.blocks = state.started;
  return result;
}

}  // namespace gpu
