// refused: refers to lies on a device; expected tensors on the host, where q lies
#include <attend/attend.hpp>
#include <attend/cuda.hpp>

void call(const attend::Attend<float>& attention, const attend::Tensor<float, 4>& x,
          const attend::cuda::Tensor<int, 2>& ids) {
  attention.forward(x, x, x, {}, attend::document_mask(ids));
}
