#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../block/tensor_core_gradient_engine.cuh"
#include "../kernel/mem_efficient_backward.cuh"
#include "device.hpp"
#include "launch.cuh"

/// @file
/// The memory-efficient path's launches, backward.

namespace attend::cuda {

/// Runs an engine: 16 bytes of memory per row beyond the tensors, and no more.
template <class Engine, class V>
void launch_gradient_engine(const Problem& problem, const V& variant,
                            const GradientCall<typename Engine::Element>& call,
                            cudaStream_t stream) {
  const auto tiles = [](std::int64_t count, int size) { return (count + size - 1) / size; };
  const auto start = [&](const char* what, auto kernel, std::int64_t blocks, std::size_t shared) {
    if (blocks == 0) return;
    allow_shared_memory(kernel, shared);
    launch(what, kernel, {blocks, Engine::kThreads, shared}, stream, problem, variant, call);
  };
  constexpr std::size_t kShared = sizeof(GradientShared<Engine, V, Engine::kTileRows>);
  start(
      "key_gradients", key_gradients<Engine, V>,
      GradientBlock::count(problem.batch, problem.heads_kv, tiles(problem.len_k, Engine::kTileRows),
                           std::max(problem.head_dim, problem.head_dim_v), Engine::kWidth),
      sizeof(GradientShared<Engine, V, 2 * Engine::kTileColumns>));
  start("query_gradient", query_gradient<Engine, V>,
        GradientBlock::count(problem.batch, problem.heads, tiles(problem.len_q, Engine::kTileRows),
                             problem.head_dim, Engine::kWidth),
        kShared);
  const View<RealOf<typename Engine::Element>, 4>& dbias = call.tensors.dbias;
  if (dbias)
    start("bias_gradient", bias_gradient<Engine, V>,
          dbias.extent(0) * dbias.extent(1) * tiles(dbias.extent(2), Engine::kTileRows) *
              tiles(dbias.extent(3), Engine::kTileColumns),
          kShared);
}

/// Runs the memory-efficient path's backward pass: on tensor cores for half types (bf16 from 8.0
/// on), else by multiply-add.
template <class T, class V>
void launch_mem_efficient_backward(const Problem& problem, V variant,
                                   const BackwardTensors<T>& tensors,
                                   const View<RowGradient<RealOf<T>>, 3>& states,
                                   cudaStream_t stream) {
  const GradientCall<T> call{.scale = variant.scale,
                             .tensors = tensors,
                             .states = states,
                             .q = row_layout(tensors.q),
                             .k = row_layout(tensors.k),
                             .v = row_layout(tensors.v),
                             .grad_out = row_layout(tensors.grad_out)};
  variant.scale = 1;  // half types keep more of gradients that are scaled last
  if constexpr (std::is_same_v<T, float>) {
    return launch_gradient_engine<ScalarGradientEngine<T>>(problem, variant, call, stream);
  } else {
    const bool from_8_0 = !(capability(current_device()) < Capability{8, 0});
    if constexpr (std::is_same_v<T, BF16>) {
      if (!from_8_0)
        return launch_gradient_engine<ScalarGradientEngine<T>>(problem, variant, call, stream);
    }
    const bool wide = problem.head_dim > 64 || problem.head_dim_v > 64;
    if (wide && from_8_0)  // before 8.0 a block has not as much shared memory
      return launch_gradient_engine<TensorCoreGradientEngine<T, 128>>(problem, variant, call,
                                                                      stream);
    launch_gradient_engine<TensorCoreGradientEngine<T, 64>>(problem, variant, call, stream);
  }
}

}  // namespace attend::cuda
