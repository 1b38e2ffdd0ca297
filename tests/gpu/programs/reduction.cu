// A sum: a tree in shared memory, then warp shuffles, then one atomic per block.
#include "support.cuh"

__global__ void reduction_kernel(const float* values, int count, float* sum) {
  __shared__ float partial[256];
  unsigned thread = threadIdx.x;
  float own = 0.0f;
  for (int i = int(blockIdx.x * blockDim.x + thread); i < count; i += int(gridDim.x * blockDim.x)) {
    own += values[i];
  }
  partial[thread] = own;
  __syncthreads();
  for (unsigned width = blockDim.x / 2; width >= 32; width /= 2) {
    if (thread < width) partial[thread] += partial[thread + width];
    __syncthreads();
  }
  if (thread < 32) {
    float value = partial[thread];
    for (int offset = 16; offset > 0; offset /= 2) {
      value += __shfl_down_sync(0xffffffffu, value, offset);
    }
    if (thread == 0) atomicAdd(sum, value);
  }
}

namespace programs {

Outcome reduction() {
  return guarded([] {
    Random random(1);
    // Multiples of 1/64: every order of addition gives the same sum.
    auto values = make_vector<float>(10007, [&] { return float(random.below(128)) / 64.0f; });
    double expected = 0;
    for (float value : values) expected += value;
    DeviceArray<float> device(values), sum(1);
    sum.zero();
    reduction_kernel<<<7, 256>>>(device.data(), int(values.size()), sum.data());
    check_launch();
    return difference(sum.to_host(), std::vector<double>{expected});
  });
}

}  // namespace programs
