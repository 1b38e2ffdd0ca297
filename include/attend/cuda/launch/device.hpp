#pragma once

#include <string>

#include "../../core/problem.hpp"
#include "../../select/obstacle.hpp"
#include "../../select/path.hpp"
#include "error.hpp"

/// @file
/// The CUDA devices there are, and which one is current.

namespace attend::cuda {

/// How many devices can be used: 0 without a GPU or without a driver.
inline int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  static_cast<void>(cudaGetLastError());
  return 0;
}

/// The calling thread's current device.
inline int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

/// One property of a device.
inline int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
  return value;
}

/// The compute capability of a device.
inline Capability capability(int device) {
  return {attribute(cudaDevAttrComputeCapabilityMajor, device),
          attribute(cudaDevAttrComputeCapabilityMinor, device)};
}

/// Where memory lies, as far as CUDA knows. It does not know the host's own memory
/// (cudaMemoryTypeUnregistered), and neither what a stream takes while it is captured: that is
/// there when the graph runs.
inline cudaPointerAttributes attributes_of(const void* memory) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, memory), "cudaPointerGetAttributes");
  return attributes;
}

/// Makes a device current for as long as the object lives.
class CurrentDevice {
 public:
  /// From here on.
  explicit CurrentDevice(int device) : before_(current_device()), device_(device) {
    if (device_ != before_) check(cudaSetDevice(device_), "cudaSetDevice");
  }
  ~CurrentDevice() {
    if (device_ != before_) ignore(cudaSetDevice(before_));
  }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

  /// The device.
  int device() const { return device_; }

 private:
  int before_;
  int device_;
};

}  // namespace attend::cuda
