#pragma once

#include <array>
#include <cstddef>

#include "gpu/machine/block.hpp"
#include "gpu/machine/race_detector.hpp"
#include "gpu/machine/warp.hpp"
#include "gpu/machine/worker.hpp"
#include "gpu/ops/numbers.hpp"

namespace gpu::ops {

/// What an instruction does with memory.
enum class Intent : u8 { read, write, atomic };

/// The addresses of a warp's access, checked and turned into places in the host's memory.
struct Access {
  u32 lanes = 0;         ///< that may go on: addressed without failure
  u32 shared_lanes = 0;  ///< of them, those in shared memory
  u32 global_lanes = 0;
  u32 local_lanes = 0;
  std::array<u64, 32> address;  ///< within its space
  std::array<std::byte*, 32> data;
  std::array<std::byte*, 32> defined;
};

/// Resolves source `source` + offset for the active lanes: `bytes` at each address, aligned to
/// `alignment`. Fails for undefined, misaligned and invalid addresses, and counts the access.
void resolve(Warp& w, const Instruction& in, int source, u32 bytes, u32 alignment, Intent intent,
             Access& out);
/// The same for addresses at hand (not counted).
void resolve_at(Warp& w, ptx::Space space, const std::array<u64, 32>& addresses, u32 lanes,
                u32 bytes, u32 alignment, Intent intent, Access& out);

/// Fails where the access races with an earlier one. For writes: `value` gives a lane's new bytes.
void check_read_races(Warp& w, const Access& access, u32 bytes, Strength strength);
void check_write_race(Warp& w, u32 lane, u32 offset, u32 bytes, Strength strength, bool same_value);
/// Reports a conflict.
void report_race(Warp& w, u32 lane, const RaceDetector::Conflict& conflict);

/// Passes over the banks that the access to shared memory needs, and those it would need without
/// conflicts: 32 lanes by 4 bytes, 16 by 8, 8 by 16 in a pass (as the hardware splits wide
/// accesses).
void count_banks(SiteTally& tally, const std::array<u64, 32>& address, u32 lanes, u32 bytes);
/// Distinct 32-byte sectors of an access to global memory.
u32 sectors_of(const std::array<u64, 32>& address, u32 lanes, u32 bytes);

}  // namespace gpu::ops
