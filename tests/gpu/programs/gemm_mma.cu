// C = A B with tensor cores: a pipeline of cp.async copies, ldmatrix, mma.sync.
// A is (rows, inner), B is (inner, columns), both row-major; C is fp32. Blocks of 4 warps make
// 64 x 64 tiles, each warp 32 x 32.
#include "instructions.cuh"
#include "support.cuh"

using programs::mma_m16n8k8;

constexpr int kBlock = 64;
constexpr int kStages = 3;

// 16-byte pieces of a tile of `kRows` x `kColumns`, copied by 128 threads.
template <int kRows, int kColumns, int kPitchElements, typename T>
__device__ void copy_tile(T* tile, const T* from, int row, int rows, int column, int columns) {
#if __CUDA_ARCH__ >= 800
  constexpr int kVector = 16 / sizeof(T);
  constexpr int kVectors = kColumns / kVector;
  for (int i = int(threadIdx.x); i < kRows * kVectors; i += 128) {
    int r = i / kVectors, c = i % kVectors * kVector;
    bool inside = row + r < rows && column + c < columns;
    const T* source = inside ? from + size_t(row + r) * columns + column + c : from;
    programs::cp_async_16(tile + r * kPitchElements + c, source, inside);
  }
#endif
}

// kDepth: how much of `inner` a stage holds. Pitches of 16 bytes more than the row: no conflicts.
template <typename T>
struct Layout {
  static constexpr int kDepth = 64 / int(sizeof(T));  // 32 for 16-bit types, 16 for tf32
  static constexpr int kPitchA = kDepth + 16 / int(sizeof(T));
  static constexpr int kPitchB = kBlock + 8;
  static constexpr int kStageElements = kBlock * kPitchA + kDepth * kPitchB;
  static constexpr int kBytes = kStages * kStageElements * int(sizeof(T));
};

// One stage's products of a warp, 16-bit types.
template <typename T>
__device__ void multiply(const T* sA, const T* sB, int warp_row, int warp_column,
                         float (&sums)[2][4][4]) {
#if __CUDA_ARCH__ >= 800
  using L = Layout<T>;
  int lane = int(threadIdx.x) % 32;
  for (int k = 0; k < L::kDepth; k += 16) {
    uint32_t a[2][4], b[4][2];
    for (int m = 0; m < 2; ++m) {
      programs::ldmatrix_x4(a[m],
                            sA + (warp_row + m * 16 + lane % 16) * L::kPitchA + k + lane / 16 * 8);
    }
    for (int n = 0; n < 4; ++n) {
      programs::ldmatrix_x2_trans(b[n], sB + (k + lane % 16) * L::kPitchB + warp_column + n * 8);
    }
    for (int m = 0; m < 2; ++m) {
      for (int n = 0; n < 4; ++n) {
        programs::mma_m16n8k16(sums[m][n], a[m], b[n][0], b[n][1], T{});
      }
    }
  }
#endif
}

// The same for fp32 inputs, rounded to tf32. Fragments are read element by element.
__device__ inline void multiply(const float* sA, const float* sB, int warp_row, int warp_column,
                                float (&sums)[2][4][4]) {
#if __CUDA_ARCH__ >= 800
  using L = Layout<float>;
  int lane = int(threadIdx.x) % 32, group = lane / 4, member = lane % 4;
  for (int k = 0; k < L::kDepth; k += 8) {
    uint32_t a[2][4], b[4][2];
    for (int m = 0; m < 2; ++m) {
      const float* corner = sA + (warp_row + m * 16 + group) * L::kPitchA + k + member;
      a[m][0] = programs::to_tf32(corner[0]);
      a[m][1] = programs::to_tf32(corner[8 * L::kPitchA]);
      a[m][2] = programs::to_tf32(corner[4]);
      a[m][3] = programs::to_tf32(corner[8 * L::kPitchA + 4]);
    }
    for (int n = 0; n < 4; ++n) {
      const float* corner = sB + (k + member) * L::kPitchB + warp_column + n * 8 + group;
      b[n][0] = programs::to_tf32(corner[0]);
      b[n][1] = programs::to_tf32(corner[4 * L::kPitchB]);
    }
    for (int m = 0; m < 2; ++m) {
      for (int n = 0; n < 4; ++n) {
        programs::mma_m16n8k8_tf32(sums[m][n], a[m], b[n][0], b[n][1]);
      }
    }
  }
#endif
}

template <typename T>
__global__ void gemm_mma_kernel(const T* a, const T* b, float* c, int rows, int columns,
                                int inner) {
#if __CUDA_ARCH__ >= 800
  using L = Layout<T>;
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  T* stages = reinterpret_cast<T*>(shared_bytes);
  int row = int(blockIdx.y) * kBlock, column = int(blockIdx.x) * kBlock;
  int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  int steps = (inner + L::kDepth - 1) / L::kDepth;
  float sums[2][4][4] = {};

  auto load = [&](int step) {
    if (step < steps) {
      T* stage = stages + step % kStages * L::kStageElements;
      copy_tile<kBlock, L::kDepth, L::kPitchA>(stage, a, row, rows, step * L::kDepth, inner);
      copy_tile<L::kDepth, kBlock, L::kPitchB>(stage + kBlock * L::kPitchA, b, step * L::kDepth,
                                               inner, column, columns);
    }
    programs::cp_async_commit();
  };
  for (int step = 0; step < kStages - 1; ++step) load(step);
  for (int step = 0; step < steps; ++step) {
    programs::cp_async_wait<kStages - 2>();
    __syncthreads();
    load(step + kStages - 1);
    const T* stage = stages + step % kStages * L::kStageElements;
    multiply(stage, stage + kBlock * L::kPitchA, warp_row, warp_column, sums);
  }
  programs::cp_async_wait<0>();

  for (int m = 0; m < 2; ++m) {
    for (int n = 0; n < 4; ++n) {
      for (int i = 0; i < 4; ++i) {
        int r = row + warp_row + m * 16 + lane / 4 + i / 2 * 8;
        int q = column + warp_column + n * 8 + lane % 4 * 2 + i % 2;
        if (r < rows && q < columns) c[r * columns + q] = sums[m][n][i];
      }
    }
  }
#endif
}

// One warp makes a 16 x 8 tile; fragments straight from global memory.
__global__ void gemm_turing_kernel(const __half* a, const __half* b, float* c, int columns,
                                   int inner) {
  int lane = int(threadIdx.x), group = lane / 4, member = lane % 4;
  int row = int(blockIdx.y) * 16 + group, column = int(blockIdx.x) * 8;
  float sums[4] = {};
  for (int k = 0; k < inner; k += 8) {
    uint32_t a0 = *reinterpret_cast<const uint32_t*>(a + row * inner + k + member * 2);
    uint32_t a1 = *reinterpret_cast<const uint32_t*>(a + (row + 8) * inner + k + member * 2);
    __half2 pair = __halves2half2(b[(k + member * 2) * columns + column + group],
                                  b[(k + member * 2 + 1) * columns + column + group]);
    mma_m16n8k8(sums, a0, a1, *reinterpret_cast<const uint32_t*>(&pair));
  }
  float* corner = c + row * columns + column + member * 2;
  *reinterpret_cast<float2*>(corner) = make_float2(sums[0], sums[1]);
  *reinterpret_cast<float2*>(corner + 8 * columns) = make_float2(sums[2], sums[3]);
}

namespace programs {
namespace {

template <typename T>
struct Operands {
  std::vector<T> a, b;
  std::vector<double> product;
  Operands(int rows, int columns, int inner) : product(rows * columns) {
    Random random(11);
    // Multiples of 1/8: exact in every type.
    auto make = [&] { return T(float(int(random.below(17)) - 8) / 8.0f); };
    a = make_vector<T>(rows * inner, make);
    b = make_vector<T>(inner * columns, make);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        for (int k = 0; k < inner; ++k) {
          product[i * columns + j] +=
              double(float(a[i * inner + k])) * double(float(b[k * columns + j]));
        }
      }
    }
  }
};

template <typename T>
Outcome gemm() {
  return guarded([] {
    const int rows = 72, columns = 88, inner = 104;
    Operands<T> operands(rows, columns, inner);
    DeviceArray<T> a(operands.a), b(operands.b);
    DeviceArray<float> c(rows * columns);
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(&gemm_mma_kernel<T>),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, Layout<T>::kBytes));
    dim3 grid((columns + kBlock - 1) / kBlock, (rows + kBlock - 1) / kBlock);
    gemm_mma_kernel<T>
        <<<grid, 128, Layout<T>::kBytes>>>(a.data(), b.data(), c.data(), rows, columns, inner);
    check_launch();
    return difference(c.to_host(), operands.product);
  });
}

}  // namespace

Outcome gemm_f16() { return gemm<__half>(); }
Outcome gemm_bf16() { return gemm<__nv_bfloat16>(); }
Outcome gemm_tf32() { return gemm<float>(); }

Outcome gemm_f16_turing() {
  return guarded([] {
    const int rows = 32, columns = 24, inner = 40;
    Operands<__half> operands(rows, columns, inner);
    DeviceArray<__half> a(operands.a), b(operands.b);
    DeviceArray<float> c(rows * columns);
    gemm_turing_kernel<<<dim3(columns / 8, rows / 16), 32>>>(a.data(), b.data(), c.data(), columns,
                                                             inner);
    check_launch();
    return difference(c.to_host(), operands.product);
  });
}

}  // namespace programs
