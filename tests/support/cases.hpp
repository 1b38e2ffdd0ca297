// The one list of cases that every path runs: host paths, each tile engine, device kernels.
#pragma once

#include <ostream>
#include <vector>

#include "case.hpp"

namespace support {

/// Everything can be asked for together, so random cases draw each part by itself. Small sizes.
Case random_case(std::uint64_t seed);

/// Cases by hand: sizes, head dims, each part of the specification alone, extremes; then random
/// compositions, and infinite logits. A path on the host takes seconds.
std::vector<Case> cases();

/// Sizes that take too long for every run: the full product of lengths, head dims and kinds of
/// masking, and two thousand random compositions.
std::vector<Case> long_cases();

/// How GoogleTest shows a case.
inline void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

}  // namespace support
