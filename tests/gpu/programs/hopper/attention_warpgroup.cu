// Softmax attention with the products of warpgroups: two of them hold 64 queries each and walk over
// the keys in tiles of 64 (head dim 64, f16 in, f32 out). The scores of the next tile are computed
// while the softmax of this one is, and the output of this one while the next turn of the loop
// begins (Shah et al., FlashAttention-3, 2024).
#include "../attention_reference.hpp"
#include "../support.cuh"
#include "warpgroup.cuh"

namespace {

constexpr int kHeadDim = 64;
constexpr int kKeys = 64;
constexpr int kQueries = 128;
constexpr int kStages = 4;
constexpr int kTileBytes = 64 * kHeadDim * int(sizeof(__half));
constexpr int kBytes = (kQueries / 64 + 2 * kStages) * kTileBytes + 1024;

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
// 64 rows, their pieces of 16 bytes permuted as the products expect it.
__device__ inline void copy_rows(unsigned char* tile, const __half* from, int row, int rows) {
  for (int i = int(threadIdx.x); i < 64 * 8; i += 256) {
    int r = i / 8, piece = i % 8;
    bool inside = row + r < rows;
    const __half* piece_from = inside ? from + size_t(row + r) * kHeadDim + piece * 8 : from;
    programs::cp_async_16(tile + r * 128 + (piece ^ r % 8) * 16, piece_from, inside);
  }
}

__device__ inline uint32_t pack(float low, float high) {
  __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

// rS = sQ sK^T: rows of 128 bytes are 64 along K, a product takes 16 of them.
__device__ inline void start_scores(float (&rS)[32], const unsigned char* sQ,
                                    const unsigned char* sK) {
  programs::wgmma_fence();
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    programs::wgmma_m64n64k16(rS, programs::swizzled_tile(sQ + 32 * i, 16, 1024),
                              programs::swizzled_tile(sK + 32 * i, 16, 1024), i > 0);
  }
  programs::wgmma_commit_group();
}
#endif

// q, k, v, out: (heads, length, 64), a block per 128 queries of a head.
__global__ void __launch_bounds__(256)
    attention_warpgroup_kernel(const __half* q, const __half* k, const __half* v, float* out,
                               int length, float scale_log2) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using namespace programs;
  extern __shared__ unsigned char shared_bytes[];
  unsigned char* tiles_begin =
      shared_bytes + (1024 - shared_address(shared_bytes) % 1024) % 1024;  // where a pattern begins
  unsigned char* sK = tiles_begin + 2 * kTileBytes;
  unsigned char* sV = sK + kStages * kTileBytes;
  int group = int(threadIdx.x) / 128, warp = int(threadIdx.x) / 32 % 4,
      lane = int(threadIdx.x) % 32;
  const unsigned char* sQ = tiles_begin + group * kTileBytes;
  size_t head = size_t(blockIdx.y) * length * kHeadDim;
  int first_query = int(blockIdx.x) * kQueries;
  int tiles = (length + kKeys - 1) / kKeys;

  auto copy_tile = [&](int tile) {
    copy_rows(sK + tile % kStages * kTileBytes, k + head, tile * kKeys, length);
    copy_rows(sV + tile % kStages * kTileBytes, v + head, tile * kKeys, length);
    cp_async_commit();
  };
  copy_rows(tiles_begin, q + head, first_query, length);
  copy_rows(tiles_begin + kTileBytes, q + head, first_query + 64, length);
  copy_tile(0);
  copy_tile(1);

  float rS[32], rNext[32], rO[32];
  float row_max[2] = {-INFINITY, -INFINITY}, row_sum[2] = {};
#pragma unroll
  for (int i = 0; i < 32; ++i) rO[i] = 0;

  cp_async_wait<1>();
  fence_proxy_async();
  __syncthreads();
  start_scores(rS, sQ, sK);
  wgmma_wait_group<0>();
  hold(rS);

  for (int tile = 0; tile < tiles; ++tile) {
    // Here the output of the last tile may be in flight still.
    cp_async_wait<0>();
    fence_proxy_async();
    __syncthreads();
    copy_tile(tile + 2);
    start_scores(rNext, sQ, sK + (tile + 1) % kStages * kTileBytes);

    if ((tile + 1) * kKeys > length) {
#pragma unroll
      for (int i = 0; i < 32; ++i) {
        if (tile * kKeys + i / 4 * 8 + lane % 4 * 2 + i % 2 >= length) rS[i] = -INFINITY;
      }
    }
    float rescale[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = row_max[half];
#pragma unroll
      for (int i = 0; i < 32; ++i) {
        if (i / 2 % 2 == half) most = fmaxf(most, rS[i]);
      }
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
      rescale[half] = exp2f((row_max[half] - most) * scale_log2);
      row_max[half] = most;
      row_sum[half] *= rescale[half];
#pragma unroll
      for (int i = 0; i < 32; ++i) {
        if (i / 2 % 2 != half) continue;
        rS[i] = exp2f(rS[i] * scale_log2 - most * scale_log2);
        row_sum[half] += rS[i];
      }
    }
    wgmma_wait_group<1>();  // the last tile's output has been added, and its rP read
    hold(rO);
    uint32_t rP[4][4];
#pragma unroll
    for (int i = 0; i < 16; ++i) rP[i / 4][i % 4] = pack(rS[2 * i], rS[2 * i + 1]);
#pragma unroll
    for (int i = 0; i < 32; ++i) rO[i] *= rescale[i / 2 % 2];
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < 4; ++i) {  // 16 keys are two groups of 8 rows of V
      wgmma_m64n64k16(rO, rP[i],
                      swizzled_tile(sV + tile % kStages * kTileBytes + 2048 * i, 8192, 1024));
    }
    wgmma_commit_group();
    wgmma_wait_group<1>();
    hold(rNext);
#pragma unroll
    for (int i = 0; i < 32; ++i) rS[i] = rNext[i];
  }
  wgmma_wait_group<0>();
  hold(rO);
  cp_async_wait<0>();

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float sum = row_sum[half];
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    int query = first_query + group * 64 + warp * 16 + lane / 4 + 8 * half;
    if (query >= length) continue;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      float2 pair = make_float2(rO[4 * n + 2 * half] / sum, rO[4 * n + 2 * half + 1] / sum);
      *reinterpret_cast<float2*>(out + head + size_t(query) * kHeadDim + n * 8 + lane % 4 * 2) =
          pair;
    }
  }
#endif
}

}  // namespace

namespace programs {
namespace {

// `checked` queries of each head are compared (evenly spread).
Outcome attend(int heads, int length, int checked) {
  return guarded([=] {
    Random random(12);
    size_t elements = size_t(heads) * length * kHeadDim;
    auto make = [&] { return __half(2 * random.uniform()); };
    auto q = make_vector<__half>(elements, make);
    auto k = make_vector<__half>(elements, make);
    auto v = make_vector<__half>(elements, make);
    DeviceArray<__half> device_q(q), device_k(k), device_v(v);
    DeviceArray<float> out(elements);
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(&attention_warpgroup_kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
    const float scale = 0.125f;
    dim3 grid((length + kQueries - 1) / kQueries, heads);
    attention_warpgroup_kernel<<<grid, 256, kBytes>>>(
        device_q.data(), device_k.data(), device_v.data(), out.data(), length, scale * 1.44269504f);
    check_launch();
    std::vector<float> got = out.to_host(), picked;
    std::vector<double> expected;
    for (int head = 0; head < heads; ++head) {
      for (int pick = 0; pick < checked; ++pick) {
        size_t base = size_t(head) * length * kHeadDim;
        size_t query = base + size_t((2 * pick + 1) * int64_t(length) / (2 * checked)) * kHeadDim;
        std::vector<double> row =
            attend_one(&q[query], &k[base], &v[base], length, kHeadDim, scale);
        picked.insert(picked.end(), &got[query], &got[query] + kHeadDim);
        expected.insert(expected.end(), row.begin(), row.end());
      }
    }
    return difference(picked, expected);
  });
}

}  // namespace

Outcome attention_warpgroup() { return attend(2, 150, 150); }
Outcome attention_warpgroup_large() { return attend(8, 512, 16); }

}  // namespace programs
