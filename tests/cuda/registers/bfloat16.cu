// Kernels of bfloat16 that need nearly all registers, and those that other types have not.
#include <attend/cuda/block/scalar_engine.cuh>
#include <attend/cuda/launch/flash.cuh>
#include <attend/cuda/launch/flash_backward.cuh>

namespace attend::cuda {

template void launch_flash(const Problem&, const Variant<float>&, const ForwardTensors<BF16>&,
                           cudaStream_t);
template void launch_flash_gradients<BF16, 64>(const Problem&, const Variant<float>&,
                                               const GradientCall<BF16>&, cudaStream_t);
template void launch_flash_gradients<BF16, 128>(const Problem&, const Variant<float>&,
                                                const GradientCall<BF16>&, cudaStream_t);
template void launch_flash_gradients<BF16, 256>(const Problem&, const Variant<float>&,
                                                const GradientCall<BF16>&, cudaStream_t);
template void launch_gradient_engine<ScalarGradientEngine<BF16>>(const Problem&,
                                                                 const Variant<float>&,
                                                                 const GradientCall<BF16>&,
                                                                 cudaStream_t);

}  // namespace attend::cuda
