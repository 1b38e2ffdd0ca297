#pragma once

#include <cuda_runtime_api.h>

#include "../../core/backward_tensors.hpp"
#include "forward.hpp"

/// @file
/// The seam's backward half.

namespace attend::cuda {

/// Runs a backward pass in `stream` of the current device, on which all memory lies but for the
/// integers `on_host`; `path` is one of the device's and can take the problem. `variant` has the
/// dropout of the forward pass. `T` is float, double, F16 or BF16. Returns before the work is done.
/// @throws device_error
template <class T>
void backward(Path path, const Problem& problem, const Variant<RealOf<T>>& variant,
              const BackwardTensors<T>& tensors, const HostIntegers& on_host, cudaStream_t stream);

}  // namespace attend::cuda
