// Bugs in programs without tensor cores: barriers, shared memory, atomics, shuffles, calls.
#include "mutants.hpp"

namespace programs {
namespace {

using enum gpu::Fault;

constexpr Kernel kReduction{"reduction", "reduction_kernel"};
constexpr Kernel kScan{"scan", "scan_kernel"};
constexpr Kernel kPadded{"gemm_padded", "gemm_padded_kernel"};
constexpr Kernel kHistogram{"histogram", "histogram_kernel"};
constexpr Kernel kDivergence{"divergence", "divergence_kernel"};
constexpr Kernel kCalls{"device_calls", "device_calls_kernel"};
constexpr Kernel kTranspose{"transpose", "transpose_kernel"};
constexpr Kernel kLayerNorm{"layer_norm", "layer_norm_kernel"};
constexpr Kernel kShuffles{"shuffles", "shuffles_kernel"};
constexpr Kernel kCubSort{"cub_block_sort", "cub_sort_kernel"};
constexpr Kernel kCubScan{"cub_block_scan", "cub_scan_kernel"};

}  // namespace

std::vector<Mutant> simt_mutants() {
  return {
      // A tree in shared memory, then shuffles.
      {"barrier_before_tree", kReduction, kBarrier, 0, "", {shared_race}},
      {"barrier_within_tree", kReduction, kBarrier, 1, "", {shared_race}},
      {"shuffle_distance", kReduction, "(mov\\.u32.*), 16;", 0, "$1, 8;", {}},
      {"shuffle_direction", kReduction, "shfl\\.sync\\.down", 0, "shfl.sync.up", {}},
      {"shuffle_mask", kReduction, "(mov\\.u32.*), -1;", 0, "$1, 65535;", {divergence}},
      {"tree_predicate",
       kReduction,
       "setp\\.ge\\.u32.*",
       0,
       "setp.ge.u32 %p7, 0, 1;",
       {out_of_bounds, shared_race}},
      {"atomic_as_store",
       kReduction,
       "atom\\.global\\.add\\.f32.*(\\[.*\\]), (%f\\d+);",
       0,
       "st.global.f32 $1, $2;",
       {}},
      {"tree_address",
       kReduction,
       address_of("ld\\.shared\\.f32"),
       1,
       "$1+4]",
       {out_of_bounds, shared_race}},
      {"tree_leaf_store", kReduction, "st\\.shared", 0, "", {undefined_store, undefined_operand}},

      // A scan by look-back.
      {"scan_ticket_barrier",
       kScan,
       kBarrier,
       0,
       "",
       {shared_race, undefined_branch, undefined_address}},
      {"scan_inner_barrier", kScan, kBarrier, 4, "", {shared_race}},
      {"scan_last_barrier", kScan, kBarrier, 9, "", {shared_race, undefined_store}},
      {"scan_address", kScan, "\\+384\\]", 0, "+380]", {shared_race}},
      {"scan_prefix_left_out", kScan, "st\\.volatile\\.global", 2, "", {undefined_store}},

      // Padded tiles.
      {"tiles_filled_barrier", kPadded, kBarrier, 0, "", {shared_race}},
      {"tiles_used_barrier", kPadded, kBarrier, 1, "", {shared_race}},
      {"tile_store_address",
       kPadded,
       address_of("st\\.shared"),
       0,
       "$1+4]",
       {shared_race, undefined_store}},
      {"tile_store_left_out", kPadded, "st\\.shared", 7, "", {undefined_store}},
      {"tile_load_address", kPadded, address_of("ld\\.shared"), 0, "$1+4]", {}},
      {"global_load_misaligned",
       kPadded,
       address_of("ld\\.global\\.f32"),
       0,
       "$1+2]",
       {misaligned}},
      {"global_store_shifted", kPadded, address_of("st\\.global\\.f32"), 3, "$1+4]", {}},

      // Atomics.
      {"bins_cleared_barrier", kHistogram, kBarrier, 0, "", {shared_race}},
      {"bins_counted_barrier", kHistogram, kBarrier, 1, "", {shared_race}},
      {"shared_atomic_as_store",
       kHistogram,
       "atom\\.shared\\.add\\.u32.*(\\[.*\\]), 1;",
       0,
       "st.shared.u32 $1, 1;",
       {}},
      {"global_atomic_as_store",
       kHistogram,
       "atom\\.global\\.add\\.u32.*(\\[.*\\]), (%r\\d+);",
       0,
       "st.global.u32 $1, $2;",
       {}},
      {"bins_not_cleared",
       kHistogram,
       "st\\.shared",
       kEvery,
       "",
       {undefined_branch, undefined_store, undefined_operand}},
      {"values_shifted", kHistogram, address_of("ld\\.global\\.u8"), 0, "$1+1]", {out_of_bounds}},

      // Divergence, calls, shuffles.
      {"branch_sense", kDivergence, "@(%p\\d+) bra", 1, "@!$1 bra", {}},
      {"argument_left_out",
       kCalls,
       "st\\.param",
       0,
       "",
       {undefined_store, undefined_branch, undefined_operand}},
      {"transpose_barrier", kTranspose, kBarrier, 0, "", {shared_race, undefined_store}},
      {"transpose_address", kTranspose, address_of("ld\\.shared"), 1, "$1+4]", {}},
      {"vector_address", kLayerNorm, address_of("ld\\.global\\.v4"), 0, "$1+4]", {misaligned}},
      {"butterfly_distance", kLayerNorm, "(mov\\.u32.*), 16;", 0, "$1, 8;", {}},
      {"vote_kind", kShuffles, "vote\\.sync\\.any", 0, "vote.sync.all", {}},
      {"redux_kind", kShuffles, "redux\\.sync\\.max", 0, "redux.sync.min", {}},
      {"match_kind", kShuffles, "(shfl\\.sync\\.idx.*), (%r\\d+), (%r\\d+);", 1, "$1, 31, $3;", {}},

      // CUB's own barriers.
      {"cub_sort_barrier", kCubSort, "bar(rier)?\\.sync", 1, "", {shared_race}},
      {"cub_scan_barrier",
       kCubScan,
       "bar(rier)?\\.sync",
       0,
       "",
       {shared_race, undefined_store, undefined_operand}},
  };
}

}  // namespace programs
