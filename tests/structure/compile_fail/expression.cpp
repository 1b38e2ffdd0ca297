// refused: TensorOf|HostTensor
#include "tensors.hpp"

void call() { attention(q + q, k, v); }
