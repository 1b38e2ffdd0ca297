// Programs with one planted bug each: a change to the PTX of one kernel.
#pragma once

#include <string>
#include <vector>

#include "gpu/machine/report.hpp"

namespace programs {

constexpr int kEvery = -1;

struct Kernel {
  const char* program;
  const char* name;  // part of its mangled name
};

struct Mutant {
  std::string name;
  Kernel kernel;
  std::string instruction;  // a regular expression that finds lines of the kernel
  int which;                // of those found, or kEvery
  std::string replacement;  // as in std::regex_replace; empty: the line goes
  // Why it has to be caught: one of these faults. None: by a wrong result.
  std::vector<gpu::Fault> faults;
};

// Lines are named by what nvcc makes of the programs for compute_80 (of warpgroups: compute_90a).
std::vector<Mutant> simt_mutants();
std::vector<Mutant> mma_mutants();
std::vector<Mutant> wgmma_mutants();
const std::vector<Mutant>& all_mutants();

inline constexpr const char* kBarrier = "bar\\.sync";
/// Matches an instruction up to the address in it and its offset; "$1+4]" is another offset.
std::string address_of(const std::string& instruction);

/// The PTX with the change. Empty if there was nothing to change.
std::string mutated(const std::string& ptx, const Mutant& mutant);

}  // namespace programs
