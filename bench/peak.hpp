// What the machine can do at most, measured: the yardstick of the table.
#pragma once

#include <attend/core/dtype.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

/// The rate of a loop that does nothing but multiply and add in registers.
struct Peak {
  std::string instructions;  ///< "AVX-512", "AVX-512-BF16", ...
  attend::Dtype dtype;       ///< of the factors; sums are fp32, of f64 fp64
  double flops;              ///< floating-point operations per second, all threads together
};

/// Peaks of every instruction set that this processor has, for so many threads.
std::vector<Peak> measure_peaks(int threads);

/// The highest peak that a computation on an element type may use: f16 is computed in fp32, bf16 in
/// bf16 where the processor can, f64 in fp64.
Peak best_peak(const std::vector<Peak>& peaks, attend::Dtype dtype);

/// Bytes per second of a loop that does nothing but read `bytes` again and again, each thread its
/// share.
double read_bandwidth(std::int64_t bytes, int threads);

/// The processor's name, with family and model where the system tells; never the machine's own
/// name.
std::string processor();

}  // namespace bench
