// What a device, and calls on one, answer.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cstddef>
#include <string>

namespace device {

/// Bytes that the current device has left, when its work is done.
inline std::size_t free_bytes() {
  std::size_t free = 0, total = 0;
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  return free;
}

/// What the value_error of a call says; "taken" if there is none.
template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const attend::value_error& error) {
    return error.what();
  }
  return "taken";
}

}  // namespace device
