// The kernels of the backward passes.
#include <attend/cuda/launch/flash_backward.cuh>
#include <attend/cuda/launch/math_backward.cuh>
#include <attend/cuda/launch/mem_efficient_backward.cuh>

namespace attend::cuda {

template void launch_flash_backward(const Problem&, Variant<float>, const BackwardTensors<F16>&,
                                    const View<RowGradient<float>, 3>&, cudaStream_t);
template void launch_mem_efficient_backward(const Problem&, Variant<float>,
                                            const BackwardTensors<F16>&,
                                            const View<RowGradient<float>, 3>&, cudaStream_t);
template void launch_mem_efficient_backward(const Problem&, Variant<float>,
                                            const BackwardTensors<float>&,
                                            const View<RowGradient<float>, 3>&, cudaStream_t);
template void launch_math_backward(const Problem&, const Variant<float>&,
                                   const BackwardTensors<float>&,
                                   const View<RowGradient<float>, 3>&, cudaStream_t);
template void launch_math_backward(const Problem&, const Variant<double>&,
                                   const BackwardTensors<double>&,
                                   const View<RowGradient<double>, 3>&, cudaStream_t);

}  // namespace attend::cuda
