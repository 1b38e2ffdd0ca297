// refused: for tensors of the same element type
#include <attend/attend.hpp>
#include <attend/cuda.hpp>

void call(const attend::Attend<float>& attention, const attend::cuda::Tensor<float, 4>& x,
          const attend::cuda::Functors<attend::F16>& functors) {
  attention.forward(x, x, x, {}, functors);
}
