// Softmax attention by tiles with an online softmax (Dao, FlashAttention-2, 2023): 4 warps hold 16
// queries each and walk over the keys in tiles of 64; head dim 64, f16 in, f32 out.
#include "attention_reference.hpp"
#include "instructions.cuh"
#include "support.cuh"

constexpr int kHeadDim = 64;
constexpr int kKeys = 64;
constexpr int kQueries = 64;
constexpr int kPitchHalf = kHeadDim + 8;  // 144 bytes: ldmatrix meets no bank twice
constexpr int kTileHalf = kKeys * kPitchHalf;
constexpr int kAttentionBytes = 5 * kTileHalf * int(sizeof(__half));  // Q, and K and V twice

#if __CUDA_ARCH__ >= 800
__device__ inline void copy_rows(__half* tile, const __half* from, int row, int rows) {
  for (int i = int(threadIdx.x); i < kKeys * kHeadDim / 8; i += 128) {
    int r = i / (kHeadDim / 8), c = i % (kHeadDim / 8) * 8;
    bool inside = row + r < rows;
    programs::cp_async_16(tile + r * kPitchHalf + c,
                          inside ? from + size_t(row + r) * kHeadDim + c : from, inside);
  }
}

__device__ inline uint32_t pack(float low, float high) {
  __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
#endif

// q, k, v, out: (heads, length, 64), a block per 64 queries of a head.
__global__ void __launch_bounds__(128)
    attention_kernel(const __half* q, const __half* k, const __half* v, float* out, int length,
                     float scale_log2) {
#if __CUDA_ARCH__ >= 800
  using namespace programs;
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  __half* sQ = reinterpret_cast<__half*>(shared_bytes);
  __half* sK = sQ + kTileHalf;
  __half* sV = sK + 2 * kTileHalf;
  int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  size_t head = size_t(blockIdx.y) * length * kHeadDim;
  int first_query = int(blockIdx.x) * kQueries;
  int tiles = (length + kKeys - 1) / kKeys;

  copy_rows(sQ, q + head, first_query, length);
  copy_rows(sK, k + head, 0, length);
  copy_rows(sV, v + head, 0, length);
  cp_async_commit();

  uint32_t rQ[4][4];
  float rO[8][4] = {};
  float row_max[2] = {-INFINITY, -INFINITY}, row_sum[2] = {};

  for (int tile = 0; tile < tiles; ++tile) {
    const __half* tK = sK + tile % 2 * kTileHalf;
    const __half* tV = sV + tile % 2 * kTileHalf;
    cp_async_wait<0>();
    __syncthreads();
    if (tile + 1 < tiles) {
      copy_rows(sK + (tile + 1) % 2 * kTileHalf, k + head, (tile + 1) * kKeys, length);
      copy_rows(sV + (tile + 1) % 2 * kTileHalf, v + head, (tile + 1) * kKeys, length);
      cp_async_commit();
    }
    if (tile == 0) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        ldmatrix_x4(rQ[i], sQ + (warp * 16 + lane % 16) * kPitchHalf + i * 16 + lane / 16 * 8);
      }
    }

    float rS[8][4] = {};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int n = 0; n < 8; n += 2) {
        uint32_t b[4];
        ldmatrix_x4(
            b, tK + (n * 8 + lane / 16 * 8 + lane % 8) * kPitchHalf + i * 16 + lane / 8 % 2 * 8);
        mma_m16n8k16(rS[n], rQ[i], b[0], b[1], __half{});
        mma_m16n8k16(rS[n + 1], rQ[i], b[2], b[3], __half{});
      }
    }
    if ((tile + 1) * kKeys > length) {
#pragma unroll
      for (int n = 0; n < 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (tile * kKeys + n * 8 + lane % 4 * 2 + i % 2 >= length) rS[n][i] = -INFINITY;
        }
      }
    }

#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = row_max[half];
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        most = fmaxf(most, fmaxf(rS[n][2 * half], rS[n][2 * half + 1]));
      }
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
      float rescale = exp2f((row_max[half] - most) * scale_log2);
      row_max[half] = most;
      row_sum[half] *= rescale;
#pragma unroll
      for (int n = 0; n < 8; ++n) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          rO[n][i] *= rescale;
          rS[n][i] = exp2f(rS[n][i] * scale_log2 - most * scale_log2);
          row_sum[half] += rS[n][i];
        }
      }
    }

#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t p[4] = {pack(rS[2 * i][0], rS[2 * i][1]), pack(rS[2 * i][2], rS[2 * i][3]),
                             pack(rS[2 * i + 1][0], rS[2 * i + 1][1]),
                             pack(rS[2 * i + 1][2], rS[2 * i + 1][3])};
#pragma unroll
      for (int n = 0; n < 8; n += 2) {
        uint32_t b[4];
        ldmatrix_x4_trans(b, tV + (i * 16 + lane % 16) * kPitchHalf + n * 8 + lane / 16 * 8);
        mma_m16n8k16(rO[n], p, b[0], b[1], __half{});
        mma_m16n8k16(rO[n + 1], p, b[2], b[3], __half{});
      }
    }
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float sum = row_sum[half];
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    int query = first_query + warp * 16 + lane / 4 + 8 * half;
    if (query >= length) continue;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      float2 pair = make_float2(rO[n][2 * half] / sum, rO[n][2 * half + 1] / sum);
      *reinterpret_cast<float2*>(out + head + size_t(query) * kHeadDim + n * 8 + lane % 4 * 2) =
          pair;
    }
  }
#endif
}

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
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(&attention_kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, kAttentionBytes));
    const float scale = 0.125f;
    dim3 grid((length + kQueries - 1) / kQueries, heads);
    attention_kernel<<<grid, 128, kAttentionBytes>>>(
        device_q.data(), device_k.data(), device_v.data(), out.data(), length, scale * 1.44269504f);
    check_launch();
    std::vector<float> got = out.to_host(), picked;
    std::vector<double> expected;
    for (int head = 0; head < heads; ++head) {
      for (int pick = 0; pick < checked; ++pick) {
        size_t base = size_t(head) * length;
        int query = int((2 * pick + 1) * int64_t(length) / (2 * checked));
        std::vector<double> row = attend_one(&q[(base + query) * kHeadDim], &k[base * kHeadDim],
                                             &v[base * kHeadDim], length, kHeadDim, scale);
        for (int c = 0; c < kHeadDim; ++c) {
          picked.push_back(got[(base + query) * kHeadDim + c]);
          expected.push_back(row[c]);
        }
      }
    }
    return difference(picked, expected);
  });
}

}  // namespace

Outcome attention() { return attend(2, 150, 150); }
Outcome attention_large() { return attend(8, 512, 16); }

}  // namespace programs
