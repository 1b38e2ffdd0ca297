#pragma once

#include "launch/backward.cuh"
#include "launch/forward.cuh"
#include "launch/merge.cuh"

/// @file
/// What attend/cuda.hpp calls, compiled: once for each element type. For one file of a program.
///
/// Kernels of which there is more than one instance, and by what (57 have code for 7.5, 97 for 8.0,
/// 105 for 9.0a; elsewhere they are empty, see arch/compiled.cuh):
/// - flash, forward, on mma.sync or wgmma: half types, head dims to 32 (mma.sync alone), 64, 128
///   and 256, scores that are products or any, as registers and loops differ. Backward, of q, and
///   of k and v: the same, but with mma.sync only for any scores.
/// - flash of floats in parts, on mma.sync or wgmma: head dims to 64 and 128, scores that are
///   products or any.
/// - mem_efficient, forward and backward: element types, on tensor cores or by multiply-add; before
///   8.0 two widths; backward of floats on tensor cores two, too.
/// - bias_gradient: the engines of the backward passes.
/// - distrusted_gradients, distrusted_bias_gradient: half types.
/// - math, row_gradients, merge_splits, merge_rows, merge_gradients: element types.

namespace attend::cuda {

template Capability usable_capability<float>();

template void forward(Path, const Problem&, const Variant<float>&, const ForwardTensors<float>&,
                      const HostIntegers&, cudaStream_t);
template void forward(Path, const Problem&, const Variant<double>&, const ForwardTensors<double>&,
                      const HostIntegers&, cudaStream_t);
template void forward(Path, const Problem&, const Variant<float>&, const ForwardTensors<F16>&,
                      const HostIntegers&, cudaStream_t);
template void forward(Path, const Problem&, const Variant<float>&, const ForwardTensors<BF16>&,
                      const HostIntegers&, cudaStream_t);

template void backward(Path, const Problem&, const Variant<float>&, const BackwardTensors<float>&,
                       const HostIntegers&, cudaStream_t);
template void backward(Path, const Problem&, const Variant<double>&, const BackwardTensors<double>&,
                       const HostIntegers&, cudaStream_t);
template void backward(Path, const Problem&, const Variant<float>&, const BackwardTensors<F16>&,
                       const HostIntegers&, cudaStream_t);
template void backward(Path, const Problem&, const Variant<float>&, const BackwardTensors<BF16>&,
                       const HostIntegers&, cudaStream_t);

template void merge(const MergeTensors<float>&, cudaStream_t);
template void merge_backward(const MergeGradientTensors<float>&, cudaStream_t);
template void merge(const MergeTensors<double>&, cudaStream_t);
template void merge_backward(const MergeGradientTensors<double>&, cudaStream_t);
template void merge(const MergeTensors<F16>&, cudaStream_t);
template void merge_backward(const MergeGradientTensors<F16>&, cudaStream_t);
template void merge(const MergeTensors<BF16>&, cudaStream_t);
template void merge_backward(const MergeGradientTensors<BF16>&, cudaStream_t);

}  // namespace attend::cuda
