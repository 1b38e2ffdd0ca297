#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gpu {

/// Figures of one instruction of a kernel, summed over the launch. Exact: the same in every run
/// whatever the seed, unless the program itself depends on timing.
struct SiteCounts {
  std::string instruction;  ///< PTX text
  std::string opcode;  ///< with its modifiers: "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"
  std::string file;
  int line = 0;
  int ptx_line = 0;
  std::uint64_t executed = 0;          ///< warp instructions
  std::uint64_t lanes = 0;             ///< lanes that took part, summed
  std::uint64_t global_bytes = 0;      ///< read or written
  std::uint64_t global_sectors = 0;    ///< 32-byte sectors
  std::uint64_t shared_phases = 0;     ///< passes over the 32 banks that were needed
  std::uint64_t shared_conflicts = 0;  ///< passes beyond those needed without bank conflicts
  std::uint64_t local_bytes = 0;
  std::uint64_t product_bytes = 0;  ///< that wgmma reads from shared memory
};

/// Exact figures of one launch.
struct Counts {
  std::uint64_t instructions = 0;  ///< warp instructions
  std::uint64_t blocks = 0;
  std::uint64_t warps = 0;
  std::uint64_t barriers = 0;           ///< barrier instructions, block-wide, by warp
  std::uint64_t global_bytes_read = 0;  ///< by lanes, cp.async and atomics too
  std::uint64_t global_bytes_written = 0;
  std::uint64_t global_sectors_read = 0;  ///< 32-byte sectors per warp instruction
  std::uint64_t global_sectors_written = 0;
  std::uint64_t shared_phases = 0;
  std::uint64_t shared_conflicts = 0;
  std::uint64_t local_bytes = 0;    ///< read and written: spills and arrays that are indexed
  std::uint64_t product_bytes = 0;  ///< that wgmma reads from shared memory
  std::map<std::string, std::uint64_t> by_opcode;  ///< first word ("add", "mma", ...) -> executed
  std::map<std::string, std::uint64_t>
      mma;  ///< shape and types ("m16n8k16.f32.f16.f16.f32") -> executed by warps, wgmma too
  std::vector<SiteCounts> sites;  ///< in program order; those executed at least once

  /// Sum of shared_conflicts over the sites with first <= source line <= last (of any file, or of
  /// files whose path ends in `file`).
  std::uint64_t conflicts_in_lines(int first, int last, const std::string& file = {}) const {
    std::uint64_t sum = 0;
    for (const SiteCounts& site : sites) {
      const bool in_file = file.empty() || site.file.ends_with(file);
      if (in_file && site.line >= first && site.line <= last) sum += site.shared_conflicts;
    }
    return sum;
  }

  /// A table for people.
  std::string table() const;
};

}  // namespace gpu
