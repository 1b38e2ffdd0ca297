// A histogram: atomics in shared memory per block, then in global memory.
#include "support.cuh"

constexpr int kBins = 100;

__global__ void histogram_kernel(const unsigned char* values, int count, unsigned* bins) {
  __shared__ unsigned local[kBins];
  for (int bin = int(threadIdx.x); bin < kBins; bin += int(blockDim.x)) local[bin] = 0;
  __syncthreads();
  for (int i = int(blockIdx.x * blockDim.x + threadIdx.x); i < count;
       i += int(gridDim.x * blockDim.x)) {
    atomicAdd(&local[values[i]], 1u);
  }
  __syncthreads();
  for (int bin = int(threadIdx.x); bin < kBins; bin += int(blockDim.x)) {
    if (local[bin] != 0) atomicAdd(&bins[bin], local[bin]);
  }
}

namespace programs {

Outcome histogram() {
  return guarded([] {
    Random random(4);
    auto values = make_vector<unsigned char>(
        5001, [&] { return static_cast<unsigned char>(random.below(kBins)); });
    std::vector<unsigned> expected(kBins);
    for (unsigned char value : values) ++expected[value];
    DeviceArray<unsigned char> device(values);
    DeviceArray<unsigned> bins(kBins);
    bins.zero();
    histogram_kernel<<<5, 96>>>(device.data(), int(values.size()), bins.data());
    check_launch();
    return difference(bins.to_host(), expected);
  });
}

}  // namespace programs
