// One bug per kernel that multiplies by warpgroups. A comment "BUG name" marks the line that a
// report has to name.
#include "../bugs.hpp"
#include "../support.cuh"
#include "warpgroup.cuh"

namespace {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
constexpr int kTileBytes = 64 * 128;

__device__ unsigned char* first_tile() {
  extern __shared__ unsigned char shared_bytes[];
  return shared_bytes + (1024 - programs::shared_address(shared_bytes) % 1024) % 1024;
}

__device__ void copy(unsigned char* tile, const float* from, int first) {
  for (int i = first + int(threadIdx.x); i < kTileBytes / 16; i += 128) {
    programs::cp_async_16(tile + 16 * i, from + 4 * i, true);
  }
}

// 64 x 64 of ones: swizzling changes nothing.
__device__ void fill(unsigned char* tile) {
  for (int i = int(threadIdx.x); i < kTileBytes / 4; i += 128) {
    reinterpret_cast<uint32_t*>(tile)[i] = 0x3C003C00;
  }
}

__device__ inline void start(float (&d)[32], const unsigned char* a, const unsigned char* b) {
  programs::wgmma_m64n64k16(d, programs::swizzled_tile(a, 16, 1024),
                            programs::swizzled_tile(b, 16, 1024), false);
}

__device__ void store(const float (&d)[32], float* out) {
  for (int i = 0; i < 32; ++i) out[threadIdx.x + 128 * i] = d[i];
}
#endif

}  // namespace

__global__ void missing_wgmma_fence_kernel(float* out) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using namespace programs;
  unsigned char* tile = first_tile();
  fill(tile);
  fence_proxy_async();
  __syncthreads();
  float d[32];
  start(d, tile, tile);  // BUG missing_wgmma_fence
  wgmma_commit_group();
  wgmma_wait_group<0>();
  hold(d);
  store(d, out);
#endif
}

__global__ void missing_wgmma_wait_kernel(float* out) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using namespace programs;
  unsigned char* tile = first_tile();
  fill(tile);
  fence_proxy_async();
  __syncthreads();
  float d[32];
  wgmma_fence();
  start(d, tile, tile);
  wgmma_commit_group();
  wgmma_wait_group<1>();  // should be 0
  hold(d);
  for (int i = 0; i < 32; ++i) out[threadIdx.x + 128 * i] = 2 * d[i];  // BUG missing_wgmma_wait
  wgmma_wait_group<0>();
#endif
}

__global__ void missing_proxy_fence_kernel(float* out) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using namespace programs;
  unsigned char* tile = first_tile();
  fence_proxy_async();  // should be after the writes
  fill(tile);
  __syncthreads();
  float d[32];
  wgmma_fence();
  start(d, tile, tile);  // BUG missing_proxy_fence
  wgmma_commit_group();
  wgmma_wait_group<0>();
  hold(d);
  store(d, out);
#endif
}

__global__ void proxy_fence_before_wait_kernel(float* out) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using namespace programs;
  __shared__ uint64_t full;
  unsigned char* tile = first_tile();
  if (threadIdx.x == 0) mbarrier_init(&full, 128);
  __syncthreads();
  copy(tile, out, 0);
  mbarrier_arrive_after_copies(&full);
  fence_proxy_async();  // should be after the wait
  mbarrier_wait(&full, 0);
  float d[32];
  wgmma_fence();
  start(d, tile, tile);  // BUG proxy_fence_before_wait
  wgmma_commit_group();
  wgmma_wait_group<0>();
  hold(d);
  store(d, out);
#endif
}

__global__ void store_beside_copies_kernel(float* out) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using namespace programs;
  __shared__ uint64_t full;
  unsigned char* tile = first_tile();
  if (threadIdx.x == 0) mbarrier_init(&full, 128);
  __syncthreads();
  // The arrival orders the copies alone: these zeros should be copied, too.
  reinterpret_cast<uint4*>(tile)[threadIdx.x] = {};
  copy(tile, out, 128);
  mbarrier_arrive_after_copies(&full);
  mbarrier_wait(&full, 0);
  fence_proxy_async();
  float d[32];
  wgmma_fence();
  start(d, tile, tile);  // BUG store_beside_copies
  wgmma_commit_group();
  wgmma_wait_group<0>();
  hold(d);
  store(d, out);
#endif
}

__global__ void three_warps_kernel(float* out) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using namespace programs;
  unsigned char* tile = first_tile();
  fill(tile);
  fence_proxy_async();
  __syncthreads();
  float d[32] = {};
  if (threadIdx.x / 32 != 2) {
    wgmma_fence();
    start(d, tile, tile);  // BUG three_warps
    wgmma_commit_group();
    wgmma_wait_group<0>();
    hold(d);
  }
  store(d, out);
#endif
}

__global__ void tile_overwritten_kernel(float* out) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using namespace programs;
  unsigned char* tile = first_tile();
  fill(tile);
  fence_proxy_async();
  __syncthreads();
  float d[32];
  wgmma_fence();
  start(d, tile, tile);
  wgmma_commit_group();
  reinterpret_cast<uint32_t*>(tile)[threadIdx.x] = 0x40004000;  // BUG tile_overwritten
  wgmma_wait_group<0>();
  hold(d);
  store(d, out);
#endif
}

__global__ void tile_past_end_kernel(float* out) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using namespace programs;
  unsigned char* tile = first_tile();
  fill(tile);
  fence_proxy_async();
  __syncthreads();
  float d[32];
  wgmma_fence();
  uint64_t b = swizzled_tile(tile, 16, 2048);
  wgmma_m64n64k16(d, swizzled_tile(tile, 16, 1024), b, false);  // BUG tile_past_end
  wgmma_commit_group();
  wgmma_wait_group<0>();
  hold(d);
  store(d, out);
#endif
}

namespace programs {
namespace {

Outcome run_bug(void (*kernel)(float*)) {
  return guarded([&] {
    DeviceArray<float> out(128 * 32);
    kernel<<<1, 128, 9216>>>(out.data());
    check_launch();
    return 0.0;
  });
}

}  // namespace

Outcome missing_wgmma_fence() { return run_bug(missing_wgmma_fence_kernel); }
Outcome missing_wgmma_wait() { return run_bug(missing_wgmma_wait_kernel); }
Outcome missing_proxy_fence() { return run_bug(missing_proxy_fence_kernel); }
Outcome proxy_fence_before_wait() { return run_bug(proxy_fence_before_wait_kernel); }
Outcome store_beside_copies() { return run_bug(store_beside_copies_kernel); }
Outcome three_warps() { return run_bug(three_warps_kernel); }
Outcome tile_overwritten() { return run_bug(tile_overwritten_kernel); }
Outcome tile_past_end() { return run_bug(tile_past_end_kernel); }

}  // namespace programs
