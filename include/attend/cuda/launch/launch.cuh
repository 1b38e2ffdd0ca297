#pragma once

#include <cstddef>
#include <cstdint>

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

/// Starts a kernel in a stream.
/// @throws device_error, named `what`
template <class... Parameters>
void launch(const char* what, void (*kernel)(Parameters...), const Grid& grid, cudaStream_t stream,
            std::type_identity_t<Parameters>... parameters) {
  if (grid.blocks == 0) return;
  void* pointers[] = {&parameters...};
  check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel),
                         dim3(static_cast<unsigned>(grid.blocks)),
                         dim3(static_cast<unsigned>(grid.threads)), pointers, grid.shared, stream),
        what);
}

}  // namespace attend::cuda
