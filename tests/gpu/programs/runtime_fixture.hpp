// What the tests of the runtime's calls share.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <vector>

#include "emulation.hpp"
#include "tasks.hpp"

#define ATTEND_EXPECT_CUDA(expected, call) \
  EXPECT_STREQ(cudaGetErrorName(expected), cudaGetErrorName(call))
#define ATTEND_EXPECT_OK(call) ATTEND_EXPECT_CUDA(cudaSuccess, call)

namespace programs {

class RuntimeTest : public testing::Test {
 protected:
  RuntimeTest() {
    emulation.print_failures = false;
    emulation.start({8, 0}, 1);
  }

  bool emulated() const { return emulation.control() != nullptr; }
  /// Device memory with these values.
  int* upload(const std::vector<int>& values) {
    int* data = nullptr;
    ATTEND_EXPECT_OK(cudaMalloc(&data, values.size() * sizeof(int)));
    ATTEND_EXPECT_OK(
        cudaMemcpy(data, values.data(), values.size() * sizeof(int), cudaMemcpyHostToDevice));
    return data;
  }
  std::vector<int> download(const int* data, size_t count) {
    std::vector<int> values(count);
    ATTEND_EXPECT_OK(cudaMemcpy(values.data(), data, count * sizeof(int), cudaMemcpyDeviceToHost));
    return values;
  }

  Emulation emulation;
};

inline constexpr int kSeeds = 12;

/// Two streams and an event.
class StreamTest : public RuntimeTest {
 protected:
  void start(int seed) {
    emulation.start({8, 0}, static_cast<std::uint64_t>(seed));
    ATTEND_EXPECT_OK(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
    ATTEND_EXPECT_OK(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    ATTEND_EXPECT_OK(cudaEventCreate(&event));
  }
  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t event = nullptr;
};

}  // namespace programs
