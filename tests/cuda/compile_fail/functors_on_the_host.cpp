// refused: attend::cuda::functors are for device tensors
#include <attend/attend.hpp>
#include <attend/cuda.hpp>

void call(const attend::Attend<float>& attention, const attend::Tensor<float, 4>& x,
          const attend::cuda::Functors<float>& functors) {
  attention.forward(x, x, x, {}, functors);
}
