// One row's tensors in their element type, and the library called on them.
#pragma once

#include <attend/select/path.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "inputs.hpp"
#include "row.hpp"

namespace bench {

/// A row ready to be computed, whatever its element type.
class Computation {
 public:
  virtual ~Computation() = default;

  /// One call, by a path or by the library's own choice, into the row's output (with a backward
  /// pass: gradients).
  /// @returns the path that ran.
  virtual attend::Path run(std::optional<attend::Path> path) = 0;

  /// The latest output, in memory order; with a backward pass: dq, dk and dv, one after the other.
  virtual std::vector<float> output() const = 0;
};

/// In a translation unit of its own for each element type, so that they compile side by side.
template <class T>
std::unique_ptr<Computation> make_computation_of(const Row& row, Inputs inputs);

/// For the row's element type.
std::unique_ptr<Computation> make_computation(const Row& row, Inputs inputs);

/// The tile engine of the fused path on this processor.
const char* engine();

}  // namespace bench
