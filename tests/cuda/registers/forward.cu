// The forward kernels, for each architecture's own compiler to say whether their registers suffice.
#include <attend/cuda/launch/flash.cuh>
#include <attend/cuda/launch/math.cuh>
#include <attend/cuda/launch/mem_efficient.cuh>

namespace attend::cuda {

template void launch_flash(const Problem&, const Variant<float>&, const ForwardTensors<F16>&,
                           cudaStream_t);
template void launch_mem_efficient(const Problem&, const Variant<float>&,
                                   const ForwardTensors<F16>&, cudaStream_t);
template void launch_mem_efficient(const Problem&, const Variant<float>&,
                                   const ForwardTensors<float>&, cudaStream_t);
template void launch_math(const Problem&, const Variant<float>&, const ForwardTensors<float>&,
                          cudaStream_t);
template void launch_math(const Problem&, const Variant<double>&, const ForwardTensors<double>&,
                          cudaStream_t);

}  // namespace attend::cuda
