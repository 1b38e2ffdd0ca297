// One bug per kernel. A comment "BUG name" marks the line that a report has to name.
#include "bugs.hpp"
#include "instructions.cuh"
#include "support.cuh"

__global__ void race_read_after_write_kernel(int* out) {
  __shared__ int values[64];
  values[threadIdx.x] = 0;
  __syncthreads();
  values[threadIdx.x] = int(threadIdx.x);       // BUG race_read_after_write
  out[threadIdx.x] = values[63 - threadIdx.x];  // BUG race_read_after_write
}

__global__ void race_write_after_read_kernel(int* out) {
  __shared__ int values[64];
  values[threadIdx.x] = int(threadIdx.x);
  __syncthreads();
  int other = values[63 - threadIdx.x];  // BUG race_write_after_read
  values[threadIdx.x] = 2 * other;       // BUG race_write_after_read
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];
}

__global__ void race_within_warp_kernel(int* out) {
  __shared__ int values[32];
  values[threadIdx.x] = int(threadIdx.x);
  out[threadIdx.x] = values[(threadIdx.x + 1) % 32];  // BUG race_within_warp
}

__global__ void missing_copy_wait_kernel(const int* in, int* out) {
#if __CUDA_ARCH__ >= 800
  __shared__ __align__(16) int values[128];
  programs::cp_async_16(values + threadIdx.x * 4, in + threadIdx.x * 4, true);
  programs::cp_async_commit();
  programs::cp_async_wait<1>();  // should be 0
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];  // BUG missing_copy_wait
  programs::cp_async_wait<0>();
#endif
}

__global__ void pending_copies_kernel(const int* in, int* out) {
#if __CUDA_ARCH__ >= 800
  __shared__ __align__(16) int values[128];
  out[threadIdx.x] = int(threadIdx.x);
  programs::cp_async_16(values + threadIdx.x * 4, in + threadIdx.x * 4, true);
  programs::cp_async_commit();
#endif
}

__global__ void global_past_end_kernel(const int* in, int* out) {
  out[threadIdx.x] = in[threadIdx.x + 1];  // BUG global_past_end
}

__global__ void shared_past_end_kernel(int* out, int shift) {
  __shared__ int values[32];
  values[threadIdx.x + shift] = 1;  // BUG shared_past_end
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];
}

__global__ void local_past_end_kernel(int* out, int count) {
  volatile int values[8];
  for (int i = 0; i < count; ++i) values[i] = i * i;  // BUG local_past_end
  out[threadIdx.x] = values[count / 2];
}

__global__ void copy_kernel(const int* in, int* out) {
  out[threadIdx.x] = in[threadIdx.x];  // BUG freed_memory
}

__global__ void uninitialised_shared_kernel(int* out) {
  __shared__ int values[33];
  values[threadIdx.x] = int(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x + 1];  // BUG uninitialised_shared
}

__global__ void uninitialised_branch_kernel(const int* in, int* out) {
  int sum = 0;
  for (int i = 0; i < 4; ++i) {
    if (in[i] > 3) {  // BUG uninitialised_branch
      out[threadIdx.x] = ++sum;
      __threadfence();
    }
  }
}

__global__ void uninitialised_index_kernel(const int* in, int* out) {
  out[in[threadIdx.x] & 31] = 1;  // BUG uninitialised_index
}

__global__ void misaligned_vector_kernel(const float* in, float4* out) {
  out[threadIdx.x] = *reinterpret_cast<const float4*>(in + 1);  // BUG misaligned_vector
}

__global__ void misaligned_matrix_kernel(uint32_t* out) {
  __shared__ __align__(16) __half values[8 * 68];
  for (int i = int(threadIdx.x); i < 8 * 68; i += 32) values[i] = __half(0.0f);
  __syncthreads();
  uint32_t r[4];
  // A pitch of 136 bytes: every other row is not aligned to 16.
  programs::ldmatrix_x4(r, values + threadIdx.x % 8 * 68);  // BUG misaligned_matrix
  out[threadIdx.x] = r[0];
}

__global__ void divergent_barrier_kernel(int* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = 1;
    __syncthreads();  // BUG divergent_barrier
  } else {
    out[threadIdx.x] = 2;
    __syncwarp(0xffff0000u);
    __syncthreads();  // BUG divergent_barrier
  }
  out[threadIdx.x] += 1;
}

__global__ void divergent_shuffle_kernel(const int* in, int* out) {
  int value = in[threadIdx.x];
  if (threadIdx.x < 16) {
    value = __shfl_xor_sync(0xffffffffu, value, 1);  // BUG divergent_shuffle
  } else {
    out[threadIdx.x] = 0;
    __syncwarp();  // BUG divergent_shuffle
  }
  out[threadIdx.x] = value;
}

__global__ void divergent_mma_kernel(float* out) {
  float d[4] = {};
  if (threadIdx.x != 5) programs::mma_m16n8k8(d, 0, 0, 0);  // BUG divergent_mma
  __syncwarp();                                             // BUG divergent_mma
  out[threadIdx.x] = d[0];
}

__global__ void endless_wait_kernel(volatile int* flag) {
  while (*flag == 0) {  // BUG endless_wait
  }
}

__global__ void failed_assertion_kernel(int* out) {
  if (threadIdx.x == 3) __trap();  // BUG failed_assertion
  out[threadIdx.x] = 0;
}

namespace programs {
namespace {

// Runs a launch on an input of `count` ints (undefined if not `filled`) and an output as long.
template <typename Launch>
Outcome run_bug(int count, bool filled, Launch&& launch) {
  return guarded([&] {
    DeviceArray<int> in(count), out(4 * count);
    if (filled) in.zero();
    launch(in.data(), out.data());
    check_launch();
    return 0.0;
  });
}

}  // namespace

Outcome race_read_after_write() {
  return run_bug(64, true, [](int*, int* out) { race_read_after_write_kernel<<<1, 64>>>(out); });
}
Outcome race_write_after_read() {
  return run_bug(64, true, [](int*, int* out) { race_write_after_read_kernel<<<1, 64>>>(out); });
}
Outcome race_within_warp() {
  return run_bug(32, true, [](int*, int* out) { race_within_warp_kernel<<<1, 32>>>(out); });
}
Outcome missing_copy_wait() {
  return run_bug(128, true,
                 [](int* in, int* out) { missing_copy_wait_kernel<<<1, 32>>>(in, out); });
}
Outcome pending_copies() {
  return run_bug(128, true, [](int* in, int* out) { pending_copies_kernel<<<1, 32>>>(in, out); });
}
Outcome global_past_end() {
  return run_bug(32, true, [](int* in, int* out) { global_past_end_kernel<<<1, 32>>>(in, out); });
}
Outcome shared_past_end() {
  return run_bug(32, true, [](int*, int* out) { shared_past_end_kernel<<<1, 32>>>(out, 2); });
}
Outcome local_past_end() {
  return run_bug(32, true, [](int*, int* out) { local_past_end_kernel<<<1, 32>>>(out, 9); });
}
Outcome freed_memory() {
  return guarded([] {
    DeviceArray<int> out(32);
    int* freed;
    {
      DeviceArray<int> in(std::vector<int>(32));
      freed = in.data();
    }
    copy_kernel<<<1, 32>>>(freed, out.data());
    check_launch();
    return 0.0;
  });
}
Outcome uninitialised_shared() {
  return run_bug(32, true, [](int*, int* out) { uninitialised_shared_kernel<<<1, 32>>>(out); });
}
Outcome uninitialised_branch() {
  return run_bug(32, false,
                 [](int* in, int* out) { uninitialised_branch_kernel<<<1, 32>>>(in, out); });
}
Outcome uninitialised_index() {
  return run_bug(32, false,
                 [](int* in, int* out) { uninitialised_index_kernel<<<1, 32>>>(in, out); });
}
Outcome misaligned_vector() {
  return run_bug(32, true, [](int* in, int* out) {
    misaligned_vector_kernel<<<1, 1>>>(reinterpret_cast<float*>(in),
                                       reinterpret_cast<float4*>(out));
  });
}
Outcome misaligned_matrix() {
  return run_bug(32, true, [](int*, int* out) {
    misaligned_matrix_kernel<<<1, 32>>>(reinterpret_cast<uint32_t*>(out));
  });
}
Outcome divergent_barrier() {
  return run_bug(32, true, [](int*, int* out) { divergent_barrier_kernel<<<1, 32>>>(out); });
}
Outcome divergent_shuffle() {
  return run_bug(32, true, [](int* in, int* out) { divergent_shuffle_kernel<<<1, 32>>>(in, out); });
}
Outcome divergent_mma() {
  return run_bug(32, true, [](int*, int* out) {
    divergent_mma_kernel<<<1, 32>>>(reinterpret_cast<float*>(out));
  });
}
Outcome endless_wait() {
  return run_bug(32, true, [](int* in, int*) { endless_wait_kernel<<<1, 32>>>(in); });
}
Outcome failed_assertion() {
  return run_bug(32, true, [](int*, int* out) { failed_assertion_kernel<<<1, 32>>>(out); });
}

const std::vector<Bug>& all_bugs() {
  using gpu::Fault;
  static const std::vector<Bug> bugs{
      {"race_read_after_write",
       race_read_after_write,
       {Fault::shared_race},
       cudaErrorLaunchFailure,
       75,
       ""},
      {"race_write_after_read",
       race_write_after_read,
       {Fault::shared_race},
       cudaErrorLaunchFailure,
       75,
       ""},
      {"race_within_warp", race_within_warp, {Fault::shared_race}, cudaErrorLaunchFailure, 75, ""},
      {"missing_copy_wait",
       missing_copy_wait,
       {Fault::copy_in_flight},
       cudaErrorLaunchFailure,
       80,
       ""},
      {"pending_copies", pending_copies, {Fault::pending_copy}, cudaErrorLaunchFailure, 80, ""},
      {"global_past_end",
       global_past_end,
       {Fault::out_of_bounds},
       cudaErrorIllegalAddress,
       75,
       "128 bytes"},
      {"shared_past_end", shared_past_end, {Fault::out_of_bounds}, cudaErrorIllegalAddress, 75, ""},
      {"local_past_end", local_past_end, {Fault::out_of_bounds}, cudaErrorIllegalAddress, 75, ""},
      {"freed_memory", freed_memory, {Fault::use_after_free}, cudaErrorIllegalAddress, 75, ""},
      {"uninitialised_shared",
       uninitialised_shared,
       {Fault::undefined_store},
       cudaErrorLaunchFailure,
       75,
       ""},
      {"uninitialised_branch",
       uninitialised_branch,
       {Fault::undefined_branch},
       cudaErrorLaunchFailure,
       75,
       ""},
      {"uninitialised_index",
       uninitialised_index,
       {Fault::undefined_address},
       cudaErrorLaunchFailure,
       75,
       ""},
      {"misaligned_vector",
       misaligned_vector,
       {Fault::misaligned},
       cudaErrorMisalignedAddress,
       75,
       "16"},
      {"misaligned_matrix",
       misaligned_matrix,
       {Fault::misaligned},
       cudaErrorMisalignedAddress,
       75,
       "16"},
      {"divergent_barrier",
       divergent_barrier,
       {Fault::barrier, Fault::divergence},
       cudaErrorLaunchFailure,
       75,
       ""},
      {"divergent_shuffle", divergent_shuffle, {Fault::divergence}, cudaErrorLaunchFailure, 75, ""},
      {"divergent_mma", divergent_mma, {Fault::divergence}, cudaErrorLaunchFailure, 75, ""},
      {"endless_wait", endless_wait, {Fault::deadlock}, cudaErrorLaunchTimeout, 75, ""},
      {"failed_assertion", failed_assertion, {Fault::trap}, cudaErrorLaunchFailure, 75, ""},
      {"missing_wgmma_fence",
       missing_wgmma_fence,
       {Fault::missing_fence},
       cudaErrorLaunchFailure,
       90,
       "wgmma.fence"},
      {"missing_wgmma_wait",
       missing_wgmma_wait,
       {Fault::product_in_flight},
       cudaErrorLaunchFailure,
       90,
       "wgmma.wait_group"},
      {"missing_proxy_fence",
       missing_proxy_fence,
       {Fault::missing_fence},
       cudaErrorLaunchFailure,
       90,
       "no fence.proxy.async"},
      {"proxy_fence_before_wait",
       proxy_fence_before_wait,
       {Fault::missing_fence},
       cudaErrorLaunchFailure,
       90,
       "no fence.proxy.async"},
      {"store_beside_copies",
       store_beside_copies,
       {Fault::shared_race},
       cudaErrorLaunchFailure,
       90,
       "with no barrier between"},
      {"three_warps", three_warps, {Fault::barrier}, cudaErrorLaunchFailure, 90, "four warps"},
      {"tile_overwritten",
       tile_overwritten,
       {Fault::shared_race},
       cudaErrorLaunchFailure,
       90,
       "wgmma.wait_group"},
      {"tile_past_end",
       tile_past_end,
       {Fault::out_of_bounds},
       cudaErrorIllegalAddress,
       90,
       "descriptor of B"},
  };
  return bugs;
}

}  // namespace programs
