// Refused: ids on the host cannot be read by kernels.
#include <attend/attend.hpp>
#include <attend/cuda.cuh>

attend::cuda::Functors<float> documents(const attend::Tensor<int, 2>& ids) {
  return attend::cuda::functors<float>(attend::document_mask(ids));
}
