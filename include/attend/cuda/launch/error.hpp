#pragma once

#include <cuda_runtime_api.h>

#include "../../core/error.hpp"

/// @file
/// The CUDA runtime's error codes as exceptions.

namespace attend::cuda {

/// Throws unless a call of the CUDA runtime succeeded. The runtime's memory of the error is wiped,
/// so that calls of other people's do not report it as theirs.
/// @throws device_error with the call, its code and the runtime's text for it.
inline void check(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  throw device_error(call, static_cast<int>(code), cudaGetErrorString(code));
}

/// Drops the error of a call in a destructor, which can't throw, and wipes the runtime's memory of
/// it.
inline void ignore(cudaError_t code) {
  if (code != cudaSuccess) static_cast<void>(cudaGetLastError());
}

}  // namespace attend::cuda
