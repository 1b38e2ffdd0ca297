#pragma once

#if defined(__x86_64__)

#include <cstring>

#include "avx512.hpp"

/// @file
/// The AVX-512-BF16 engine for bfloat16: vdpbf16ps multiplies pairs and adds in single precision,
/// twice the rate of the float engines (Cooper Lake, Zen 4). Probabilities are rounded to bfloat16
/// for the product with V; their sum is not.

ATTEND_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,f16c")
namespace attend::cpu::avx512_bf16 {

/// The AVX-512 layer with pairs of bfloat16 as factors of products.
struct Layer : avx512::Layer {
  static constexpr int kStep = 2;
  using Factor = __m512bh;

  using avx512::Layer::store;
  static ATTEND_INLINE void store(Eigen::bfloat16* to, Vector v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh(v));
  }

  using avx512::Layer::multiply_add;
  static ATTEND_INLINE Factor load_factor(const char* from) {
    return (Factor)_mm512_loadu_si512(from);
  }
  static ATTEND_INLINE Factor broadcast_factor(const char* from) {
    int pair;
    std::memcpy(&pair, from, sizeof pair);
    return (Factor)_mm512_set1_epi32(pair);
  }
  static ATTEND_INLINE Vector multiply_add(Factor a, Factor b, Vector c) {
    return _mm512_dpbf16_ps(c, a, b);
  }
  /// Rounds to words n, n + 1, ... of pairs, `first` in the low halves.
  static ATTEND_INLINE void store_pairs(void* pairs, std::int64_t n, Vector first, Vector second) {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i apart = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    _mm512_storeu_si512(static_cast<std::uint32_t*>(pairs) + n,
                        _mm512_permutexvar_epi16(order, apart));
  }
  static ATTEND_INLINE void store_interleaved(std::uint32_t* to, const Eigen::bfloat16* first,
                                              const Eigen::bfloat16* second) {
    const __m512i low =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(first)));
    const __m512i high =
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(second)));
    _mm512_storeu_si512(to, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
};

#include "exp2.inl"
#include "pack.inl"
#include "product.inl"
#include "softmax.inl"
#include "tile.inl"
#include "tile_gradient.inl"

/// Sizes, found on Zen 4.
constexpr Tuning kTuning{16, 4, 4, 16, 256, 8};

/// The AVX-512 engine with these products; other types than bfloat16 have none here.
template <std::same_as<Eigen::bfloat16> T>
constexpr Kernels<T> table() {
  return with_products<Layer, T>(avx512::table<T>(), "avx512_bf16", kTuning);
}

/// Its backward pass; probabilities and gradients of scores are rounded, too.
constexpr GradientKernels<Eigen::bfloat16> gradient_table() {
  return gradient_kernels<Layer, Eigen::bfloat16>(kTuning);
}

}  // namespace attend::cpu::avx512_bf16
ATTEND_TARGET_END

#endif
