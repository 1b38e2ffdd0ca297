// Bugs in programs whose warps multiply matrices (mma) and copy ahead (cp.async).
#include "mutants.hpp"

namespace programs {
namespace {

using enum gpu::Fault;

constexpr Kernel kHalf{"gemm_f16", "gemm_mma_kernelI6__half"};
constexpr Kernel kBfloat16{"gemm_bf16", "gemm_mma_kernelI13__nv_bfloat16"};
constexpr Kernel kTf32{"gemm_tf32", "gemm_mma_kernelIf"};
constexpr Kernel kTuring{"gemm_f16_turing", "gemm_turing_kernel"};
constexpr Kernel kAttention{"attention", "attention_kernel"};

constexpr const char* kWait = "cp\\.async\\.wait_group\\s+1";
// Fragments of a product: the first of so many registers.
constexpr const char* kFour = "(mma.*)\\{(%r\\d+),\\s*(%r\\d+),\\s*(%r\\d+),\\s*(%r\\d+)\\}";
constexpr const char* kTwo = "(mma.*)\\{(%r\\d+),\\s*(%r\\d+)\\}";

}  // namespace

std::vector<Mutant> mma_mutants() {
  return {
      // The pipeline of copies, f16.
      {"pipeline_barrier", kHalf, kBarrier, 0, "", {shared_race, copy_in_flight}},
      {"pipeline_wait_shortened", kHalf, kWait, 0, "cp.async.wait_group 2", {copy_in_flight}},
      {"pipeline_wait_deleted", kHalf, kWait, 0, "", {copy_in_flight}},
      {"pipeline_commit_deleted", kHalf, "cp\\.async\\.commit", 0, "", {copy_in_flight}},
      {"fragments_of_a_swapped", kHalf, kFour, 0, "$1{$2, $4, $3, $5}", {}},
      {"fragments_of_b_swapped", kHalf, kTwo, 3, "$1{$3, $2}", {}},
      {"matrix_address", kHalf, address_of("ldmatrix.*x4"), 0, "$1+16]", {}},
      {"matrix_address_misaligned", kHalf, address_of("ldmatrix.*x4"), 0, "$1+8]", {misaligned}},
      {"matrix_not_transposed", kHalf, "x2\\.trans", 0, "x2", {}},
      {"copy_not_guarded", kHalf, "(cp\\.async\\.cg.*), 16, %r\\d+;", kEvery, "$1, 16, 16;", {}},
      {"copy_misplaced", kHalf, "(cp\\.async\\.cg[^\\]]*)\\]", 0, "$1+8]", {misaligned}},
      {"result_guard", kHalf, address_of("st\\.global\\.f32"), 5, "$1+4]", {}},

      // The same for the other types.
      {"bf16_read_as_f16", kBfloat16, "bf16\\.bf16", 0, "f16.f16", {}},
      {"bf16_wait_shortened", kBfloat16, kWait, 0, "cp.async.wait_group 2", {copy_in_flight}},
      {"tf32_wait_shortened", kTf32, kWait, 0, "cp.async.wait_group 2", {copy_in_flight}},
      {"tf32_fragments_swapped", kTf32, kFour, 5, "$1{$3, $2, $4, $5}", {}},
      {"tf32_address", kTf32, address_of("ld\\.shared"), 4, "$1+16]", {}},
      {"turing_fragments_swapped", kTuring, kTwo, 0, "$1{$3, $2}", {}},

      // Attention.
      {"keys_wait", kAttention, "cp\\.async\\.wait_group", 0, "", {copy_in_flight}},
      {"keys_barrier", kAttention, kBarrier, 0, "", {shared_race, copy_in_flight}},
      {"keys_commit", kAttention, "cp\\.async\\.commit", 0, "", {copy_in_flight}},
      {"probabilities_swapped", kAttention, kFour, 40, "$1{$3, $2, $4, $5}", {}},
      {"row_maximum_distance",
       kAttention,
       "(shfl\\.sync\\.bfly\\.b32.*,.*), (%r\\d+), (%r\\d+), (%r\\d+);",
       6,
       "$1, 4, $3, $4;",
       {}},
      {"values_not_transposed", kAttention, "x4\\.trans", 3, "x4", {}},
      {"output_misaligned", kAttention, address_of("st\\.global\\.v2"), 2, "$1+4]", {misaligned}},
  };
}

}  // namespace programs
