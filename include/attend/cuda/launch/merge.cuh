#pragma once

#include "../kernel/merge.cuh"
#include "launch.cuh"
#include "merge.hpp"

/// @file
/// The kernels' half of the seam's part for `merge`.

namespace attend::cuda {

/// As many blocks as take a warp for each row.
template <class T>
Grid row_grid(const View<T, 3>& lse) {
  return {(lse.size() + kMergeWarps - 1) / kMergeWarps, kMergeWarps * kWarp};
}

template <class T>
void merge(const MergeTensors<T>& tensors, cudaStream_t stream) {
  launch("merge", merge_rows<T>, row_grid(tensors.lse), stream, tensors);
}

template <class T>
void merge_backward(const MergeGradientTensors<T>& tensors, cudaStream_t stream) {
  launch("merge_backward", merge_gradients<T>, row_grid(tensors.part_grad_lse), stream, tensors);
}

}  // namespace attend::cuda
