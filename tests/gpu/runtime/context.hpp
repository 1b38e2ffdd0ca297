#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gpu/machine/device.hpp"
#include "gpu/machine/launch.hpp"
#include "gpu/machine/memory.hpp"
#include "gpu/machine/module.hpp"
#include "gpu/runtime/registry.hpp"
#include "gpu/runtime/stream.hpp"

namespace gpu::runtime {

/// A memory pool. It only keeps what it is told: memory comes from the device at once.
struct Pool {
  Context* context = nullptr;
  std::map<int, std::uint64_t> attributes;
  std::uint64_t used = 0, used_high = 0;
};

/// What a kernel was allowed on a device by cudaFuncSetAttribute.
struct FunctionLimits {
  std::size_t dynamic_shared = 0;
  int carveout = cudaSharedmemCarveoutDefault;
  bool non_portable_cluster = false;
};

/// One emulated device and all that lives on it.
struct Context {
  Context(const Device& device, int ordinal);

  const Device& device;
  int ordinal;
  std::unique_ptr<Memory> memory;
  cudaError_t sticky = cudaSuccess;  ///< of a kernel that failed; all calls give it from then on
  Stream legacy, per_thread;
  std::vector<std::unique_ptr<Stream>> streams;
  std::map<const Binary*, std::unique_ptr<Module>> modules;
  std::map<const HostFunction*, FunctionLimits> limits;
  std::map<const void*, std::size_t> pooled;  ///< sizes of what pools gave
  /// Addresses that allocation nodes of graphs gave. True: a launch left memory there, which has
  /// not been freed.
  std::map<const void*, bool> graph_memory;
  std::vector<std::unique_ptr<Pool>> pools;  ///< the first is the default one
  Pool* pool = nullptr;                      ///< the current one
  std::map<int, std::size_t> device_limits;
  std::uint64_t allocations = 0, launches = 0;

  /// The module of a fat binary, read at its first use. Throws ApiError where the device can't take
  /// any of its images.
  const Module& module(const Binary& binary);
  const Kernel& kernel(const HostFunction& function);
  const Variable& variable(const HostVariable& variable);
  /// Static and dynamic shared memory that launches of this kernel may use, in bytes.
  std::size_t shared_limit(const HostFunction& function, const Kernel& kernel) const;

  void* allocate(std::size_t bytes);  ///< null for none
  /// Live, or a graph's: that one may be live by the time a queued use of it runs.
  bool is_usable(const Allocation& allocation) const;
  /// Puts a launch on the stream after the checks that a driver makes at once.
  void launch(const HostFunction& function, const LaunchConfig& config, void** arguments,
              Stream& stream);
  /// All calls fail from now on; `message` goes to standard error.
  void fail(cudaError_t error, const std::string& message);

 private:
  void run(const Kernel& kernel, const LaunchConfig& config, const std::vector<std::byte>& buffer);
};

}  // namespace gpu::runtime
