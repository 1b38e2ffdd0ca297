// Programs with one bug each, and what has to be said of it.
#pragma once

#include <string>
#include <vector>

#include "gpu/machine/report.hpp"
#include "programs.hpp"

namespace programs {

struct Bug {
  std::string name;
  Outcome (*run)();
  std::vector<gpu::Fault> faults;  // any of these is right
  cudaError_t error;
  int least_capability;
  std::string part_of_message;  // that the report has to contain
};

const std::vector<Bug>& all_bugs();

Outcome race_read_after_write();
Outcome race_write_after_read();
Outcome race_within_warp();
Outcome missing_copy_wait();
Outcome pending_copies();
Outcome global_past_end();
Outcome shared_past_end();
Outcome local_past_end();
Outcome freed_memory();
Outcome uninitialised_shared();
Outcome uninitialised_branch();
Outcome uninitialised_index();
Outcome misaligned_vector();
Outcome misaligned_matrix();
Outcome divergent_barrier();
Outcome divergent_shuffle();
Outcome divergent_mma();
Outcome endless_wait();
Outcome failed_assertion();
// In hopper/bugs.cu:
Outcome missing_wgmma_fence();
Outcome missing_wgmma_wait();
Outcome missing_proxy_fence();
Outcome proxy_fence_before_wait();
Outcome store_beside_copies();
Outcome three_warps();
Outcome tile_overwritten();
Outcome tile_past_end();

}  // namespace programs
