#pragma once

#include <cstdint>
#include <type_traits>

#include "../arch/compiled.cuh"
#include "mem_efficient_backward.cuh"

/// @file
/// What distrusted rows add to the gradients of kernels on tensor cores. Their weights are
/// exponentials of differences of logits so great that the rounding of a dot product would be seen
/// in them: it has to be taken in the order in which the rows were measured.

namespace attend::cuda {

/// Where kernels on tensor cores are compiled for elements of type T.
template <class T>
inline constexpr Compiled kOnTensorCores =
    std::is_same_v<T, BF16> ? Compiled::from_8_0 : Compiled::everywhere;

/// Whether some run of rows has a distrusted one.
template <int Threads>
__device__ bool has_distrusted(const View<const bool, 1>& distrusted_runs) {
  bool has = false;
#pragma unroll 8
  for (std::int64_t n = threadIdx.x; n < distrusted_runs.size(); n += Threads)
    has |= distrusted_runs(n);
  return __syncthreads_or(has) != 0;
}

/// Calls `work(n)` for the block's share of 0 <= n < count.
template <class Work>
__device__ void in_turn(int count, Work work) {
  for (int n = static_cast<int>(blockIdx.x); n < count; n += static_cast<int>(gridDim.x)) {
    __syncthreads();  // shared memory is done with
    work(n);
  }
}

/// Adds to dq, dk and dv what blocks of `query_gradient` and `key_gradients` sum for such rows.
template <class Engine, class V>
__global__ void __launch_bounds__(Engine::kThreads, Engine::kBlocks)
    distrusted_gradients(Problem problem, V variant, GradientCall<typename Engine::Element> call,
                         int query_blocks, int key_blocks) {
  if constexpr (!is_compiled(kOnTensorCores<typename Engine::Element>)) return __trap();
  if (!has_distrusted<Engine::kThreads>(call.distrusted_runs)) return;
  in_turn(query_blocks, [&](int n) {
    query_gradient_of<Engine, RowKind::distrusted>(problem, variant, call, n);
  });
  in_turn(key_blocks,
          [&](int n) { key_gradients_of<Engine, RowKind::distrusted>(problem, variant, call, n); });
}

/// Adds to dbias what blocks of `bias_gradient` sum for such rows.
template <class Engine, class V>
__global__ void __launch_bounds__(Engine::kThreads, Engine::kBlocks)
    distrusted_bias_gradient(Problem problem, V variant,
                             GradientCall<typename Engine::Element> call, int blocks) {
  if constexpr (!is_compiled(kOnTensorCores<typename Engine::Element>)) return __trap();
  if (!has_distrusted<Engine::kThreads>(call.distrusted_runs)) return;
  in_turn(blocks,
          [&](int n) { bias_gradient_of<Engine, RowKind::distrusted>(problem, variant, call, n); });
}

}  // namespace attend::cuda
