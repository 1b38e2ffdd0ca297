#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "gpu/program/instruction.hpp"

namespace gpu {

/// Special registers that keep their value while a frame lives; filled in when it starts.
enum class Special : std::uint8_t {
  tid_x,
  tid_y,
  tid_z,
  ntid_x,
  ntid_y,
  ntid_z,
  ctaid_x,
  ctaid_y,
  ctaid_z,
  nctaid_x,
  nctaid_y,
  nctaid_z,
  laneid,
  warpid,
  nwarpid,
  smid,
  nsmid,
  gridid,
  lanemask_eq,
  lanemask_le,
  lanemask_lt,
  lanemask_ge,
  lanemask_gt,
  envreg,
  dynamic_smem_size,
  total_smem_size,
  clusterid_x,
  clusterid_y,
  clusterid_z,
  nclusterid_x,
  nclusterid_y,
  nclusterid_z,
  cluster_ctaid_x,
  cluster_ctaid_y,
  cluster_ctaid_z,
  cluster_nctaid_x,
  cluster_nctaid_y,
  cluster_nctaid_z,
  cluster_ctarank,
  cluster_nctarank,
  is_explicit_cluster,
  zero,
  dynamic_shared,  ///< address of dynamic shared memory, plus `addend`
  local_frame,     ///< address of the frame in local memory, plus `addend`
};

/// Where in a PTX text and in the source an instruction stands.
struct Site {
  std::string text;
  std::string opcode;
  std::string file;  ///< where the chain of inlined calls starts
  int line = 0;
  std::string inner_file;  ///< of the innermost inlined function; empty where nothing was inlined
  int inner_line = 0;
  int ptx_line = 0;
};

/// A decoded function: registers are places, labels are indices.
struct Function {
  struct SpecialSlot {
    Special special;
    Ref ref;
    std::uint64_t addend;
  };
  struct Area {  ///< of a parameter in the frame
    std::uint32_t offset;
    std::uint32_t bytes;
  };
  struct Call {
    const Function* callee = nullptr;  ///< nullptr: by address, the first source
    enum class Builtin : std::uint8_t { none, printf, assert_fail, malloc, free } builtin{};
    std::vector<Area> arguments;  ///< in the caller's frame
    std::vector<Area> results;
  };

  std::string name;
  std::string module;
  std::vector<Instruction> code;
  std::vector<Site> sites;  ///< of each instruction
  std::vector<Ref> refs;
  std::vector<std::uint32_t> constants;  ///< 32 words per unit
  std::vector<SpecialSlot> specials;
  std::vector<std::vector<std::uint32_t>> branch_tables;
  std::vector<Call> calls;
  std::vector<Area> parameters;  ///< of a device function, in its frame
  std::vector<Area> returns;
  std::uint32_t units = 0;        ///< of the register file
  std::vector<bool> held;         ///< by unit: registers that Instruction::holds; empty: none
  std::uint32_t frame_bytes = 0;  ///< local memory per thread
  int pressure = 0;               ///< largest number of 32-bit registers alive at once
  int index = 0;                  ///< among the module's functions
  std::vector<std::string> unsupported;
};

}  // namespace gpu
