#pragma once

#include <cstddef>
#include <utility>

#include "device.hpp"
#include "stream.hpp"

/// @file
/// Memory of a device.

namespace attend::cuda {

/// Bytes on a stream's device (see `Stream::device`), taken and given back in its order: from the
/// device's pool, where it has one.
class Memory {
 public:
  /// None.
  Memory() = default;

  /// @throws device_error if there is not enough.
  Memory(std::size_t bytes, Stream stream) : stream_(std::move(stream)), device_(stream_.device()) {
    if (bytes == 0) return;
    const CurrentDevice current(device_);
    pooled_ = attribute(cudaDevAttrMemoryPoolsSupported, device_) != 0;
    if (pooled_) {
      check(cudaMallocAsync(&data_, bytes, stream_.get()), "cudaMallocAsync");
    } else {
      check(cudaMalloc(&data_, bytes), "cudaMalloc");
    }
  }
  ~Memory() {
    if (data_ == nullptr) return;
    if (!pooled_) {
      ignore(cudaFree(data_));
      return;
    }
    int current = device_;  // the default stream is one of the current device's
    ignore(cudaGetDevice(&current));
    if (current != device_) ignore(cudaSetDevice(device_));
    ignore(cudaFreeAsync(data_, stream_.get()));
    if (current != device_) ignore(cudaSetDevice(current));
  }
  /// Takes over the other's bytes.
  Memory(Memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        stream_(other.stream_),
        device_(other.device_),
        pooled_(other.pooled_) {}
  /// Gives its own bytes back and takes over the other's.
  Memory& operator=(Memory&& other) noexcept {
    Memory taken(std::move(other));
    std::swap(data_, taken.data_);
    std::swap(stream_, taken.stream_);
    std::swap(device_, taken.device_);
    std::swap(pooled_, taken.pooled_);
    return *this;
  }

  /// The first byte; null if there is none.
  void* data() const { return data_; }
  /// In whose order it is given back.
  const Stream& stream() const { return stream_; }
  /// Where it lies.
  int device() const { return device_; }

 private:
  void* data_ = nullptr;
  Stream stream_ = Stream::default_stream();
  int device_ = 0;
  bool pooled_ = false;
};

}  // namespace attend::cuda
