#pragma once

#include <memory>
#include <utility>

#include "device.hpp"
#include "error.hpp"

/// @file
/// Queues of work on a device.

namespace attend::cuda {

/// A stream: work that is put into it is done in order. Copies are the same stream, which lives as
/// long as one of them, or memory that was taken on it, does.
class Stream {
 public:
  /// A new stream of the current device. It waits for the default stream's work, and the default
  /// stream for its.
  Stream() {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreate(&stream), "cudaStreamCreate");
    handle_ = {stream,
               [](void* own) { ignore(cudaStreamDestroy(static_cast<cudaStream_t>(own))); }};
  }

  /// A stream of the caller's, who keeps it alive until memory that was taken on it is gone.
  /// Null: the default stream.
  static Stream borrowed(cudaStream_t stream) {
    return Stream(std::shared_ptr<void>(std::shared_ptr<void>(), stream));
  }
  /// The default stream of whichever device is current.
  static Stream default_stream() { return borrowed(nullptr); }
  /// The stream that `shared_handle` stands for.
  static Stream of(std::shared_ptr<void> handle) { return Stream(std::move(handle)); }

  /// As the runtime knows it.
  cudaStream_t get() const { return static_cast<cudaStream_t>(handle_.get()); }
  /// Keeps the stream alive.
  const std::shared_ptr<void>& shared_handle() const { return handle_; }

  /// The device that runs its work; the current one for the default stream, and for every stream
  /// where CUDA or the driver is older than 12.8 and does not tell.
  int device() const {
#if CUDART_VERSION >= 12080
    if (get() != nullptr) {
      int device = 0;
      const cudaError_t answer = cudaStreamGetDevice(get(), &device);
      if (answer == cudaSuccess) return device;
      if (answer != cudaErrorCallRequiresNewerDriver) check(answer, "cudaStreamGetDevice");
      static_cast<void>(cudaGetLastError());
    }
#endif
    return current_device();
  }

  /// Whether work that is put into it becomes part of a graph.
  bool is_capturing() const {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check(cudaStreamIsCapturing(get(), &status), "cudaStreamIsCapturing");
    return status != cudaStreamCaptureStatusNone;
  }

  /// Waits for all work that was put into it.
  void synchronize() const { check(cudaStreamSynchronize(get()), "cudaStreamSynchronize"); }

 private:
  explicit Stream(std::shared_ptr<void> handle) : handle_(std::move(handle)) {}

  std::shared_ptr<void> handle_;
};

}  // namespace attend::cuda
