#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../block/float_engine.cuh"
#include "../block/float_warpgroup_engine.cuh"
#include "../block/scalar_engine.cuh"
#include "../block/tensor_core_engine.cuh"
#include "../kernel/mem_efficient.cuh"
#include "flash.cuh"
#include "launch.cuh"
#include "splits.cuh"
#include "usable.cuh"

/// @file
/// The memory-efficient path's launches.

namespace attend::cuda {

/// Runs an engine.
template <class Engine, class V>
void launch_engine(const Problem& problem, const V& variant,
                   const ForwardTensors<typename Engine::Element>& tensors, cudaStream_t stream) {
  const Splits<V> splits(problem, variant, Engine::kTileRows, stream);
  constexpr std::size_t kShared = sizeof(MemEfficientShared<Engine, V>);
  const auto kernel = mem_efficient<Engine, V>;
  allow_shared_memory(kernel, kShared);
  launch("mem_efficient", kernel,
         {QueryTile::count(problem, Engine::kTileRows, Engine::kWidth, splits.results().work),
          Engine::kThreads, kShared},
         stream, problem, variant, tensors, splits.results());
  splits.merge(problem, variant, tensors, stream);
}

/// Runs the kernel of a tiling of floats.
template <int HeadDim, FlashScores scores, class V>
void launch_floats_head_dim(const Problem& problem, const V& variant,
                            const ForwardTensors<float>& tensors, cudaStream_t stream) {
  using Warpgroups = FloatWarpgroupEngine<HeadDim, scores>;
  if (has_warpgroups(flash_kernel<Warpgroups, V>(), Warpgroups::kBlockThreads))
    return launch_flash_engine<Warpgroups>(problem, variant, tensors, stream);
  launch_flash_engine<FloatEngine<HeadDim, scores>>(problem, variant, tensors, stream);
}

/// Runs the kernel of floats' head dims, up to 128.
template <FlashScores scores, class V>
void launch_floats_scores(const Problem& problem, const V& variant,
                          const ForwardTensors<float>& tensors, cudaStream_t stream) {
  const std::int64_t most = std::max(problem.head_dim, problem.head_dim_v);
  if (most <= 64) return launch_floats_head_dim<64, scores>(problem, variant, tensors, stream);
  launch_floats_head_dim<128, scores>(problem, variant, tensors, stream);
}

/// Runs the kernel of floats on tensor cores.
template <class V>
void launch_floats(const Problem& problem, const V& variant, const ForwardTensors<float>& tensors,
                   cudaStream_t stream) {
  if constexpr (!V::kHasScoreMod && !V::kHasMaskMod) {
    if (are_products(variant))
      return launch_floats_scores<FlashScores::products>(problem, variant, tensors, stream);
  }
  launch_floats_scores<FlashScores::any>(problem, variant, tensors, stream);
}

/// Runs the memory-efficient path where flash's kernels can't: on tensor cores for half types (bf16
/// from 8.0 on) and for floats in parts (from 8.0 on, head dims up to 128), else by multiply-add.
template <class T, class V>
void launch_mem_efficient(const Problem& problem, const V& variant,
                          const ForwardTensors<T>& tensors, cudaStream_t stream) {
  const bool from_8_0 = usable_capability_of<V>() >= kCapabilityA100;
  const std::int64_t most = std::max(problem.head_dim, problem.head_dim_v);
  if constexpr (std::is_same_v<T, float>) {
    if (from_8_0 && most <= 128 &&
        std::max(problem.len_q, problem.len_k) <= limits(Path::flash).max_length)
      return launch_floats(problem, variant, tensors, stream);
    return from_8_0 || problem.head_dim_v > 64
               ? launch_engine<ScalarEngine<T, 128>>(problem, variant, tensors, stream)
               : launch_engine<ScalarEngine<T, 64>>(problem, variant, tensors, stream);
  } else {
    if constexpr (std::is_same_v<T, BF16>) {
      if (!from_8_0) return launch_engine<ScalarEngine<T, 64>>(problem, variant, tensors, stream);
    } else {
      if (!from_8_0 && most <= 64)
        return launch_engine<TensorCoreEngine<T, 64>>(problem, variant, tensors, stream);
    }
    launch_engine<TensorCoreEngine<T, 128>>(problem, variant, tensors, stream);
  }
}

}  // namespace attend::cuda
