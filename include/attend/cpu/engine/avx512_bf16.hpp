#pragma once

#if defined(__x86_64__)

#include <cstring>

#include "avx512.hpp"

/// @file
/// The AVX-512-BF16 engine for bfloat16: vdpbf16ps multiplies pairs and adds in single precision,
/// twice the rate of the float engines on Zen 4 and 5, half of it on Emerald Rapids. Probabilities
/// are rounded to bfloat16 for the product with V; their sum is not.

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
  /// Elements of `first`, then those of `second`, rounded.
  static ATTEND_INLINE Factor pairs(Vector first, Vector second) {
    return _mm512_cvtne2ps_pbh(second, first);
  }
  /// Pairs of an element of `first` and one of `second`, eight by eight: 0 to 3 of each to `low`, 4
  /// to 7 to `high`.
  static ATTEND_INLINE void interleave(Factor first, Factor second, Factor& low, Factor& high) {
    low = (Factor)_mm512_unpacklo_epi16((__m512i)first, (__m512i)second);
    high = (Factor)_mm512_unpackhi_epi16((__m512i)first, (__m512i)second);
  }
  /// Sums of `interleave`'s pairs become those of elements 0 to 15 and 16 to 31.
  static ATTEND_INLINE void in_order(Vector& low, Vector& high) {
    const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i second =
        _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
    const Vector old = low;
    low = _mm512_permutex2var_ps(old, first, high);
    high = _mm512_permutex2var_ps(old, second, high);
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
#include "rows.inl"
#include "softmax.inl"
#include "tile.inl"
#include "tile_gradient.inl"

/// Sizes, found on Zen 4.
constexpr Tuning kTuning{16, 4, 4, 16, 256, 8};

/// Pairs pay where several rows share the keys; with fewer, memory is the limit, and one row of V
/// after the other is read faster than two at a time (on Zen 5 by 5 to 15%).
inline void attend_few_rows(const RowTile<Eigen::bfloat16>& tile, const RowPanel<float>& panel) {
  panel.rows < 4 ? avx512::attend_rows<avx512::Layer>(tile, panel)
                 : attend_rows<Layer>(tile, panel);
}

/// The AVX-512 engine with these products; other types than bfloat16 have none here.
template <std::same_as<Eigen::bfloat16> T>
constexpr Kernels<T> table() {
  Kernels<T> engine = with_products<Layer, T>(avx512::table<T>(), "avx512_bf16", kTuning);
  engine.attend_rows = &attend_few_rows;
  return engine;
}

/// Its backward pass; probabilities and gradients of scores are rounded, too.
constexpr GradientKernels<Eigen::bfloat16> gradient_table() {
  return gradient_kernels<Layer, Eigen::bfloat16>(kTuning);
}

}  // namespace attend::cpu::avx512_bf16
ATTEND_TARGET_END

#endif
