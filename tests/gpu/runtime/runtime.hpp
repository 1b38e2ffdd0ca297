#pragma once

#include <cuda_runtime_api.h>

#include <cstdio>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "gpu/runtime/context.hpp"
#include "gpu/runtime/control.hpp"
#include "gpu/runtime/registry.hpp"
#include "gpu/runtime/schedule.hpp"

namespace gpu::runtime {

/// Why a call fails, on its way to the caller.
struct ApiError {
  cudaError_t code;
  std::string message;
};

[[noreturn]] inline void fail(cudaError_t code, std::string message = "") {
  throw ApiError{code, std::move(message)};
}

/// Page-locked or managed memory.
struct HostBlock {
  void* data = nullptr;
  std::size_t bytes = 0;
  unsigned flags = 0;
  enum class Origin { allocated, registered, managed } origin = Origin::allocated;
};

/// The state of the process.
class Runtime {
 public:
  std::recursive_mutex mutex;
  Registry registry;
  RuntimeOptions options;
  Patch patch;
  std::vector<std::unique_ptr<Context>> contexts;
  std::unique_ptr<Schedule> schedule;
  std::vector<std::unique_ptr<Event>> events;
  std::vector<std::unique_ptr<Graph>> graphs;       // cudaGraph_t
  std::vector<std::unique_ptr<Graph>> executables;  // cudaGraphExec_t
  std::map<const void*, HostBlock> host_blocks;     // by address
  std::vector<Report> failures;
  std::deque<LaunchRecord> launches;
  std::uint64_t captures = 0, stream_ids = 0;

  Runtime();
  void restart(const RuntimeOptions& wanted);

  /// The calling thread's device.
  Context& context();
  Context& context(int ordinal);
  /// The device whose memory the address belongs to; nullptr: host memory.
  Context* owner(const void* address) const;
  /// The device on which a live allocation starts at the address. Throws ApiError.
  Context& holder(const void* address) const;
  /// The page-locked or managed block that holds the address, or nullptr.
  const HostBlock* host_block(const void* address) const;
  /// Throws ApiError for a handle that is none.
  Stream& stream(cudaStream_t handle);
  Event& event(cudaEvent_t handle);
};

Runtime& runtime();

/// What belongs to a host thread.
struct ThreadState {
  int device = 0;
  cudaError_t last_error = cudaSuccess;
};
ThreadState& thread_state();

/// The body of an API function: locks, turns exceptions into codes, remembers the error.
template <typename Body>
cudaError_t call_always(Body&& body) noexcept {
  cudaError_t code = cudaSuccess;
  std::string message;
  try {
    std::lock_guard lock(runtime().mutex);
    code = body(runtime());
  } catch (const ApiError& error) {
    code = error.code;
    message = error.message;
  } catch (const OutOfMemory&) {
    code = cudaErrorMemoryAllocation;
  } catch (const std::bad_alloc&) {
    code = cudaErrorMemoryAllocation;
  } catch (const std::exception& error) {
    code = cudaErrorInvalidValue;
    message = error.what();
  }
  if (code != cudaSuccess) thread_state().last_error = code;
  if (!message.empty() && runtime().options.print_failures) {
    std::fprintf(stderr, "emulated GPU: %s (%s)\n", cudaGetErrorName(code), message.c_str());
  }
  return code;
}

/// The same for calls that fail once a kernel of the device has failed.
template <typename Body>
cudaError_t call(Body&& body) noexcept {
  return call_always([&](Runtime& r) {
    if (r.context().sticky != cudaSuccess) return r.context().sticky;
    cudaError_t code = body(r);
    return code == cudaSuccess ? r.context().sticky : code;
  });
}

}  // namespace gpu::runtime
