#pragma once

#include <cstdint>
#include <optional>

#include "../core/variant.hpp"

/// @file
/// What an `Attend` object is made with.

namespace attend {

/// Options of an `Attend` object: the two arguments of the original, and two more.
struct Options {
  double dropout = 0;  ///< probability in [0, 1] that a weight is dropped in training
  bool flash = false;  ///< true: fused kernels; false: the math path
  EmptyRow empty_row = EmptyRow::zero;  ///< what a query without any allowed key gives
  std::optional<std::uint64_t> seed =
      {};  ///< of dropout; not given: drawn by the system, another for each object
};

}  // namespace attend
