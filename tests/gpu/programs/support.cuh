// What the programs share: device arrays, inputs, comparison, errors as exceptions.
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "programs.hpp"

namespace programs {

struct Failure {
  cudaError_t error;
};

inline void check(cudaError_t error) {
  if (error != cudaSuccess) throw Failure{error};
}

// Reports a bad launch at once and a kernel's failure at the next synchronisation.
inline void check_launch() {
  check(cudaGetLastError());
  check(cudaDeviceSynchronize());
}

template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t size) : size_(size) { check(cudaMalloc(&data_, size * sizeof(T))); }
  explicit DeviceArray(const std::vector<T>& host) : DeviceArray(host.size()) {
    check(cudaMemcpy(data_, host.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(data_); }

  T* data() const { return data_; }
  size_t size() const { return size_; }
  void zero() { check(cudaMemset(data_, 0, size_ * sizeof(T))); }
  std::vector<T> to_host() const {
    std::vector<T> host(size_);
    check(cudaMemcpy(host.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
    return host;
  }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

// A small generator, the same everywhere (std::*_distribution is not).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 1) {}
  uint32_t bits() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<uint32_t>(state_ >> 32);
  }
  uint32_t below(uint32_t bound) { return bits() % bound; }
  float uniform() { return static_cast<float>(bits()) * 0x1p-31f - 1.0f; }  // [-1, 1]

 private:
  uint64_t state_;
};

template <typename T, typename Make>
std::vector<T> make_vector(size_t size, Make&& make) {
  std::vector<T> values(size);
  for (T& value : values) value = make();
  return values;
}

template <typename T, typename U>
double difference(const std::vector<T>& got, const std::vector<U>& expected) {
  if (got.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    double distance = std::abs(static_cast<double>(got[i]) - static_cast<double>(expected[i]));
    if (!(distance <= std::numeric_limits<double>::max())) {  // NaN too
      return std::numeric_limits<double>::infinity();
    }
    worst = std::max(worst, distance);
  }
  return worst;
}

// Runs `body`, which returns the difference from the CPU's result.
template <typename Body>
Outcome guarded(Body&& body) {
  try {
    return {cudaSuccess, body()};
  } catch (const Failure& failure) {
    return {failure.error, std::numeric_limits<double>::infinity()};
  }
}

}  // namespace programs
