#pragma once

#include <cstddef>

#include "../block/flash_gradient_engine.cuh"
#include "../kernel/flash_backward.cuh"
#include "mem_efficient_backward.cuh"

/// @file
/// The flash path's launches, backward.

namespace attend::cuda {

/// Runs one kernel per gradient of a head dim's tilings.
template <class T, int HeadDim, class V>
void launch_flash_gradients(const Problem& problem, const V& variant, const GradientCall<T>& call,
                            cudaStream_t stream) {
  using OfKeys = FlashGradientEngine<T, HeadDim, FlashGradient::of_keys>;
  using OfQuery = FlashGradientEngine<T, HeadDim, FlashGradient::of_query>;
  launch_gradient("flash_key_gradients", flash_key_gradients<OfKeys, V>,
                  {GradientBlock::count(problem.batch, problem.heads_kv,
                                        tiles(problem.len_k, OfKeys::kTileRows), 1, 1),
                   OfKeys::kThreads, sizeof(FlashKeyShared<OfKeys, V>)},
                  stream, problem, variant, call);
  launch_gradient("flash_query_gradient", flash_query_gradient<OfQuery, V>,
                  {GradientBlock::count(problem.batch, problem.heads,
                                        tiles(problem.len_q, OfQuery::kTileRows), 1, 1),
                   OfQuery::kThreads, sizeof(FlashQueryShared<OfQuery, V>)},
                  stream, problem, variant, call);
}

/// Runs the flash path's backward pass: half types, head dims up to 256. The bias' gradient is the
/// memory-efficient path's.
template <class T, class V>
void launch_flash_backward(const Problem& problem, V variant, const BackwardTensors<T>& tensors,
                           const View<RowGradient<float>, 3>& states, cudaStream_t stream) {
  const GradientCall<T> call = gradient_call(variant, tensors, states);
  if (tensors.dbias) launch_tensor_core_bias_gradient(problem, variant, call, stream);
  switch (flash_gradient_tiling(problem.head_dim, problem.head_dim_v, FlashGradient::of_keys)
              .head_dim) {
    case 64:
      return launch_flash_gradients<T, 64>(problem, variant, call, stream);
    case 128:
      return launch_flash_gradients<T, 128>(problem, variant, call, stream);
    default:
      return launch_flash_gradients<T, 256>(problem, variant, call, stream);
  }
}

}  // namespace attend::cuda
