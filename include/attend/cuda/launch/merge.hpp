#pragma once

#include <cuda_runtime_api.h>

#include "../../core/merge.hpp"

/// @file
/// The seam's part for `merge`.

namespace attend::cuda {

/// Merges two parts in `stream` of the current device, on which all memory lies. `T` is float,
/// double, F16 or BF16. Returns before the work is done.
/// @throws device_error
template <class T>
void merge(const MergeTensors<T>& tensors, cudaStream_t stream);

/// The gradients of one of them, likewise.
template <class T>
void merge_backward(const MergeGradientTensors<T>& tensors, cudaStream_t stream);

}  // namespace attend::cuda
