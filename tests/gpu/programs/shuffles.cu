// What lanes of a warp exchange: shuffles of every kind and width, votes, matches; and a transpose
// through shared memory.
#include "support.cuh"

constexpr int kRows = 14;

__global__ void shuffles_kernel(const unsigned* values, unsigned* results) {
  const unsigned all = 0xffffffffu;
  unsigned lane = threadIdx.x % 32;
  unsigned value = values[threadIdx.x];
  unsigned out[kRows];
  out[0] = __shfl_sync(all, value, int(value % 32));
  out[1] = __shfl_up_sync(all, value, 3);
  out[2] = __shfl_down_sync(all, value, 5);
  out[3] = __shfl_xor_sync(all, value, 9);
  out[4] = __shfl_sync(all, value, 3, 8);
  out[5] = __shfl_up_sync(all, value, 1, 4);
  out[6] = __shfl_down_sync(all, value, 6, 16);
  out[7] = __ballot_sync(all, value & 1);
  out[8] = unsigned(__any_sync(all, value % 64 == 0)) * 2 + unsigned(__all_sync(all, value < 1000));
  out[9] = __match_any_sync(all, value % 4);
  int same = 0;
  out[10] = __match_all_sync(all, value / 1000, &same) * 2 + unsigned(same);
  if (lane % 2 == 0) {
    // Even lanes among themselves.
    out[11] = __shfl_xor_sync(0x55555555u, value, 2) + __popc(__activemask());
  } else {
    out[11] = __shfl_xor_sync(0xaaaaaaaau, value, 4) + __popc(__activemask());
  }
#if __CUDA_ARCH__ >= 800
  out[12] = __reduce_add_sync(all, value);
  out[13] = __reduce_max_sync(all, value) ^ __reduce_xor_sync(all, value);
#else
  unsigned sum = value, most = value, parity = value;
  for (int offset = 16; offset > 0; offset /= 2) {
    sum += __shfl_xor_sync(all, sum, offset);
    most = max(most, __shfl_xor_sync(all, most, offset));
    parity ^= __shfl_xor_sync(all, parity, offset);
  }
  out[12] = sum;
  out[13] = most ^ parity;
#endif
  for (int row = 0; row < kRows; ++row) results[row * blockDim.x + threadIdx.x] = out[row];
}

constexpr int kSide = 32;

__global__ void transpose_kernel(const float* in, float* out, int rows, int columns) {
  __shared__ float tile[kSide][kSide + 1];
  int x = int(blockIdx.x) * kSide + int(threadIdx.x);
  for (int part = 0; part < kSide; part += 8) {
    int y = int(blockIdx.y) * kSide + int(threadIdx.y) + part;
    if (x < columns && y < rows) tile[threadIdx.y + part][threadIdx.x] = in[y * columns + x];
  }
  __syncthreads();
  int column = int(blockIdx.y) * kSide + int(threadIdx.x);
  for (int part = 0; part < kSide; part += 8) {
    int row = int(blockIdx.x) * kSide + int(threadIdx.y) + part;
    if (row < columns && column < rows) {
      out[row * rows + column] = tile[threadIdx.x][threadIdx.y + part];
    }
  }
}

// Rows of 4-vectors; the row's mean and variance are known to all threads of its warp.
__global__ void layer_norm_kernel(const float4* in, float4* out, int vectors) {
  int row = int(blockIdx.x * blockDim.y + threadIdx.y);
  float sum = 0.0f, squares = 0.0f;
  for (int i = int(threadIdx.x); i < vectors; i += 32) {
    float4 v = in[row * vectors + i];
    sum += v.x + v.y + v.z + v.w;
    squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  }
  for (int offset = 16; offset > 0; offset /= 2) {
    sum += __shfl_xor_sync(0xffffffffu, sum, offset);
    squares += __shfl_xor_sync(0xffffffffu, squares, offset);
  }
  float mean = sum / float(4 * vectors);
  float scale = rsqrtf(squares / float(4 * vectors) - mean * mean + 1e-5f);
  for (int i = int(threadIdx.x); i < vectors; i += 32) {
    float4 v = in[row * vectors + i];
    out[row * vectors + i] = make_float4((v.x - mean) * scale, (v.y - mean) * scale,
                                         (v.z - mean) * scale, (v.w - mean) * scale);
  }
}

namespace programs {
namespace {

// The same by definition, for one warp.
void expect_warp(const unsigned* v, unsigned results[kRows][32]) {
  unsigned ballot = 0, any = 0, sum = 0, most = 0, parity = 0;
  bool all = true, alike = true;
  for (unsigned lane = 0; lane < 32; ++lane) {
    ballot |= (v[lane] & 1u) << lane;
    any |= v[lane] % 64 == 0;
    all = all && v[lane] < 1000;
    alike = alike && v[lane] / 1000 == v[0] / 1000;
    sum += v[lane];
    most = std::max(most, v[lane]);
    parity ^= v[lane];
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    unsigned matches = 0;
    for (unsigned other = 0; other < 32; ++other) {
      matches |= unsigned(v[other] % 4 == v[lane] % 4) << other;
    }
    results[0][lane] = v[v[lane] % 32];
    results[1][lane] = v[lane >= 3 ? lane - 3 : lane];
    results[2][lane] = v[lane + 5 < 32 ? lane + 5 : lane];
    results[3][lane] = v[lane ^ 9];
    results[4][lane] = v[(lane & ~7u) + 3];
    results[5][lane] = v[lane % 4 >= 1 ? lane - 1 : lane];
    results[6][lane] = v[lane % 16 + 6 < 16 ? lane + 6 : lane];
    results[7][lane] = ballot;
    results[8][lane] = any * 2 + unsigned(all);
    results[9][lane] = matches;
    results[10][lane] = (alike ? 0xffffffffu : 0u) * 2 + unsigned(alike);
    results[11][lane] = v[lane ^ (lane % 2 == 0 ? 2 : 4)] + 16;
    results[12][lane] = sum;
    results[13][lane] = most ^ parity;
  }
}

}  // namespace

Outcome shuffles() {
  return guarded([] {
    const int warps = 3;
    Random random(6);
    // The last warp's values are alike when divided by 1000, and below 1000.
    std::vector<unsigned> values(warps * 32);
    for (size_t i = 0; i < values.size(); ++i) values[i] = random.below(i < 64 ? 5000 : 900);
    std::vector<unsigned> expected(kRows * values.size());
    for (int warp = 0; warp < warps; ++warp) {
      unsigned rows[kRows][32];
      expect_warp(values.data() + warp * 32, rows);
      for (int row = 0; row < kRows; ++row) {
        for (int lane = 0; lane < 32; ++lane) {
          expected[row * values.size() + warp * 32 + lane] = rows[row][lane];
        }
      }
    }
    DeviceArray<unsigned> device(values), result(expected.size());
    shuffles_kernel<<<1, warps * 32>>>(device.data(), result.data());
    check_launch();
    return difference(result.to_host(), expected);
  });
}

Outcome transpose() {
  return guarded([] {
    const int rows = 50, columns = 75;
    Random random(7);
    auto in = make_vector<float>(rows * columns, [&] { return random.uniform(); });
    std::vector<float> expected(in.size());
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) expected[j * rows + i] = in[i * columns + j];
    }
    DeviceArray<float> device(in), out(in.size());
    transpose_kernel<<<dim3(3, 2), dim3(kSide, 8)>>>(device.data(), out.data(), rows, columns);
    check_launch();
    return difference(out.to_host(), expected);
  });
}

Outcome layer_norm() {
  return guarded([] {
    const int rows = 12, columns = 200;
    Random random(8);
    auto in = make_vector<float>(rows * columns, [&] { return random.uniform() + 0.5f; });
    std::vector<double> expected(in.size());
    for (int row = 0; row < rows; ++row) {
      double sum = 0, squares = 0;
      for (int i = 0; i < columns; ++i) {
        double value = in[row * columns + i];
        sum += value;
        squares += value * value;
      }
      double mean = sum / columns;
      double scale = 1 / std::sqrt(squares / columns - mean * mean + 1e-5);
      for (int i = 0; i < columns; ++i) {
        expected[row * columns + i] = (in[row * columns + i] - mean) * scale;
      }
    }
    DeviceArray<float> device(in), out(in.size());
    layer_norm_kernel<<<3, dim3(32, 4)>>>(reinterpret_cast<const float4*>(device.data()),
                                          reinterpret_cast<float4*>(out.data()), columns / 4);
    check_launch();
    return difference(out.to_host(), expected);
  });
}

}  // namespace programs
