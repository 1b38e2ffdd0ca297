// Programs with one planted bug each: a change to the PTX of one kernel.
#pragma once

#include <string>
#include <vector>

#include "gpu/machine/report.hpp"

namespace programs {

constexpr int kEvery = -1;

struct Mutant {
  std::string name;
  std::string program;
  std::string kernel;       // part of its mangled name
  std::string instruction;  // a regular expression that finds lines of the kernel
  int which;                // of those found, or kEvery
  std::string replacement;  // as in std::regex_replace; empty: the line goes
  // Why it has to be caught: one of these faults. None: by a wrong result.
  std::vector<gpu::Fault> faults;
};

const std::vector<Mutant>& all_mutants();

/// The PTX with the change. Empty if there was nothing to change.
std::string mutated(const std::string& ptx, const Mutant& mutant);

}  // namespace programs
