#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../block/scalar_engine.cuh"
#include "../block/tensor_core_engine.cuh"
#include "../kernel/mem_efficient.cuh"
#include "../kernel/merge_splits.cuh"
#include "device.hpp"
#include "launch.cuh"
#include "memory.hpp"

/// @file
/// The memory-efficient path's launches.

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

/// Runs an engine.
template <class Engine, class V>
void launch_engine(const Problem& problem, const V& variant,
                   const ForwardTensors<typename Engine::Element>& tensors, cudaStream_t stream) {
  using T = typename Engine::Element;
  using Real = typename Engine::Real;
  const std::int64_t rows = problem.batch * problem.heads * problem.len_q;

  SplitResults<Real> results{key_split(problem, variant.empty_row, Engine::kTileRows)};
  Memory out, state;
  if (results.split.count > 1) {
    const auto parts = static_cast<std::size_t>(results.split.count * rows);
    out = Memory(parts * static_cast<std::size_t>(problem.head_dim_v) * sizeof(Real),
                 Stream::borrowed(stream));
    state = Memory(parts * sizeof(SoftmaxState<Real>), Stream::borrowed(stream));
    const Extents<4> each{results.split.count, problem.batch, problem.heads, problem.len_q};
    results.out = {static_cast<Real*>(out.data()),
                   {each[0], each[1], each[2], each[3], problem.head_dim_v}};
    results.state = {static_cast<SoftmaxState<Real>*>(state.data()), each};
  }

  constexpr std::size_t kShared = sizeof(MemEfficientShared<Engine, V>);
  const auto kernel = mem_efficient<Engine, V>;
  allow_shared_memory(kernel, kShared);
  launch("mem_efficient", kernel,
         {QueryTile::count(problem, Engine::kTileRows, Engine::kWidth, results.split),
          Engine::kThreads, kShared},
         stream, problem, variant, tensors, results);
  if (results.split.count > 1)
    launch("merge_splits", merge_splits<T>, {rows, kMergeThreads}, stream, problem, tensors,
           results);
}

/// Runs the memory-efficient path: on tensor cores for half types (bf16 from 8.0 on), else by
/// multiply-add.
template <class T, class V>
void launch_mem_efficient(const Problem& problem, const V& variant,
                          const ForwardTensors<T>& tensors, cudaStream_t stream) {
  const bool wide = problem.head_dim > 64 || problem.head_dim_v > 64;
  if constexpr (std::is_same_v<T, float>) {
    return problem.head_dim_v > 64
               ? launch_engine<ScalarEngine<T, 128>>(problem, variant, tensors, stream)
               : launch_engine<ScalarEngine<T, 64>>(problem, variant, tensors, stream);
  } else {
    if constexpr (std::is_same_v<T, BF16>) {
      if (capability(current_device()) < Capability{8, 0})
        return launch_engine<ScalarEngine<T, 64>>(problem, variant, tensors, stream);
    }
    return wide ? launch_engine<TensorCoreEngine<T, 128>>(problem, variant, tensors, stream)
                : launch_engine<TensorCoreEngine<T, 64>>(problem, variant, tensors, stream);
  }
}

}  // namespace attend::cuda
