#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "gpu/runtime/runtime.hpp"

namespace gpu::runtime {

/// Rows of bytes on both sides; a plain copy has one row.
struct CopyShape {
  std::size_t width = 0;  ///< bytes per row
  std::size_t rows = 1;
  std::size_t to_pitch = 0;
  std::size_t from_pitch = 0;
};

/// Whether the call returns before the copy is done, where that is possible.
enum class Return { when_done, at_once };

/// Puts a copy on the stream as the runtime's rules on synchronisation say: from pageable memory
/// the bytes are taken at once; a copy to pageable memory is done when the call returns; copies
/// from and to page-locked memory happen later.
void copy(void* to, const void* from, CopyShape shape, cudaMemcpyKind kind, Stream& stream,
          Return when);

/// Sets rows of `width` bytes.
void fill(void* to, int value, CopyShape shape, Stream& stream, Return when);

}  // namespace gpu::runtime
