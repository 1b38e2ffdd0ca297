#include "gpu/machine/report.hpp"

namespace gpu {

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::out_of_bounds:
      return "access out of bounds";
    case Fault::use_after_free:
      return "use after free";
    case Fault::misaligned:
      return "misaligned address";
    case Fault::read_only:
      return "write to read-only memory";
    case Fault::undefined_branch:
      return "undefined bits decide what is executed";
    case Fault::undefined_address:
      return "undefined bits in an address";
    case Fault::undefined_store:
      return "undefined bits stored to global memory";
    case Fault::undefined_operand:
      return "undefined bits in an operand";
    case Fault::shared_race:
      return "race on shared memory";
    case Fault::copy_in_flight:
      return "shared memory used while a copy is in flight";
    case Fault::product_in_flight:
      return "register used while a product is in flight";
    case Fault::missing_fence:
      return "missing fence before a product";
    case Fault::divergence:
      return "divergence at a warp-wide instruction";
    case Fault::barrier:
      return "barrier not reached by all threads";
    case Fault::deadlock:
      return "deadlock";
    case Fault::pending_copy:
      return "exit with copies or products in flight";
    case Fault::trap:
      return "trap";
    case Fault::bad_call:
      return "bad call";
    case Fault::unsupported:
      return "unsupported instruction";
  }
  return "failure";
}

std::string Report::text() const {
  const auto triple = [](const std::array<std::uint32_t, 3>& t) {
    return std::string("(") + std::to_string(t[0]) + ", " + std::to_string(t[1]) + ", " +
           std::to_string(t[2]) + ")";
  };
  std::string out = "emulated GPU: ";
  out += to_string(fault);
  out += "\n  kernel  " + kernel + "\n  block   " + triple(block) + ", thread " + triple(thread);
  out += "\n  at      " + instruction;
  out +=
      "\n  source  " + (file.empty() ? std::string("unknown") : file + ":" + std::to_string(line));
  if (!inner_file.empty()) out += ", in " + inner_file + ":" + std::to_string(inner_line);
  out += " (PTX line " + std::to_string(ptx_line) + ")\n  why     " + message + "\n";
  if (repeats > 1) out += "  and " + std::to_string(repeats - 1) + " times more\n";
  return out;
}

}  // namespace gpu
