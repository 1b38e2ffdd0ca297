#pragma once

#include <cstddef>

#include "../block/flash_gradient_engine.cuh"
#include "../block/warpgroup_gradient_engine.cuh"
#include "../kernel/flash_backward.cuh"
#include "../kernel/warpgroup_key_gradients.cuh"
#include "../kernel/warpgroup_query_gradient.cuh"
#include "mem_efficient_backward.cuh"
#include "warpgroups.cuh"

/// @file
/// The flash path's launches, backward.

namespace attend::cuda {

/// A kernel of the keys' and values' gradients.
template <class Engine, class V>
constexpr auto flash_key_kernel() {
  if constexpr (Engine::kTiling.unit == ProductUnit::warpgroup) {
    return warpgroup_key_gradients<Engine, V>;
  } else {
    return flash_key_gradients<Engine, V>;
  }
}
/// A kernel of the queries' gradient.
template <class Engine, class V>
constexpr auto flash_query_kernel() {
  if constexpr (Engine::kTiling.unit == ProductUnit::warpgroup) {
    return warpgroup_query_gradient<Engine, V>;
  } else {
    return flash_query_gradient<Engine, V>;
  }
}
/// Shared memory of a block of the keys' and values' gradients.
template <class Engine, class V>
constexpr std::size_t flash_key_shared() {
  if constexpr (Engine::kTiling.unit == ProductUnit::warpgroup) {
    return sizeof(WarpgroupKeyShared<Engine, V>);
  } else {
    return sizeof(FlashKeyShared<Engine, V>);
  }
}

/// Runs one kernel per gradient.
template <class OfKeys, class OfQuery, class V>
void launch_flash_gradient_engines(const Problem& problem, const V& variant,
                                   const GradientCall<typename OfKeys::Element>& call,
                                   cudaStream_t stream) {
  launch_gradient("flash_key_gradients", flash_key_kernel<OfKeys, V>(),
                  {GradientBlock::count(problem.batch, problem.heads_kv,
                                        tiles(problem.len_k, OfKeys::kTileRows), 1, 1),
                   OfKeys::kThreads, flash_key_shared<OfKeys, V>()},
                  stream, problem, variant, call);
  launch_gradient("flash_query_gradient", flash_query_kernel<OfQuery, V>(),
                  {GradientBlock::count(problem.batch, problem.heads,
                                        tiles(problem.len_q, OfQuery::kTileRows), 1, 1),
                   OfQuery::kThreads, sizeof(FlashQueryShared<OfQuery, V>)},
                  stream, problem, variant, call);
}

/// Runs the kernels of a head dim's tilings on warpgroups, if there are such kernels.
template <class T, int HeadDim, FlashScores scores, class V>
bool launch_warpgroup_gradients(const Problem& problem, const V& variant,
                                const GradientCall<T>& call, cudaStream_t stream) {
  constexpr int kHeadDim = flash_gradient_tiling(HeadDim, HeadDim, FlashGradient::of_keys, scores,
                                                 ProductUnit::warpgroup)
                               .head_dim;
  using OfKeys = WarpgroupGradientEngine<T, kHeadDim, FlashGradient::of_keys, scores>;
  using OfQuery = WarpgroupGradientEngine<T, kHeadDim, FlashGradient::of_query, scores>;
  if (!has_warpgroups(flash_key_kernel<OfKeys, V>(), OfKeys::kThreads)) return false;
  launch_flash_gradient_engines<OfKeys, OfQuery>(problem, variant, call, stream);
  return true;
}

/// Runs the kernels of a head dim's tilings.
template <class T, int HeadDim, class V>
void launch_flash_gradients(const Problem& problem, const V& variant, const GradientCall<T>& call,
                            cudaStream_t stream) {
  if constexpr (!V::kHasScoreMod && !V::kHasMaskMod) {
    const bool products = !variant.changes_score() && !variant.excludes_beyond_position() &&
                          !variant.dropout.active() && variant.empty_row == EmptyRow::zero;
    const auto octets = [](const RowLayout& rows) { return rows.access == Access::octets; };
    if (products && octets(call.q) && octets(call.k) && octets(call.v) && octets(call.grad_out) &&
        launch_warpgroup_gradients<T, HeadDim, FlashScores::products>(problem, variant, call,
                                                                      stream))
      return;
  }
  if (launch_warpgroup_gradients<T, HeadDim, FlashScores::any>(problem, variant, call, stream))
    return;
  launch_flash_gradient_engines<FlashGradientEngine<T, HeadDim, FlashGradient::of_keys>,
                                FlashGradientEngine<T, HeadDim, FlashGradient::of_query>>(
      problem, variant, call, stream);
}

/// Runs the flash path's backward pass: half types, head dims up to 256. The bias' gradient is the
/// memory-efficient path's.
template <class T, class V>
void launch_flash_backward(const Problem& problem, V variant, const BackwardTensors<T>& tensors,
                           const RowGradients<float>& rows, const PackedMask& mask,
                           cudaStream_t stream) {
  const GradientCall<T> call = gradient_call(variant, tensors, rows, mask);
  launch_tensor_core_bias_gradient(problem, variant, call, stream);
  switch (flash_gradient_tiling(problem.head_dim, problem.head_dim_v, FlashGradient::of_keys,
                                FlashScores::any, ProductUnit::warp)
              .head_dim) {
    case 32:
      launch_flash_gradients<T, 32>(problem, variant, call, stream);
      break;
    case 64:
      launch_flash_gradients<T, 64>(problem, variant, call, stream);
      break;
    case 128:
      launch_flash_gradients<T, 128>(problem, variant, call, stream);
      break;
    default:
      launch_flash_gradients<T, 256>(problem, variant, call, stream);
  }
  launch_distrusted_gradients(problem, variant, call, stream);
}

}  // namespace attend::cuda
