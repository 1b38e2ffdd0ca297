#pragma once

#include <type_traits>

#include "engines.hpp"
#include "gradient_kernels.hpp"

/// @file
/// The backward pass of each engine.

namespace attend::cpu {

/// An engine's operations of the backward pass on elements of type T; avx512's for amx,
/// the portable ones where it has none of its own.
template <class T>
const GradientKernels<T>& gradient_kernels_of(Engine engine) {
  static constexpr GradientKernels<T> kPortable = portable::gradient_table<T>();
  if constexpr (std::is_same_v<T, Eigen::bfloat16>) {
#if defined(ATTEND_EMULATED_ENGINES)
    static constexpr GradientKernels<T> kEmulated = emulated::pair_gradient_table();
    if (engine == Engine::emulated_bf16) return kEmulated;
#endif
#if defined(__x86_64__)
    static constexpr GradientKernels<T> kAvx512Bf16 = avx512_bf16::gradient_table();
    if (engine == Engine::avx512_bf16) return kAvx512Bf16;
#endif
  }
#if defined(__aarch64__)
  if constexpr (std::is_same_v<RealOf<T>, float>) {
    static constexpr GradientKernels<T> kNeon = neon::gradient_table<T>();
    if (engine == Engine::neon) return kNeon;
  }
#endif
#if defined(__x86_64__)
  static constexpr GradientKernels<T> kAvx512 = avx512::gradient_table<T>();
  static constexpr GradientKernels<T> kAvx2 = avx2::gradient_table<T>();
  if (engine == Engine::avx2) return kAvx2;
  if (engine == Engine::avx512 || engine == Engine::avx512_bf16 || engine == Engine::amx)
    return kAvx512;
#endif
  static_cast<void>(engine);
  return kPortable;
}

}  // namespace attend::cpu
