// C = A B in fp32 by 32 x 32 tiles; the tiles' rows are padded against bank conflicts.
#include "support.cuh"

constexpr int kTile = 32;
constexpr int kPitch = kTile + 1;

__global__ void gemm_padded_kernel(const float* a, const float* b, float* c, int rows, int columns,
                                   int inner) {
  extern __shared__ float tiles[];
  float* sA = tiles;                   // (kTile, kTile), pitch kPitch
  float* sB = tiles + kTile * kPitch;  // (kTile, kTile), pitch kPitch
  int x = int(threadIdx.x), y = int(threadIdx.y);
  int column = int(blockIdx.x) * kTile + x;
  float sums[4] = {};
  for (int start = 0; start < inner; start += kTile) {
    for (int part = 0; part < 4; ++part) {
      int local = y + part * 8;
      int row = int(blockIdx.y) * kTile + local;
      sA[local * kPitch + x] = row < rows && start + x < inner ? a[row * inner + start + x] : 0.0f;
      // B is stored transposed: without the padding all lanes would write one bank.
      sB[x * kPitch + local] =
          column < columns && start + local < inner ? b[(start + local) * columns + column] : 0.0f;
    }
    __syncthreads();
    for (int k = 0; k < kTile; ++k) {
      for (int part = 0; part < 4; ++part) {
        sums[part] += sA[(y + part * 8) * kPitch + k] * sB[x * kPitch + k];
      }
    }
    __syncthreads();
  }
  for (int part = 0; part < 4; ++part) {
    int row = int(blockIdx.y) * kTile + y + part * 8;
    if (row < rows && column < columns) c[row * columns + column] = sums[part];
  }
}

namespace programs {

Outcome gemm_padded() {
  return guarded([] {
    const int rows = 45, columns = 71, inner = 50;
    Random random(3);
    auto a = make_vector<float>(rows * inner, [&] { return random.uniform(); });
    auto b = make_vector<float>(inner * columns, [&] { return random.uniform(); });
    std::vector<double> expected(rows * columns);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        for (int k = 0; k < inner; ++k) {
          expected[i * columns + j] += double(a[i * inner + k]) * double(b[k * columns + j]);
        }
      }
    }
    DeviceArray<float> device_a(a), device_b(b), c(expected.size());
    dim3 grid((columns + kTile - 1) / kTile, (rows + kTile - 1) / kTile);
    gemm_padded_kernel<<<grid, dim3(kTile, 8), 2 * kTile * kPitch * sizeof(float)>>>(
        device_a.data(), device_b.data(), c.data(), rows, columns, inner);
    check_launch();
    return difference(c.to_host(), expected);
  });
}

}  // namespace programs
