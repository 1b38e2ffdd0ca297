#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../block/float_gradient_engine.cuh"
#include "../block/float_warpgroup_gradient_engine.cuh"
#include "../block/tensor_core_gradient_engine.cuh"
#include "../kernel/distrusted_gradients.cuh"
#include "../kernel/mem_efficient_backward.cuh"
#include "launch.cuh"
#include "pack_mask.cuh"
#include "row_gradients.cuh"
#include "usable.cuh"
#include "warpgroups.cuh"

/// @file
/// The memory-efficient path's launches, backward.

namespace attend::cuda {

/// How many tiles of a size there are.
inline std::int64_t tiles(std::int64_t count, int size) { return (count + size - 1) / size; }

/// What the kernels are given: the scale, which is taken from the variant, is what they multiply
/// sums by, as half types keep more of gradients that are scaled last.
template <class T, class V>
GradientCall<T> gradient_call(V& variant, const BackwardTensors<T>& tensors,
                              const RowGradients<RealOf<T>>& rows, const PackedMask& mask) {
  const GradientCall<T> call{.scale = variant.scale,
                             .tensors = tensors,
                             .states = rows.states,
                             .distrusted_runs = rows.distrusted_runs,
                             .mask = mask.bits(),
                             .q = row_layout(tensors.q),
                             .k = row_layout(tensors.k),
                             .v = row_layout(tensors.v),
                             .grad_out = row_layout(tensors.grad_out)};
  variant.scale = 1;
  return call;
}

/// Starts a kernel.
template <class T, class V>
void launch_gradient(const char* what, void (*kernel)(Problem, V, GradientCall<T>),
                     const Grid& grid, cudaStream_t stream, const Problem& problem,
                     const V& variant, const GradientCall<T>& call) {
  if (grid.blocks == 0) return;
  allow_shared_memory(kernel, grid.shared);
  launch(what, kernel, grid, stream, problem, variant, call);
}

/// Blocks of `key_gradients`.
template <class Engine>
std::int64_t key_gradients_blocks(const Problem& problem) {
  return GradientBlock::count(problem.batch, problem.heads_kv,
                              tiles(problem.len_k, Engine::kTileRows),
                              std::max(problem.head_dim, problem.head_dim_v), Engine::kWidth);
}
/// Blocks of `query_gradient`.
template <class Engine>
std::int64_t query_gradient_blocks(const Problem& problem) {
  return GradientBlock::count(problem.batch, problem.heads, tiles(problem.len_q, Engine::kTileRows),
                              problem.head_dim, Engine::kWidth);
}
/// Blocks of `bias_gradient`: none if it is not wanted.
template <class Engine>
std::int64_t bias_gradient_blocks(const View<float, 4>& dbias) {
  if (!dbias) return 0;
  return dbias.extent(0) * dbias.extent(1) * tiles(dbias.extent(2), Engine::kTileRows) *
         tiles(dbias.extent(3), Engine::kTileColumns);
}

/// Computes the bias' gradient, if it is wanted.
template <class Engine, class V>
void launch_bias_gradient(const Problem& problem, const V& variant,
                          const GradientCall<typename Engine::Element>& call, cudaStream_t stream) {
  launch_gradient("bias_gradient", bias_gradient<Engine, V>,
                  {bias_gradient_blocks<Engine>(call.tensors.dbias), Engine::kThreads,
                   sizeof(BiasGradientShared<Engine, V>)},
                  stream, problem, variant, call);
}

/// Runs an engine, and another for the bias' gradient.
template <class Engine, class BiasEngine = Engine, class V>
void launch_gradient_engine(const Problem& problem, const V& variant,
                            const GradientCall<typename Engine::Element>& call,
                            cudaStream_t stream) {
  launch_gradient("key_gradients", key_gradients<Engine, V>,
                  {key_gradients_blocks<Engine>(problem), Engine::kThreads,
                   sizeof(KeyGradientShared<Engine, V>)},
                  stream, problem, variant, call);
  launch_gradient("query_gradient", query_gradient<Engine, V>,
                  {query_gradient_blocks<Engine>(problem), Engine::kThreads,
                   sizeof(GradientShared<Engine, V, Engine::kTileRows>)},
                  stream, problem, variant, call);
  launch_bias_gradient<BiasEngine>(problem, variant, call, stream);
}

/// Blocks of `distrusted_gradients`, at most: about what a great device has room for at once, so
/// that it takes little time where no row is distrusted.
inline constexpr std::int64_t kDistrustedBlocks = 256;

/// Adds what distrusted rows of half types contribute.
template <class T, class V>
void launch_distrusted_gradients(const Problem& problem, const V& variant,
                                 const GradientCall<T>& call, cudaStream_t stream) {
  using Engine = ScalarGradientEngine<T>;
  static_assert(
      sizeof(GradientShared<Engine, V, Engine::kTileRows>) <= sizeof(KeyGradientShared<Engine, V>),
      "blocks have the one, then the other");
  const auto start = [&](const char* what, auto kernel, std::size_t shared, auto... blocks) {
    const std::int64_t most = std::min(std::max({blocks...}), kDistrustedBlocks);
    if (most == 0) return;
    allow_shared_memory(kernel, shared);
    launch(what, kernel, {most, Engine::kThreads, shared}, stream, problem, variant, call,
           static_cast<int>(blocks)...);
  };
  start("distrusted_gradients", distrusted_gradients<Engine, V>,
        sizeof(KeyGradientShared<Engine, V>), query_gradient_blocks<Engine>(problem),
        key_gradients_blocks<Engine>(problem));
  start("distrusted_bias_gradient", distrusted_bias_gradient<Engine, V>,
        sizeof(BiasGradientShared<Engine, V>), bias_gradient_blocks<Engine>(call.tensors.dbias));
}

/// Computes the bias' gradient on tensor cores, from 8.0 on: before, a block has not the shared
/// memory for tiles of 128 columns.
template <class T, class V>
void launch_tensor_core_bias_gradient(const Problem& problem, const V& variant,
                                      const GradientCall<T>& call, cudaStream_t stream) {
  if (std::max(problem.head_dim, problem.head_dim_v) > 64)
    return launch_bias_gradient<TensorCoreGradientEngine<T, 128>>(problem, variant, call, stream);
  launch_bias_gradient<TensorCoreGradientEngine<T, 64>>(problem, variant, call, stream);
}

/// Runs the backward pass of floats on tensor cores, head dims up to `Width`, but for the bias'
/// gradient.
template <int Width, class V>
void launch_float_gradients(const Problem& problem, const V& variant,
                            const GradientCall<float>& call, cudaStream_t stream) {
  using Scalar = ScalarGradientEngine<float>;
  using Warpgroups = FloatWarpgroupGradientEngine<Width>;
  if (has_warpgroups(key_gradients<Warpgroups, V>, Warpgroups::kThreads))
    return launch_gradient_engine<Warpgroups, Scalar>(problem, variant, call, stream);
  launch_gradient_engine<FloatGradientEngine<Width>, Scalar>(problem, variant, call, stream);
}

/// Runs the backward pass of floats: from 8.0 on up to head dims of 128 on tensor cores, else by
/// multiply-add.
template <class V>
void launch_float_backward(const Problem& problem, const V& variant,
                           const GradientCall<float>& call, cudaStream_t stream) {
  using Scalar = ScalarGradientEngine<float>;
  const std::int64_t columns = std::max(problem.head_dim, problem.head_dim_v);
  if (usable_capability_of<V>() < kCapabilityA100 || columns > 128)
    return launch_gradient_engine<Scalar>(problem, variant, call, stream);
  if (columns > 64) return launch_float_gradients<128>(problem, variant, call, stream);
  launch_float_gradients<64>(problem, variant, call, stream);
}

/// Runs the memory-efficient path's backward pass where flash's kernels can't: on tensor cores for
/// half types (bf16 from 8.0 on) and floats, else by multiply-add.
template <class T, class V>
void launch_mem_efficient_backward(const Problem& problem, V variant,
                                   const BackwardTensors<T>& tensors,
                                   const RowGradients<RealOf<T>>& rows, const PackedMask& mask,
                                   cudaStream_t stream) {
  const GradientCall<T> call = gradient_call(variant, tensors, rows, mask);
  if constexpr (std::is_same_v<T, float>) {
    return launch_float_backward(problem, variant, call, stream);
  } else {
    if (usable_capability_of<V>() >= kCapabilityA100) {
      launch_gradient_engine<TensorCoreGradientEngine<T, 128>>(problem, variant, call, stream);
    } else if constexpr (std::is_same_v<T, BF16>) {
      return launch_gradient_engine<ScalarGradientEngine<T>>(problem, variant, call, stream);
    } else {
      launch_gradient_engine<TensorCoreGradientEngine<T, 64>>(problem, variant, call, stream);
    }
    launch_distrusted_gradients(problem, variant, call, stream);
  }
}

}  // namespace attend::cuda
