#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace gpu {

/// What went wrong in a launch.
enum class Fault {
  out_of_bounds,      ///< an access outside every allocation, or past the end of one
  use_after_free,     ///< an access to an allocation that was released
  misaligned,         ///< an address that is no multiple of the access's size
  read_only,          ///< a write to constant or parameter space
  undefined_branch,   ///< undefined bits decide a branch or a predicate that guards an effect
  undefined_address,  ///< undefined bits in an address
  undefined_store,    ///< undefined bits stored to global memory
  undefined_operand,  ///< undefined bits where they steer an effect (a mask, a barrier, a size)
  shared_race,        ///< two threads use the same shared byte, one writes, nothing orders them
  copy_in_flight,     ///< shared memory used while an asynchronous copy to it is pending
  product_in_flight,  ///< a register used while a warpgroup's product that has it is in flight
  missing_fence,      ///< a warpgroup's product without the fence that orders what it uses
  divergence,         ///< a warp-wide instruction that not all named lanes reach
  barrier,            ///< a barrier that not all threads reach, or with wrong counts
  deadlock,           ///< nothing can run any more, or the step limit was reached
  pending_copy,       ///< a thread ended with asynchronous copies or products in flight
  trap,               ///< the program executed trap or brkpt, or called __assertfail
  bad_call,           ///< a call to something that is no function
  unsupported,        ///< an instruction that the machine does not know
};

/// The fault's short name in words, e.g. "race on shared memory".
std::string_view to_string(Fault fault);

/// One failure: where, what, and what was expected.
struct Report {
  Fault fault{};
  std::string kernel;                     ///< mangled name
  std::array<std::uint32_t, 3> block{};   ///< blockIdx
  std::array<std::uint32_t, 3> thread{};  ///< threadIdx of the first lane concerned
  std::string instruction;                ///< PTX text
  std::string file;                       ///< source file by .loc, empty where the PTX has none
  int line = 0;                           ///< source line by .loc, in the kernel itself
  std::string inner_file;                 ///< where it stands, if in an inlined function
  int inner_line = 0;
  int ptx_line = 0;           ///< line within the PTX text
  std::string message;        ///< what happened and what was expected
  std::uint64_t repeats = 1;  ///< how often it happened at this instruction (keep_going)

  /// Several lines of text for people.
  std::string text() const;
};

}  // namespace gpu
