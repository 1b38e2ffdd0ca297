// Small kernels for the tests of the runtime.
#pragma once

#include <cuda_runtime_api.h>

namespace programs {

/// data[i] += value, data[i] *= value, to[i] = from[i].
void add(int* data, int value, int count, cudaStream_t stream = nullptr);
void multiply(int* data, int value, int count, cudaStream_t stream = nullptr);
void copy(int* to, const int* from, int count, cudaStream_t stream = nullptr);
/// Writes nothing where i % 2 == 1.
void write_even(float* to, int count);
/// A launch of a kernel with 1 KiB of static shared memory.
cudaError_t launch_shaped(dim3 grid, dim3 block, size_t dynamic_bytes);
const void* shaped_kernel_address();
/// A kernel with __launch_bounds__(64).
cudaError_t launch_bounded(int threads);
/// A kernel that exists for 9.0 and later only.
cudaError_t launch_hopper_only();

/// A __constant__ int[4], a __device__ int[4] that starts as {1, 2, 3, 4}.
const void* constant_symbol();
const void* device_symbol();
/// to[i] = constant[i] + variable[i].
void add_symbols(int* to);

}  // namespace programs
