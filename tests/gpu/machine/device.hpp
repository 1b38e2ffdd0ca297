#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace gpu {

/// A compute capability, e.g. {8, 6}.
struct Capability {
  int major = 0;
  int minor = 0;
  auto operator<=>(const Capability&) const = default;
};

/// What the machine, the occupancy rules and the device queries need to know about a GPU.
/// Figures: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
struct Device {
  std::string_view name;
  Capability capability;
  int sm_count;
  int max_threads_per_block = 1024;
  int max_threads_per_sm;
  int max_blocks_per_sm;
  int warp_size = 32;
  int registers_per_block = 65536;          ///< 32-bit registers
  int registers_per_sm = 65536;             ///< 32-bit registers
  std::size_t shared_per_block = 48 << 10;  ///< bytes of static shared memory a block may have
  std::size_t shared_per_block_optin;       ///< bytes, static + dynamic, after opting in
  std::size_t shared_per_sm;                ///< bytes
  std::size_t reserved_shared_per_block =
      1 << 10;  ///< bytes the system takes from each block's share
  std::size_t l2_bytes;
  std::size_t total_memory;  ///< bytes of global memory
  int clock_khz;
  int memory_clock_khz;
  int memory_bus_bits;
  int max_cluster_size = 1;  ///< of 9.0 and later: 8
};

/// Every emulated device: 7.5, 8.0, 8.6, 9.0, 12.0.
std::span<const Device> devices();

/// The emulated device of that capability; throws std::invalid_argument, naming the known ones.
const Device& device(Capability capability);

/// "8.6" -> {8, 6}; throws std::invalid_argument for anything else.
Capability parse_capability(std::string_view text);

}  // namespace gpu
