#include "mutants.hpp"

#include <regex>
#include <sstream>

namespace programs {

std::string mutated(const std::string& ptx, const Mutant& mutant) {
  const std::regex pattern(mutant.instruction);
  std::istringstream lines(ptx);
  std::string result, line;
  bool inside = false, changed = false;
  int found = 0;
  while (std::getline(lines, line)) {
    if (line.find(".entry") != std::string::npos) {
      inside = line.find(mutant.kernel) != std::string::npos;
    }
    if (inside && std::regex_search(line, pattern) &&
        (found++ == mutant.which || mutant.which == kEvery)) {
      line = mutant.replacement.empty() ? ""
                                        : std::regex_replace(line, pattern, mutant.replacement);
      changed = true;
    }
    result += line + "\n";
  }
  return changed ? result : "";
}

const std::vector<Mutant>& all_mutants() {
  using gpu::Fault;
  // Lines are named by what nvcc makes of the programs for compute_80.
  static const std::vector<Mutant> mutants{
      // A tree in shared memory, then shuffles.
      {"barrier_before_tree", "reduction", "reduction_kernel", "bar\\.sync", 0, "",
       {Fault::shared_race}},
      {"barrier_within_tree", "reduction", "reduction_kernel", "bar\\.sync", 1, "",
       {Fault::shared_race}},
      {"shuffle_distance", "reduction", "reduction_kernel", "(mov\\.u32.*), 16;", 0, "$1, 8;", {}},
      {"shuffle_direction", "reduction", "reduction_kernel", "shfl\\.sync\\.down", 0,
       "shfl.sync.up", {}},
      {"shuffle_mask", "reduction", "reduction_kernel", "(mov\\.u32.*), -1;", 0, "$1, 65535;",
       {Fault::divergence}},
      {"tree_predicate", "reduction", "reduction_kernel", "setp\\.ge\\.u32.*", 0,
       "setp.ge.u32 %p7, 0, 1;", {Fault::out_of_bounds, Fault::shared_race}},
      {"atomic_as_store", "reduction", "reduction_kernel",
       "atom\\.global\\.add\\.f32.*(\\[.*\\]), (%f\\d+);", 0, "st.global.f32 $1, $2;", {}},
      {"tree_address", "reduction", "reduction_kernel", "(ld\\.shared\\.f32.*)\\]", 1, "$1+4]",
       {Fault::out_of_bounds, Fault::shared_race}},
      {"tree_leaf_store", "reduction", "reduction_kernel", "st\\.shared", 0, "",
       {Fault::undefined_store, Fault::undefined_operand}},

      // A scan by look-back.
      {"scan_ticket_barrier", "scan", "scan_kernel", "bar\\.sync", 0, "",
       {Fault::shared_race, Fault::undefined_branch, Fault::undefined_address}},
      {"scan_inner_barrier", "scan", "scan_kernel", "bar\\.sync", 4, "", {Fault::shared_race}},
      {"scan_last_barrier", "scan", "scan_kernel", "bar\\.sync", 9, "",
       {Fault::shared_race, Fault::undefined_store}},
      {"scan_address", "scan", "scan_kernel", "\\+384\\]", 0, "+380]", {}},
      {"scan_prefix_twice", "scan", "scan_kernel", "(setp\\.eq\\.s32.*), 2;", 0, "$1, 3;", {}},

      // Padded tiles.
      {"tiles_filled_barrier", "gemm_padded", "gemm_padded_kernel", "bar\\.sync", 0, "",
       {Fault::shared_race}},
      {"tiles_used_barrier", "gemm_padded", "gemm_padded_kernel", "bar\\.sync", 1, "",
       {Fault::shared_race}},
      {"tile_store_address", "gemm_padded", "gemm_padded_kernel", "(st\\.shared.*)\\]", 0, "$1+4]",
       {Fault::shared_race, Fault::undefined_store}},
      {"tile_store_left_out", "gemm_padded", "gemm_padded_kernel", "st\\.shared", 7, "",
       {Fault::undefined_store}},
      {"tile_load_address", "gemm_padded", "gemm_padded_kernel", "(ld\\.shared.*)\\]", 0, "$1+4]",
       {}},
      {"global_load_misaligned", "gemm_padded", "gemm_padded_kernel", "(ld\\.global\\.f32.*)\\]", 0,
       "$1+2]", {Fault::misaligned}},
      {"global_store_shifted", "gemm_padded", "gemm_padded_kernel", "(st\\.global\\.f32.*)\\]", 3,
       "$1+4]", {}},

      // Atomics.
      {"bins_cleared_barrier", "histogram", "histogram_kernel", "bar\\.sync", 0, "",
       {Fault::shared_race}},
      {"bins_counted_barrier", "histogram", "histogram_kernel", "bar\\.sync", 1, "",
       {Fault::shared_race}},
      {"shared_atomic_as_store", "histogram", "histogram_kernel",
       "atom\\.shared\\.add\\.u32.*(\\[.*\\]), 1;", 0, "st.shared.u32 $1, 1;",
       {Fault::shared_race}},
      {"global_atomic_as_store", "histogram", "histogram_kernel",
       "atom\\.global\\.add\\.u32.*(\\[.*\\]), (%r\\d+);", 0, "st.global.u32 $1, $2;", {}},
      {"bins_not_cleared", "histogram", "histogram_kernel", "st\\.shared", kEvery, "",
       {Fault::undefined_branch, Fault::undefined_store, Fault::undefined_operand}},
      {"values_shifted", "histogram", "histogram_kernel", "(ld\\.global\\.u8.*)\\]", 0, "$1+1]",
       {Fault::out_of_bounds}},

      // Divergence, calls, shuffles.
      {"branch_sense", "divergence", "divergence_kernel", "@(%p\\d+) bra", 1, "@!$1 bra", {}},
      {"argument_left_out", "device_calls", "device_calls_kernel", "st\\.param", 0, "",
       {Fault::undefined_store, Fault::undefined_branch, Fault::undefined_operand}},
      {"transpose_barrier", "transpose", "transpose_kernel", "bar\\.sync", 0, "",
       {Fault::shared_race, Fault::undefined_store}},
      {"transpose_address", "transpose", "transpose_kernel", "(ld\\.shared.*)\\]", 1, "$1+4]",
       {Fault::undefined_store}},
      {"vector_address", "layer_norm", "layer_norm_kernel", "(ld\\.global\\.v4.*)\\]", 0, "$1+4]",
       {Fault::misaligned}},
      {"butterfly_distance", "layer_norm", "layer_norm_kernel", "(mov\\.u32.*), 16;", 0, "$1, 8;",
       {}},
      {"vote_kind", "shuffles", "shuffles_kernel", "vote\\.sync\\.any", 0, "vote.sync.all", {}},
      {"redux_kind", "shuffles", "shuffles_kernel", "redux\\.sync\\.max", 0, "redux.sync.min", {}},
      {"match_kind", "shuffles", "shuffles_kernel", "(shfl\\.sync\\.idx.*), (%r\\d+), (%r\\d+);", 1,
       "$1, 31, $3;", {}},

      // The pipeline of copies, f16.
      {"pipeline_barrier", "gemm_f16", "gemm_mma_kernelI6__half", "bar\\.sync", 0, "",
       {Fault::shared_race, Fault::copy_in_flight}},
      {"pipeline_wait_shortened", "gemm_f16", "gemm_mma_kernelI6__half",
       "cp\\.async\\.wait_group\\s+1", 0, "cp.async.wait_group 2", {Fault::copy_in_flight}},
      {"pipeline_wait_deleted", "gemm_f16", "gemm_mma_kernelI6__half",
       "cp\\.async\\.wait_group\\s+1", 0, "", {Fault::copy_in_flight}},
      {"pipeline_commit_deleted", "gemm_f16", "gemm_mma_kernelI6__half", "cp\\.async\\.commit", 0,
       "", {Fault::copy_in_flight}},
      {"fragments_of_a_swapped", "gemm_f16", "gemm_mma_kernelI6__half",
       "(mma.*)\\{(%r\\d+),\\s*(%r\\d+),\\s*(%r\\d+),\\s*(%r\\d+)\\}", 0, "$1{$2, $4, $3, $5}", {}},
      {"fragments_of_b_swapped", "gemm_f16", "gemm_mma_kernelI6__half",
       "(mma.*)\\{(%r\\d+),\\s*(%r\\d+)\\}", 3, "$1{$3, $2}", {}},
      {"matrix_address", "gemm_f16", "gemm_mma_kernelI6__half", "(ldmatrix.*x4.*)\\]", 0,
       "$1+16]", {}},
      {"matrix_address_misaligned", "gemm_f16", "gemm_mma_kernelI6__half", "(ldmatrix.*x4.*)\\]", 0,
       "$1+8]", {Fault::misaligned}},
      {"matrix_not_transposed", "gemm_f16", "gemm_mma_kernelI6__half", "x2\\.trans", 0, "x2", {}},
      {"copy_not_guarded", "gemm_f16", "gemm_mma_kernelI6__half",
       "(cp\\.async\\.cg.*), 16, %r\\d+;", kEvery, "$1, 16, 16;", {}},
      {"copy_misplaced", "gemm_f16", "gemm_mma_kernelI6__half", "(cp\\.async\\.cg[^\\]]*)\\]", 0,
       "$1+8]", {Fault::misaligned}},
      {"result_guard", "gemm_f16", "gemm_mma_kernelI6__half", "(st\\.global\\.f32.*)\\]", 5,
       "$1+4]", {}},

      // The same for the other types.
      {"bf16_read_as_f16", "gemm_bf16", "gemm_mma_kernelI13__nv_bfloat16", "bf16\\.bf16", 0,
       "f16.f16", {}},
      {"bf16_wait_shortened", "gemm_bf16", "gemm_mma_kernelI13__nv_bfloat16",
       "cp\\.async\\.wait_group\\s+1", 0, "cp.async.wait_group 2", {Fault::copy_in_flight}},
      {"tf32_wait_shortened", "gemm_tf32", "gemm_mma_kernelIf", "cp\\.async\\.wait_group\\s+1", 0,
       "cp.async.wait_group 2", {Fault::copy_in_flight}},
      {"tf32_fragments_swapped", "gemm_tf32", "gemm_mma_kernelIf",
       "(mma.*)\\{(%r\\d+),\\s*(%r\\d+),\\s*(%r\\d+),\\s*(%r\\d+)\\}", 5, "$1{$3, $2, $4, $5}", {}},
      {"tf32_address", "gemm_tf32", "gemm_mma_kernelIf", "(ld\\.shared.*)\\]", 4, "$1+16]", {}},
      {"turing_fragments_swapped", "gemm_f16_turing", "gemm_turing_kernel",
       "(mma.*)\\{(%r\\d+),\\s*(%r\\d+)\\}", 0, "$1{$3, $2}", {}},

      // Attention.
      {"keys_wait", "attention", "attention_kernel", "cp\\.async\\.wait_group", 0, "",
       {Fault::copy_in_flight}},
      {"keys_barrier", "attention", "attention_kernel", "bar\\.sync", 0, "",
       {Fault::shared_race, Fault::copy_in_flight}},
      {"keys_commit", "attention", "attention_kernel", "cp\\.async\\.commit", 0, "",
       {Fault::copy_in_flight}},
      {"probabilities_swapped", "attention", "attention_kernel",
       "(mma.*)\\{(%r\\d+),\\s*(%r\\d+),\\s*(%r\\d+),\\s*(%r\\d+)\\}", 40, "$1{$3, $2, $4, $5}",
       {}},
      {"row_maximum_distance", "attention", "attention_kernel",
       "(shfl\\.sync\\.bfly\\.b32.*,.*), (%r\\d+), (%r\\d+), (%r\\d+);", 6, "$1, 4, $3, $4;", {}},
      {"values_not_transposed", "attention", "attention_kernel", "x4\\.trans", 3, "x4", {}},
      {"output_misaligned", "attention", "attention_kernel", "(st\\.global\\.v2.*)\\]", 2, "$1+4]",
       {Fault::misaligned}},

      // CUB's own barriers.
      {"cub_sort_barrier", "cub_block_sort", "cub_sort_kernel", "bar(rier)?\\.sync", 1, "",
       {Fault::shared_race}},
      {"cub_scan_barrier", "cub_block_scan", "cub_scan_kernel", "bar(rier)?\\.sync", 0, "",
       {Fault::shared_race, Fault::undefined_store, Fault::undefined_operand}},
  };
  return mutants;
}

}  // namespace programs
