#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "error.hpp"

/// @file
/// Launching a kernel, with its error at hand.

namespace attend::cuda {

/// How a kernel is started.
struct Grid {
  std::int64_t blocks;     ///< in one line; 0: nothing is started
  int threads;             ///< of a block
  std::size_t shared = 0;  ///< bytes of shared memory beyond what the kernel declares
};

/// Lets a kernel have more shared memory than the 48 KiB that every kernel may.
/// @throws device_error if the device has not as much
template <class... Parameters>
void allow_shared_memory(void (*kernel)(Parameters...), std::size_t bytes) {
  check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "cudaFuncSetAttribute of dynamic shared memory");
}

/// What the compiler made of a kernel for the current device.
/// @throws device_error if there is no code for it
template <class... Parameters>
cudaFuncAttributes attributes(void (*kernel)(Parameters...)) {
  cudaFuncAttributes found{};
  check(cudaFuncGetAttributes(&found, reinterpret_cast<const void*>(kernel)),
        "cudaFuncGetAttributes");
  return found;
}

/// @throws unsupported_error if no grid has so many blocks
inline void check_blocks(const char* what, std::int64_t blocks) {
  if (blocks <= INT32_MAX) return;
  throw unsupported_error(std::string(what) + " would have " + std::to_string(blocks) + " blocks",
                          {"a grid has at most 2^31 - 1"});
}

/// Starts a kernel in a stream.
/// @throws device_error, named `what`; unsupported_error if no grid has so many blocks
template <class... Parameters>
void launch(const char* what, void (*kernel)(Parameters...), const Grid& grid, cudaStream_t stream,
            std::type_identity_t<Parameters>... parameters) {
  if (grid.blocks == 0) return;
  check_blocks(what, grid.blocks);
  void* pointers[] = {&parameters...};
  check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel),
                         dim3(static_cast<unsigned>(grid.blocks)),
                         dim3(static_cast<unsigned>(grid.threads)), pointers, grid.shared, stream),
        what);
}

}  // namespace attend::cuda
