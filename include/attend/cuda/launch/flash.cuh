#pragma once

#include <algorithm>
#include <cstddef>

#include "../block/flash_engine.cuh"
#include "../block/warpgroup_engine.cuh"
#include "../kernel/flash.cuh"
#include "../kernel/flash_warpgroup.cuh"
#include "launch.cuh"
#include "pack_mask.cuh"
#include "splits.cuh"
#include "warpgroups.cuh"

/// @file
/// The flash path's launches.

namespace attend::cuda {

/// An engine's kernel.
template <class Engine, class V>
constexpr auto flash_kernel() {
  if constexpr (Engine::kOfWarpgroups) {
    return flash_warpgroup<Engine, V>;
  } else {
    return flash<Engine, V>;
  }
}

/// Runs one kernel.
template <class Engine, class V>
void launch_flash_engine(const Problem& problem, const V& variant,
                         const ForwardTensors<typename Engine::Element>& tensors,
                         cudaStream_t stream) {
  const PackedMask mask(variant, MaskParts::words_and_tiles, stream);
  const Splits<V> splits(problem, variant, Engine::kTileRows, stream);
  const auto& results = splits.results();
  const std::int64_t count =
      QueryTile::count(problem, Engine::kTileRows, Engine::kWidth, results.work);
  const auto kernel = flash_kernel<Engine, V>();
  if constexpr (Engine::kOfWarpgroups) {
    // A block for each multiprocessor, which has room for one; more if that were too many turns.
    // But tiles of long rows that see more and more keys are left to the device to hand out.
    constexpr std::int64_t kFewTiles = 32;
    const bool uneven = variant.causal || variant.window.left >= 0 || variant.window.right >= 0;
    const std::int64_t rows = problem.len_q * problem.group();
    const std::int64_t places = uneven && rows > kFewTiles * Engine::kTileRows
                                    ? count
                                    : attribute(cudaDevAttrMultiProcessorCount, current_device());
    const std::int64_t blocks =
        std::max(std::min(count, places), (count + kMostTurns - 1) / kMostTurns);
    constexpr std::size_t kShared = sizeof(WarpgroupShared<Engine>);
    static_assert(kShared <= 227 * 1024, "what a block has on 9.0");
    allow_shared_memory(kernel, kShared);
    launch("flash", kernel, {blocks, Engine::kBlockThreads, kShared}, stream, problem, variant,
           tensors, mask.bits(), results, static_cast<unsigned>(count));
  } else {
    constexpr std::size_t kShared = sizeof(FlashShared<Engine>);
    static_assert(kShared <= 99 * 1024, "what every device has from 8.0 on");
    allow_shared_memory(kernel, kShared);
    launch("flash", kernel, {count, Engine::kThreads, kShared}, stream, problem, variant, tensors,
           mask.bits(), results);
  }
  splits.merge(problem, variant, tensors, stream);
}

/// Runs the kernel of a head dim's tiling.
template <class T, int HeadDim, FlashScores scores, class V>
void launch_flash_head_dim(const Problem& problem, const V& variant,
                           const ForwardTensors<T>& tensors, cudaStream_t stream) {
  if constexpr (has_warpgroup_tiling(HeadDim)) {
    using Warpgroups = WarpgroupEngine<T, HeadDim, scores>;
    if (has_warpgroups(flash_kernel<Warpgroups, V>(), Warpgroups::kBlockThreads))
      return launch_flash_engine<Warpgroups>(problem, variant, tensors, stream);
  }
  launch_flash_engine<FlashEngine<T, HeadDim, scores>>(problem, variant, tensors, stream);
}

/// Runs the kernel of a call's head dims.
template <class T, FlashScores scores, class V>
void launch_flash_tiling(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
                         cudaStream_t stream) {
  const std::int64_t most = std::max(problem.head_dim, problem.head_dim_v);
  if (most <= 32) return launch_flash_head_dim<T, 32, scores>(problem, variant, tensors, stream);
  if (most <= 64) return launch_flash_head_dim<T, 64, scores>(problem, variant, tensors, stream);
  if (most <= 128) return launch_flash_head_dim<T, 128, scores>(problem, variant, tensors, stream);
  launch_flash_head_dim<T, 256, scores>(problem, variant, tensors, stream);
}

/// Whether scores are no more than `FlashScores::products`.
template <class V>
bool are_products(const V& variant) {
  return variant.scores_are_products() && !variant.dropout.active();
}

/// Runs the flash path: half types, head dims up to 256.
template <class T, class V>
void launch_flash(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
                  cudaStream_t stream) {
  if constexpr (!V::kHasScoreMod && !V::kHasMaskMod) {
    if (are_products(variant))
      return launch_flash_tiling<T, FlashScores::products>(problem, variant, tensors, stream);
  }
  launch_flash_tiling<T, FlashScores::any>(problem, variant, tensors, stream);
}

}  // namespace attend::cuda
