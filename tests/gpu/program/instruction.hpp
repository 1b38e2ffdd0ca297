#pragma once

#include <cstdint>

#include "gpu/ptx/ast.hpp"

namespace gpu {

class Warp;
struct Function;
struct Instruction;

/// Executes an instruction for the active lanes of a warp.
using Run = void (*)(Warp&, const Instruction&);

/// Where an operand's 32 lanes lie: a unit is 32 words of 32 bits (64-bit values take two, so they
/// start at an even unit; a predicate is one word, a bit per lane).
struct Ref {
  enum Bank : std::uint8_t { registers, constants };
  std::uint32_t unit = 0;
  Bank bank = registers;
  bool wide = false;       ///< 64 bits per lane
  bool predicate = false;  ///< one bit per lane
  bool negated = false;    ///< a predicate that is used inverted
};

/// Where execution goes on.
enum class Flow : std::uint8_t { next, jump, table, stop };

/// A decoded instruction. The fields below `run` mean what its group of instructions says.
struct Instruction {
  Run run = nullptr;
  Run shadow = nullptr;  ///< definedness of the results; nullptr where `run` sees to that itself
  const Ref* dst = nullptr;
  const Ref* src = nullptr;
  std::uint8_t dst_count = 0;
  std::uint8_t src_count = 0;
  bool guarded = false;
  Ref guard;
  bool effect = false;       ///< its guard must be defined: it changes more than registers
  bool local_frame = false;  ///< its address counts from the function's frame in local memory
  bool holds = false;        ///< its 32-bit registers are used beyond the instruction's end
  bool renames = false;      ///< a plain copy of a 32-bit register or constant
  bool watched = false;      ///< uses registers that others hold
  Flow flow = Flow::next;

  ptx::Type type = ptx::Type::none;
  ptx::Space space = ptx::Space::generic;
  std::uint8_t bytes = 0;  ///< per element
  std::uint8_t lanes = 1;  ///< elements of a vector access
  std::uint8_t mode = 0;
  std::uint8_t flags = 0;
  std::uint32_t target = 0;        ///< of a branch
  std::int64_t offset = 0;         ///< added to an address
  std::int64_t second_offset = 0;  ///< of an instruction with two addresses
  std::uint32_t extra = 0;         ///< index into a table of the function
  const Function* function = nullptr;
};

}  // namespace gpu
