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

/// Batch elements that share a bias, so that each block's part of it can come from memory once for
/// all of them (not timed yet); not so many that their keys and values would leave the second-level
/// cache.
template <class V>
std::int64_t batch_together(const Problem& problem, const V& variant) {
  if (!variant.bias || variant.bias.stride(0) != 0) return 1;
  return problem.batch % 4 == 0 ? 4 : problem.batch % 2 == 0 ? 2 : 1;
}

/// How a call's work is divided: keys only if all queries of a head are in one tile. The parts
/// do not depend on the batch, and so results don't.
template <class V>
Division division(const Problem& problem, const V& variant, int tile_rows) {
  Division work{.together = batch_together(problem, variant)};
  if (problem.len_q * problem.group() > tile_rows || problem.len_k < 2 * kSplitKeys ||
      variant.empty_row == EmptyRow::uniform)
    return work;
  work.parts = (problem.len_k + kSplitKeys - 1) / kSplitKeys;
  work.part_keys = kSplitKeys;
  return work;
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
        results_{division(problem, variant, tile_rows)} {
    const std::int64_t count = results_.work.parts;
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
  void merge(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
             cudaStream_t stream) const {
    if (results_.work.parts > 1)
      launch("merge_splits", merge_splits<T, V>, {rows_, kMergeThreads}, stream, problem, variant,
             tensors, results_);
  }

 private:
  std::int64_t rows_;
  SplitResults<Real> results_;
  Memory out_, state_;
};

}  // namespace attend::cuda
