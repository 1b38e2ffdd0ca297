// Bugs in a program of products of warpgroups (wgmma).
#include "mutants.hpp"

namespace programs {
namespace {

using enum gpu::Fault;

constexpr Kernel kAttention{"attention_warpgroup", "attention_warpgroup_kernel"};

constexpr const char* kFence = "wgmma\\.fence";
constexpr const char* kCommit = "wgmma\\.commit_group";
constexpr const char* kWait = "wgmma\\.wait_group";
constexpr const char* kProxyFence = "fence\\.proxy";
constexpr const char* kAdds = "setp\\.ne(\\.b32 p, %r\\d+, 0;)";

}  // namespace

std::vector<Mutant> wgmma_mutants() {
  return {
      {"wgmma_first_fence", kAttention, kFence, 0, "", {missing_fence}},
      {"wgmma_scores_fence", kAttention, kFence, 1, "", {missing_fence}},
      {"wgmma_output_fence", kAttention, kFence, 2, "", {missing_fence}},
      {"wgmma_scores_not_committed", kAttention, kCommit, 1, "", {product_in_flight}},
      {"wgmma_output_not_committed", kAttention, kCommit, 2, "", {product_in_flight}},
      {"wgmma_first_wait", kAttention, kWait, 0, "", {product_in_flight}},
      {"wgmma_output_wait", kAttention, kWait, 1, "", {product_in_flight}},
      {"wgmma_scores_wait", kAttention, kWait, 2, "", {product_in_flight}},
      {"wgmma_scores_wait_for_fewer",
       kAttention,
       "(wgmma\\.wait_group.*) 1;",
       1,
       "$1 2;",
       {product_in_flight}},
      {"wgmma_last_wait", kAttention, kWait, 3, "", {product_in_flight, pending_copy}},
      {"wgmma_first_proxy_fence", kAttention, kProxyFence, 0, "", {missing_fence}},
      {"wgmma_proxy_fence", kAttention, kProxyFence, 1, "", {missing_fence}},
      {"wgmma_proxy_fence_of_global",
       kAttention,
       "(fence\\.proxy\\.async)\\.shared::cta",
       1,
       "$1.global",
       {missing_fence}},
      {"wgmma_first_barrier", kAttention, kBarrier, 0, "", {shared_race, copy_in_flight}},
      {"wgmma_barrier", kAttention, kBarrier, 1, "", {shared_race, copy_in_flight}},
      {"wgmma_copy_wait",
       kAttention,
       "cp\\.async\\.wait_group 0",
       0,
       "cp.async.wait_group 1",
       {copy_in_flight}},
      {"wgmma_swizzle_of_scores", kAttention, "4611686293305360384", 4, "9223372311732748288", {}},
      {"wgmma_swizzle_of_values", kAttention, "4611686293338849280", 0, "9223372311766237184", {}},
      {"wgmma_rows_too_far",
       kAttention,
       "4611686293305360384",
       5,
       "4611686568183267328",
       {copy_in_flight}},
      {"wgmma_values_not_transposed", kAttention, "p, 1, 1, 1;", 2, "p, 1, 1, 0;", {}},
      {"wgmma_negative", kAttention, "p, 1, 1, 0, 0;", 6, "p, 1, -1, 0, 0;", {}},
      {"wgmma_fragment_of_a",
       kAttention,
       "\\{(%r\\d+), (%r\\d+), (%r\\d+), (%r\\d+)\\}, (%rd\\d+), p",
       1,
       "{$2, $1, $3, $4}, $5, p",
       {}},
      {"wgmma_adds_to_nothing",
       kAttention,
       kAdds,
       0,
       "setp.eq$1",
       {undefined_store, undefined_branch}},
      {"wgmma_starts_anew", kAttention, kAdds, 6, "setp.eq$1", {}},
      {"wgmma_copies_not_swizzled",
       kAttention,
       "(cp\\.async\\.cg.*\\[%r\\d+)\\]",
       0,
       "$1+16]",
       {copy_in_flight, shared_race, out_of_bounds}},
  };
}

}  // namespace programs
