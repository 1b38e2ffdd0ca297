#include "programs.hpp"

namespace programs {

const std::vector<Program>& all_programs() {
  static const std::vector<Program> programs{
      {"reduction", reduction, 0, 75},
      {"scan", scan, 0, 75},
      {"gemm_padded", gemm_padded, 1e-5, 75},
      {"gemm_f16", gemm_f16, 0, 80},
      {"gemm_bf16", gemm_bf16, 0, 80},
      {"gemm_tf32", gemm_tf32, 0, 80},
      {"gemm_f16_turing", gemm_f16_turing, 0, 75},
      {"histogram", histogram, 0, 75},
      {"divergence", divergence, 0, 75},
      {"device_calls", device_calls, 1e-6, 75},
      {"shuffles", shuffles, 0, 75},
      {"transpose", transpose, 0, 75},
      {"layer_norm", layer_norm, 2e-6, 75},
      {"cooperative_groups_tiles", cooperative_groups_tiles, 0, 75},
      {"cooperative_groups_grid", cooperative_groups_grid, 0, 75},
      {"cub_block_sort", cub_block_sort, 0, 75},
      {"cub_block_scan", cub_block_scan, 0, 75},
      {"cub_device_reduce", cub_device_reduce, 0, 75},
      {"cub_device_scan", cub_device_scan, 0, 75},
      {"cub_device_sort", cub_device_sort, 0, 75},
      {"cub_device_select", cub_device_select, 0, 75},
      {"cub_device_histogram", cub_device_histogram, 0, 75},
      {"thrust_reduce", thrust_reduce, 0, 75},
      {"thrust_scan", thrust_scan, 0, 75},
      {"thrust_sort", thrust_sort, 0, 75},
      {"attention", attention, 2e-3, 80},
      {"attention_warpgroup", attention_warpgroup, 2e-3, 90},
  };
  return programs;
}

const Program* find_program(const std::string& name) {
  for (const Program& program : all_programs()) {
    if (program.name == name) return &program;
  }
  return nullptr;
}

}  // namespace programs
