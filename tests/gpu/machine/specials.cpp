#include <algorithm>

#include "gpu/machine/block.hpp"
#include "gpu/machine/warp.hpp"
#include "gpu/machine/worker.hpp"

namespace gpu {
namespace {

/// The value of a special register that is the same for the whole block.
std::uint64_t block_value(const Block& block, const LaunchState& launch, std::uint32_t warp,
                          Special special, std::uint64_t addend) {
  const Dim3& threads = launch.config.block;
  const Dim3& grid = launch.config.grid;
  const Dim3& cluster = launch.config.cluster;
  const Dim3& at = block.index;
  switch (special) {
    case Special::ntid_x:
      return threads.x;
    case Special::ntid_y:
      return threads.y;
    case Special::ntid_z:
      return threads.z;
    case Special::ctaid_x:
      return at.x;
    case Special::ctaid_y:
      return at.y;
    case Special::ctaid_z:
      return at.z;
    case Special::nctaid_x:
      return grid.x;
    case Special::nctaid_y:
      return grid.y;
    case Special::nctaid_z:
      return grid.z;
    case Special::warpid:
      return warp;
    case Special::nwarpid:
      return static_cast<std::uint64_t>(launch.device.max_threads_per_sm / 32);
    case Special::smid:
      return block.linear % static_cast<std::uint64_t>(launch.device.sm_count);
    case Special::nsmid:
      return static_cast<std::uint64_t>(launch.device.sm_count);
    case Special::gridid:
      return 1;
    case Special::envreg:  // 1 and 2: where cooperative groups keep the state of a grid
      return addend == 1   ? launch.grid_workspace >> 32
             : addend == 2 ? launch.grid_workspace & 0xFFFFFFFFu
                           : 0;
    case Special::dynamic_smem_size:
      return launch.config.dynamic_shared_bytes;
    case Special::total_smem_size:
      return block.shared_bytes;
    case Special::clusterid_x:
      return at.x / cluster.x;
    case Special::clusterid_y:
      return at.y / cluster.y;
    case Special::clusterid_z:
      return at.z / cluster.z;
    case Special::nclusterid_x:
      return grid.x / cluster.x;
    case Special::nclusterid_y:
      return grid.y / cluster.y;
    case Special::nclusterid_z:
      return grid.z / cluster.z;
    case Special::cluster_ctaid_x:
      return at.x % cluster.x;
    case Special::cluster_ctaid_y:
      return at.y % cluster.y;
    case Special::cluster_ctaid_z:
      return at.z % cluster.z;
    case Special::cluster_nctaid_x:
      return cluster.x;
    case Special::cluster_nctaid_y:
      return cluster.y;
    case Special::cluster_nctaid_z:
      return cluster.z;
    case Special::cluster_ctarank:
      return at.x % cluster.x + cluster.x * (at.y % cluster.y + cluster.y * (at.z % cluster.z));
    case Special::cluster_nctarank:
      return cluster.count();
    case Special::is_explicit_cluster:
      return cluster.count() > 1 ? 0xFFFFFFFFu : 0;
    case Special::dynamic_shared:
      return block.dynamic_shared + addend;
    default:
      return 0;
  }
}

}  // namespace

void Warp::fill_specials(Frame& f) {
  const LaunchState& launch = worker_->launch;
  const Dim3& threads = launch.config.block;
  for (const Function::SpecialSlot& slot : f.function->specials) {
    f.undefined_lanes[slot.ref.unit] = 0;
    std::uint32_t* words = f.values.get() + std::size_t{slot.ref.unit} * 32;
    for (std::uint32_t lane = 0; lane < 32; ++lane) {
      const std::uint32_t thread = thread_index(lane);
      std::uint64_t value = 0;
      switch (slot.special) {
        case Special::tid_x:
          value = thread % threads.x;
          break;
        case Special::tid_y:
          value = thread / threads.x % threads.y;
          break;
        case Special::tid_z:
          value = thread / threads.x / threads.y;
          break;
        case Special::laneid:
          value = lane;
          break;
        case Special::lanemask_eq:
          value = 1u << lane;
          break;
        case Special::lanemask_lt:
          value = (1u << lane) - 1;
          break;
        case Special::lanemask_le:
          value = (2u << lane) - 1;
          break;
        case Special::lanemask_gt:
          value = ~((2u << lane) - 1);
          break;
        case Special::lanemask_ge:
          value = ~((1u << lane) - 1);
          break;
        case Special::local_frame:
          value = f.local_base + slot.addend;
          break;
        default:
          value = block_value(block, launch, index, slot.special, slot.addend);
      }
      if (slot.ref.wide) {
        reinterpret_cast<std::uint64_t*>(words)[lane] = value;
      } else {
        words[lane] = static_cast<std::uint32_t>(value);
      }
    }
  }
}

}  // namespace gpu
