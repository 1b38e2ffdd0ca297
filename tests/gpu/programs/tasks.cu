#include "tasks.hpp"

__constant__ int constant_values[4];
__device__ int device_values[4] = {1, 2, 3, 4};

__global__ void add_kernel(int* data, int value, int count) {
  int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) data[i] += value;
}
__global__ void multiply_kernel(int* data, int value, int count) {
  int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) data[i] *= value;
}
__global__ void copy_values_kernel(int* to, const int* from, int count) {
  int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) to[i] = from[i];
}
__global__ void write_even_kernel(float* to, int count) {
  int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count && i % 2 == 0) to[i] = 0.0f;
}
__global__ void shaped_kernel() {
  __shared__ volatile int values[256];
  values[threadIdx.x % 256] = 0;
}
__global__ void __launch_bounds__(64) bounded_kernel() {}
__global__ void add_symbols_kernel(int* to) {
  to[threadIdx.x] = constant_values[threadIdx.x] + device_values[threadIdx.x];
}

namespace programs {

void add(int* data, int value, int count, cudaStream_t stream) {
  add_kernel<<<(count + 31) / 32, 32, 0, stream>>>(data, value, count);
}
void multiply(int* data, int value, int count, cudaStream_t stream) {
  multiply_kernel<<<(count + 31) / 32, 32, 0, stream>>>(data, value, count);
}
void copy(int* to, const int* from, int count, cudaStream_t stream) {
  copy_values_kernel<<<(count + 31) / 32, 32, 0, stream>>>(to, from, count);
}
void write_even(float* to, int count) { write_even_kernel<<<(count + 31) / 32, 32>>>(to, count); }
cudaError_t launch_shaped(dim3 grid, dim3 block, size_t dynamic_bytes) {
  shaped_kernel<<<grid, block, dynamic_bytes>>>();
  return cudaGetLastError();
}
const void* shaped_kernel_address() { return reinterpret_cast<const void*>(&shaped_kernel); }
cudaError_t launch_bounded(int threads) {
  bounded_kernel<<<1, threads>>>();
  return cudaGetLastError();
}
const void* constant_symbol() { return constant_values; }
const void* device_symbol() { return device_values; }
void add_symbols(int* to) { add_symbols_kernel<<<1, 4>>>(to); }

}  // namespace programs
