// refused: Call<float>
#include "tensors.hpp"

void call() { attention.forward(q, k, v, {.mask = bias}); }
