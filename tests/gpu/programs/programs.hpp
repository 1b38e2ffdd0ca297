// CUDA programs that are run on the emulated GPU (or on a real one) and compared with the CPU.
#pragma once

#include <cuda_runtime_api.h>

#include <string>
#include <vector>

namespace programs {

/// What a run came to: the first CUDA error, and the largest difference from the CPU's result
/// (infinite where one of both is NaN).
struct Outcome {
  cudaError_t error = cudaSuccess;
  double difference = 0;
};

struct Program {
  std::string name;
  Outcome (*run)();
  double tolerance;      // of `difference`
  int least_capability;  // 75, 80, ...: what the kernel's instructions need (90a: 90)
};

const std::vector<Program>& all_programs();
/// nullptr: there is none of that name.
const Program* find_program(const std::string& name);

Outcome reduction();
Outcome scan();
Outcome gemm_padded();
Outcome gemm_f16();
Outcome gemm_bf16();
Outcome gemm_tf32();
Outcome gemm_f16_turing();
Outcome histogram();
Outcome divergence();
Outcome device_calls();
Outcome shuffles();
Outcome transpose();
Outcome layer_norm();
Outcome cooperative_groups_tiles();
Outcome cooperative_groups_grid();
Outcome cub_block_sort();
Outcome cub_block_scan();
Outcome cub_device_reduce();
Outcome cub_device_scan();
Outcome cub_device_sort();
Outcome cub_device_select();
Outcome cub_device_histogram();
Outcome thrust_reduce();
Outcome thrust_scan();
Outcome thrust_sort();
Outcome attention();
Outcome attention_large();  // 2 x 4 x 512 x 64, for the speed
Outcome attention_warpgroup();
Outcome attention_warpgroup_large();

}  // namespace programs
