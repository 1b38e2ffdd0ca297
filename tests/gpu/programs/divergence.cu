// Branches that tear warps apart: nested conditions, loops of different length, a switch, early
// returns; and device functions that are really called.
#include "support.cuh"

// The same arithmetic on the host and the device.
__host__ __device__ inline int wander(int i, int value) {
  int result = value;
  if (i % 3 == 0) {
    if (i % 2 == 0) {
      result += 7;
    } else {
      for (int step = 0; step < i % 11; ++step) result = result * 3 + step;
    }
  } else if (i % 5 == 1) {
    int rest = value & 1023;
    while (rest > 1) rest = (rest % 2 == 0) ? rest / 2 : 3 * rest + 1;  // Collatz
    result -= rest;
  }
  switch (value & 7) {
    case 0:
      result ^= 0x55;
      break;
    case 1:
      result += i;
      break;
    case 2:
      result -= 3 * i;
      break;
    case 3:
      result <<= 2;
      break;
    case 4:
      result = ~result;
      break;
    case 5:
      return -result;
    case 6:
      result >>= 1;
      break;
    default:
      break;
  }
  return result;
}

__global__ void divergence_kernel(const int* values, int count, int* result) {
  int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= count) return;
  int value = wander(i, values[i]);
  // After all that the remaining lanes of the warp meet again.
  unsigned lanes = __activemask();
  __syncwarp(lanes);
  result[i] = value;
}

struct Polynomial {
  float coefficients[4];
  int degree;
};

// Not inlined: parameters by value go through parameter space, `slope` through local memory.
__device__ __noinline__ float evaluate(Polynomial polynomial, float x, float* slope) {
  float value = 0.0f, derivative = 0.0f;
  for (int i = polynomial.degree; i >= 0; --i) {
    derivative = derivative * x + value;
    value = value * x + polynomial.coefficients[i];
  }
  *slope = derivative;
  return value;
}

__device__ __noinline__ float newton(Polynomial polynomial, float x) {
  float slope;
  float value = evaluate(polynomial, x, &slope);
  return x - value / slope;
}

__constant__ Polynomial kPolynomials[3];

__global__ void device_calls_kernel(float* roots, int count) {
  int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= count) return;
  float x = 2.0f + float(i) / 64.0f;
  for (int step = 0; step < 20; ++step) x = newton(kPolynomials[i % 3], x);
  roots[i] = x;
}

namespace programs {

Outcome divergence() {
  return guarded([] {
    Random random(5);
    auto values = make_vector<int>(777, [&] { return int(random.below(100000)); });
    std::vector<int> expected(values.size());
    for (size_t i = 0; i < values.size(); ++i) expected[i] = wander(int(i), values[i]);
    DeviceArray<int> device(values), result(values.size());
    divergence_kernel<<<7, 128>>>(device.data(), int(values.size()), result.data());
    check_launch();
    return difference(result.to_host(), expected);
  });
}

Outcome device_calls() {
  return guarded([] {
    // x^2 - 2, x^3 - 3, x - 1
    const Polynomial polynomials[3] = {{{-2, 0, 1, 0}, 2}, {{-3, 0, 0, 1}, 3}, {{-1, 1, 0, 0}, 1}};
    check(cudaMemcpyToSymbol(kPolynomials, polynomials, sizeof(polynomials)));
    const int count = 100;
    std::vector<double> expected(count);
    const double roots[3] = {std::sqrt(2.0), std::cbrt(3.0), 1.0};
    for (int i = 0; i < count; ++i) expected[i] = roots[i % 3];
    DeviceArray<float> result(count);
    device_calls_kernel<<<2, 64>>>(result.data(), count);
    check_launch();
    return difference(result.to_host(), expected);
  });
}

}  // namespace programs
