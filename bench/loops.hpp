// The loops behind the peaks, one for each instruction set.
#pragma once

#include <attend/core/dtype.hpp>
#include <cstdint>
#include <vector>

namespace bench {

/// A loop of multiply-add instructions whose results depend on nothing but their own chain.
struct ComputeLoop {
  const char* instructions;
  attend::Dtype dtype;  ///< of the factors
  double flops_per_round;
  void (*run)(std::int64_t rounds);  ///< on the calling thread
};

/// Those that this processor can run.
std::vector<ComputeLoop> compute_loops();

/// Reads `bytes` (a multiple of 1024) from `data` with the widest loads of this processor.
void read_all(const char* data, std::int64_t bytes);

}  // namespace bench
