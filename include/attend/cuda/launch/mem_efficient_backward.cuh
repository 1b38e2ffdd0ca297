#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../block/float_gradient_engine.cuh"
#include "../block/tensor_core_gradient_engine.cuh"
#include "../kernel/mem_efficient_backward.cuh"
#include "launch.cuh"
#include "usable.cuh"

/// @file
/// The memory-efficient path's launches, backward.

namespace attend::cuda {

/// How many tiles of a size there are.
inline std::int64_t tiles(std::int64_t count, int size) { return (count + size - 1) / size; }

/// What the kernels are given: the scale, which is taken from the variant, is what they multiply
/// sums by, as half types keep more of gradients that are scaled last.
template <class T, class V>
GradientCall<T> gradient_call(V& variant, const BackwardTensors<T>& tensors,
                              const View<RowGradient<RealOf<T>>, 3>& states) {
  const GradientCall<T> call{.scale = variant.scale,
                             .tensors = tensors,
                             .states = states,
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

/// Computes the bias' gradient.
template <class Engine, class V>
void launch_bias_gradient(const Problem& problem, const V& variant,
                          const GradientCall<typename Engine::Element>& call, cudaStream_t stream) {
  const auto& dbias = call.tensors.dbias;
  launch_gradient("bias_gradient", bias_gradient<Engine, V>,
                  {dbias.extent(0) * dbias.extent(1) * tiles(dbias.extent(2), Engine::kTileRows) *
                       tiles(dbias.extent(3), Engine::kTileColumns),
                   Engine::kThreads, sizeof(GradientShared<Engine, V, Engine::kTileRows>)},
                  stream, problem, variant, call);
}

/// Runs an engine, and another for the bias' gradient: 16 bytes of memory per row beyond the
/// tensors, and no more.
template <class Engine, class BiasEngine = Engine, class V>
void launch_gradient_engine(const Problem& problem, const V& variant,
                            const GradientCall<typename Engine::Element>& call,
                            cudaStream_t stream) {
  launch_gradient("key_gradients", key_gradients<Engine, V>,
                  {GradientBlock::count(
                       problem.batch, problem.heads_kv, tiles(problem.len_k, Engine::kTileRows),
                       std::max(problem.head_dim, problem.head_dim_v), Engine::kWidth),
                   Engine::kThreads, sizeof(KeyGradientShared<Engine, V>)},
                  stream, problem, variant, call);
  launch_gradient(
      "query_gradient", query_gradient<Engine, V>,
      {GradientBlock::count(problem.batch, problem.heads, tiles(problem.len_q, Engine::kTileRows),
                            problem.head_dim, Engine::kWidth),
       Engine::kThreads, sizeof(GradientShared<Engine, V, Engine::kTileRows>)},
      stream, problem, variant, call);
  if (call.tensors.dbias) launch_bias_gradient<BiasEngine>(problem, variant, call, stream);
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

/// Runs the backward pass of floats: from 8.0 on up to head dims of 128 on tensor cores, but for
/// the bias' gradient, else by multiply-add.
template <class V>
void launch_float_backward(const Problem& problem, const V& variant,
                           const GradientCall<float>& call, cudaStream_t stream) {
  using Scalar = ScalarGradientEngine<float>;
  const std::int64_t columns = std::max(problem.head_dim, problem.head_dim_v);
  if (usable_capability_of<V>() < kCapabilityA100 || columns > 128)
    return launch_gradient_engine<Scalar>(problem, variant, call, stream);
  if (columns > 64)
    return launch_gradient_engine<FloatGradientEngine<128>, Scalar>(problem, variant, call, stream);
  launch_gradient_engine<FloatGradientEngine<64>, Scalar>(problem, variant, call, stream);
}

/// Runs the memory-efficient path's backward pass where flash's kernels can't: on tensor cores for
/// half types (bf16 from 8.0 on) and floats, else by multiply-add.
template <class T, class V>
void launch_mem_efficient_backward(const Problem& problem, V variant,
                                   const BackwardTensors<T>& tensors,
                                   const View<RowGradient<RealOf<T>>, 3>& states,
                                   cudaStream_t stream) {
  const GradientCall<T> call = gradient_call(variant, tensors, states);
  if constexpr (std::is_same_v<T, float>) {
    return launch_float_backward(problem, variant, call, stream);
  } else {
    if (usable_capability_of<V>() >= kCapabilityA100)
      return launch_gradient_engine<TensorCoreGradientEngine<T, 128>>(problem, variant, call,
                                                                      stream);
    if constexpr (std::is_same_v<T, BF16>) {
      launch_gradient_engine<ScalarGradientEngine<T>>(problem, variant, call, stream);
    } else {
      launch_gradient_engine<TensorCoreGradientEngine<T, 64>>(problem, variant, call, stream);
    }
  }
}

}  // namespace attend::cuda
