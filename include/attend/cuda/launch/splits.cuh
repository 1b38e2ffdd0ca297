#pragma once

#include <cstddef>
#include <cstdint>

#include "../kernel/merge_splits.cuh"
#include "launch.cuh"
#include "memory.hpp"

/// @file
/// Keys divided among blocks, where queries alone are too few for a device.

namespace attend::cuda {

/// Keys of a part, where keys are divided: a few dozen tiles, so that a decode over 16k keys fills
/// a device of 100 multiprocessors from eight heads on.
inline constexpr std::int64_t kSplitKeys = 1024;

/// How keys are divided: only if all queries of a head are in one tile. It does not depend on the
/// batch or the device, so neither do results.
inline KeySplit key_split(const Problem& problem, EmptyRow empty_row, int tile_rows) {
  if (problem.len_q * problem.group() > tile_rows || problem.len_k < 2 * kSplitKeys ||
      empty_row == EmptyRow::uniform)
    return {};
  return {(problem.len_k + kSplitKeys - 1) / kSplitKeys, kSplitKeys};
}

/// A call's parts of the keys, and memory for their results until they are merged.
template <class V>
class Splits {
 public:
  using Real = typename V::Real;  ///< what is computed in
  /// For tiles of `tile_rows` queries.
  /// @throws device_error if there is no memory.
  Splits(const Problem& problem, const V& variant, int tile_rows, cudaStream_t stream)
      : rows_(problem.batch * problem.heads * problem.len_q),
        results_{key_split(problem, variant.empty_row, tile_rows)} {
    const std::int64_t count = results_.split.count;
    if (count == 1) return;
    const auto parts = static_cast<std::size_t>(count * rows_);
    out_ = Memory(parts * static_cast<std::size_t>(problem.head_dim_v) * sizeof(Real),
                  Stream::borrowed(stream));
    state_ = Memory(parts * sizeof(SoftmaxState<Real>), Stream::borrowed(stream));
    results_.out = {static_cast<Real*>(out_.data()),
                    {count, problem.batch, problem.heads, problem.len_q, problem.head_dim_v}};
    results_.state = {static_cast<SoftmaxState<Real>*>(state_.data()),
                      {count, problem.batch, problem.heads, problem.len_q}};
  }

  /// As kernels take them.
  const SplitResults<Real>& results() const { return results_; }

  /// Puts the parts together, if there are any.
  /// @throws device_error
  template <class T>
  void merge(const Problem& problem, const ForwardTensors<T>& tensors, cudaStream_t stream) const {
    if (results_.split.count > 1)
      launch("merge_splits", merge_splits<T, V>, {rows_, kMergeThreads}, stream, problem, tensors,
             results_);
  }

 private:
  std::int64_t rows_;
  SplitResults<Real> results_;
  Memory out_, state_;
};

}  // namespace attend::cuda
