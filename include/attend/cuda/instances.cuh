#pragma once

#include "launch/forward.cuh"

/// @file
/// What attend/cuda.hpp calls, compiled: once for each element type.

namespace attend::cuda {

template void forward(Path, const Problem&, const Variant<float>&, const ForwardTensors<float>&,
                      const HostIntegers&, cudaStream_t);
template void forward(Path, const Problem&, const Variant<double>&, const ForwardTensors<double>&,
                      const HostIntegers&, cudaStream_t);
template void forward(Path, const Problem&, const Variant<float>&, const ForwardTensors<F16>&,
                      const HostIntegers&, cudaStream_t);
template void forward(Path, const Problem&, const Variant<float>&, const ForwardTensors<BF16>&,
                      const HostIntegers&, cudaStream_t);

}  // namespace attend::cuda
