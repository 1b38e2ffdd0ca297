#pragma once

#include <cstddef>
#include <cstdint>

#include "../kernel/row_gradients.cuh"
#include "launch.cuh"
#include "memory.hpp"

/// @file
/// What every backward pass begins with.

namespace attend::cuda {

/// The states of all rows, on the device.
template <class Real>
struct RowGradients {
  Memory memory;                        ///< theirs
  View<RowGradient<Real>, 3> states{};  ///< (b h i)
  View<bool, 1> distrusted_runs{};      ///< whether one of `kRowsOfRun` neighbours is
};

/// Computes them, and the sinks' gradient, if it is wanted.
template <class T, class V>
RowGradients<RealOf<T>> launch_row_gradients(const Problem& problem, const V& variant,
                                             const BackwardTensors<T>& tensors,
                                             cudaStream_t stream) {
  using Real = RealOf<T>;
  const std::int64_t count = problem.batch * problem.heads * problem.len_q;
  const std::int64_t runs = (count + kRowsOfRun - 1) / kRowsOfRun;
  const auto states_bytes = static_cast<std::size_t>(count) * sizeof(RowGradient<Real>);
  RowGradients<Real> rows{
      Memory(states_bytes + static_cast<std::size_t>(runs), Stream::borrowed(stream))};
  auto* const states = static_cast<RowGradient<Real>*>(rows.memory.data());
  rows.states = {states, {problem.batch, problem.heads, problem.len_q}};
  rows.distrusted_runs = {reinterpret_cast<bool*>(states + count), {runs}};
  launch("row_gradients", row_gradients<T, V>, {runs, kRowWarps * kWarp}, stream, problem, variant,
         tensors, rows.states, rows.distrusted_runs);
  if (tensors.dsink)
    launch("sink_gradient", sink_gradient<V>, {tensors.dsink.size(), kSinkThreads}, stream, problem,
           variant, rows.states, tensors.dsink);
  return rows;
}

}  // namespace attend::cuda
