// A user's functions, compiled into the kernels.
#include <attend/cuda.cuh>

#include "functions.hpp"

attend::cuda::Functors<float> first_keys(int count) {
  return attend::cuda::functors<float>(
      attend::score_mod([] __device__(auto score, attend::Index) { return score * 2.f; }),
      attend::mask_mod([=] __device__(attend::Index at) { return at.j < count; }));
}
