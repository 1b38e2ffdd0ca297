#pragma once

#include "launch/backward.cuh"
#include "launch/forward.cuh"

/// @file
/// What attend/cuda.hpp calls, compiled: once for each element type. For one file of a program.

namespace attend::cuda {

Capability usable_capability() { return usable_capability_of<Variant<float>>(); }

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

}  // namespace attend::cuda
