#pragma once

#if defined(__x86_64__)

#include <immintrin.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "../../core/config.hpp"
#include "../../core/elementary.hpp"
#include "../element.hpp"
#include "avx512_double.hpp"
#include "exp2_polynomial.hpp"
#include "gradient_kernels.hpp"
#include "kernels.hpp"
#include "mask_word.hpp"

/// @file
/// The AVX-512 engine: 16 floats or 8 doubles to a vector. Needs F, BW, DQ and VL (Skylake server,
/// Zen 4).

ATTEND_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
namespace attend::cpu::avx512 {

/// The layer of instructions: one function per instruction or short idiom.
struct Layer {
  using Real = float;
  static constexpr int kLanes = 16;
  static constexpr int kMaxVectors = 4;
  static constexpr int kStep = 1;  // elements of the inner dimension that a product takes at once
  static constexpr int kStepsAtOnce = 1;
  using Vector = __m512;
  using Factor = __m512;
  using Mask = __mmask16;
  using Words = __m512i;

  /// Rows of a product's register block: 24 of 32 registers hold sums.
  static constexpr int block_rows(int vectors) { return vectors <= 3 ? 8 : 4; }

  static ATTEND_INLINE Vector zero() { return _mm512_setzero_ps(); }
  static ATTEND_INLINE Vector set1(Real x) { return _mm512_set1_ps(x); }
  static ATTEND_INLINE Vector load(const float* from) { return _mm512_loadu_ps(from); }
  /// To a register, whatever it is used for; a compiler would have every use of it read memory.
  static ATTEND_INLINE Vector load_once(const float* from) {
    Vector v = _mm512_loadu_ps(from);
    __asm__("" : "+v"(v));
    return v;
  }
  static ATTEND_INLINE Vector load(const Eigen::half* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static ATTEND_INLINE Vector load(const Eigen::bfloat16* from) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }
  static ATTEND_INLINE void store(float* to, Vector v) { _mm512_storeu_ps(to, v); }
  static ATTEND_INLINE void store(Eigen::half* to, Vector v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  /// Rounds to nearest, ties to even; NaN becomes the quiet NaN.
  static ATTEND_INLINE void store(Eigen::bfloat16* to, Vector v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_srli_epi32(
        _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff)), 16);
    const Mask nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    rounded = _mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc0));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(rounded));
  }

  static ATTEND_INLINE Factor load_factor(const char* from) { return _mm512_loadu_ps(from); }
  static ATTEND_INLINE Factor broadcast_factor(const char* from) {
    return _mm512_set1_ps(*reinterpret_cast<const float*>(from));
  }
  static ATTEND_INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
    return _mm512_fmadd_ps(a, b, c);
  }

  static ATTEND_INLINE Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static ATTEND_INLINE Vector subtract(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static ATTEND_INLINE Vector multiply(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  /// As it is; compilers may not fuse what it was computed by with what follows.
  static ATTEND_INLINE Vector rounded(Vector a) {
    __asm__("" : "+v"(a));
    return a;
  }
  static ATTEND_INLINE Vector divide(Vector a, Vector b) { return _mm512_div_ps(a, b); }
  /// The second where one is NaN.
  static ATTEND_INLINE Vector max(Vector a, Vector b) { return _mm512_max_ps(a, b); }
  static ATTEND_INLINE Vector min(Vector a, Vector b) { return _mm512_min_ps(a, b); }
  static ATTEND_INLINE Vector absolute(Vector a) { return _mm512_abs_ps(a); }
  static ATTEND_INLINE Vector copy_sign(Vector size, Vector sign) {
    const __m512 bit = _mm512_set1_ps(-0.f);
    return _mm512_or_ps(_mm512_andnot_ps(bit, size), _mm512_and_ps(bit, sign));
  }

  static ATTEND_INLINE Mask equal(Vector a, Vector b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
  }
  static ATTEND_INLINE Mask less(Vector a, Vector b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
  }
  static ATTEND_INLINE Vector select(Mask mask, Vector a, Vector b) {
    return _mm512_mask_blend_ps(mask, b, a);
  }

  /// vscalef takes any exponent.
  static ATTEND_INLINE Vector clamp_exponent(Vector x) { return x; }
  /// x - floor(x), 0 for -inf.
  static ATTEND_INLINE Vector fraction(Vector x) {
    return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  }
  /// p * 2^floor(x), and 0 where that power is below the least normal number.
  static ATTEND_INLINE Vector times_exp2_floor(Vector p, Vector x) {
    const Mask normal = _mm512_cmp_ps_mask(x, set1(-126), _CMP_NLT_UQ);
    return _mm512_maskz_scalef_ps(normal, p, x);
  }

  /// In place: lane c of vector r and lane r of vector c change places.
  static ATTEND_INLINE void transpose(Vector (&block)[kLanes]) {
    Vector pair[kLanes], four[kLanes];
    ATTEND_UNROLL for (int n = 0; n < 16; n += 2) {
      pair[n] = _mm512_unpacklo_ps(block[n], block[n + 1]);
      pair[n + 1] = _mm512_unpackhi_ps(block[n], block[n + 1]);
    }
    ATTEND_UNROLL for (int n = 0; n < 16; n += 4) {
      ATTEND_UNROLL for (int m = 0; m < 2; ++m) {
        const __m512d a = _mm512_castps_pd(pair[n + m]), b = _mm512_castps_pd(pair[n + m + 2]);
        four[n + 2 * m] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        four[n + 2 * m + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
      }
    }
    // four[4 g + m], 128-bit part p: column 4 p + m of rows 4 g to 4 g + 3.
    ATTEND_UNROLL for (int m = 0; m < 4; ++m) {
      const Vector low01 = _mm512_shuffle_f32x4(four[m], four[4 + m], 0x88);
      const Vector high01 = _mm512_shuffle_f32x4(four[m], four[4 + m], 0xdd);
      const Vector low23 = _mm512_shuffle_f32x4(four[8 + m], four[12 + m], 0x88);
      const Vector high23 = _mm512_shuffle_f32x4(four[8 + m], four[12 + m], 0xdd);
      block[m] = _mm512_shuffle_f32x4(low01, low23, 0x88);
      block[4 + m] = _mm512_shuffle_f32x4(high01, high23, 0x88);
      block[8 + m] = _mm512_shuffle_f32x4(low01, low23, 0xdd);
      block[12 + m] = _mm512_shuffle_f32x4(high01, high23, 0xdd);
    }
  }

  /// Lane n becomes the sum of all lanes of vector n.
  static ATTEND_INLINE Vector sums_of_lanes(const Vector (&block)[kLanes]) {
    Vector two[8], four[4];
    ATTEND_UNROLL for (int n = 0; n < 8; ++n) {
      const Vector a = block[2 * n], b = block[2 * n + 1];
      two[n] = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    }
    ATTEND_UNROLL for (int n = 0; n < 4; ++n) {
      const __m512d a = _mm512_castps_pd(two[2 * n]), b = _mm512_castps_pd(two[2 * n + 1]);
      four[n] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                              _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    // four[n], each 128-bit part: a share of the sums of vectors 4 n to 4 n + 3.
    const Vector low = _mm512_add_ps(_mm512_shuffle_f32x4(four[0], four[1], 0x44),
                                     _mm512_shuffle_f32x4(four[0], four[1], 0xee));
    const Vector high = _mm512_add_ps(_mm512_shuffle_f32x4(four[2], four[3], 0x44),
                                      _mm512_shuffle_f32x4(four[2], four[3], 0xee));
    return _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88),
                         _mm512_shuffle_f32x4(low, high, 0xdd));
  }

  /// Four parts each: part b of vector a and part a of vector b change places.
  static ATTEND_INLINE void transpose_parts(Vector (&v)[4]) {
    const Vector low01 = _mm512_shuffle_f32x4(v[0], v[1], 0x44);
    const Vector high01 = _mm512_shuffle_f32x4(v[0], v[1], 0xee);
    const Vector low23 = _mm512_shuffle_f32x4(v[2], v[3], 0x44);
    const Vector high23 = _mm512_shuffle_f32x4(v[2], v[3], 0xee);
    v[0] = _mm512_shuffle_f32x4(low01, low23, 0x88);
    v[1] = _mm512_shuffle_f32x4(low01, low23, 0xdd);
    v[2] = _mm512_shuffle_f32x4(high01, high23, 0x88);
    v[3] = _mm512_shuffle_f32x4(high01, high23, 0xdd);
  }

  static ATTEND_INLINE Real max_of_lanes(Vector a) { return _mm512_reduce_max_ps(a); }

  /// Lanes n whose bit n is set.
  static ATTEND_INLINE Mask mask_of_bits(std::uint32_t bits) { return static_cast<Mask>(bits); }

  /// Bit n is set where byte n of 32 is not 0.
  static ATTEND_INLINE std::uint32_t bits_of_bytes(const void* from) {
    const __m256i bytes = _mm256_loadu_si256(static_cast<const __m256i*>(from));
    return _mm256_test_epi8_mask(bytes, bytes);
  }
  static ATTEND_INLINE Words load_words(const std::uint32_t* from) {
    return _mm512_loadu_si512(from);
  }
  static ATTEND_INLINE Words set1_words(std::uint32_t x) {
    return _mm512_set1_epi32(static_cast<int>(x));
  }
  static ATTEND_INLINE Words add_words(Words a, std::uint32_t b) {
    return _mm512_add_epi32(a, set1_words(b));
  }
  /// `high` + 1 where `sum` = x + b overflowed.
  static ATTEND_INLINE Words carry(Words sum, std::uint32_t b, Words high) {
    const Mask overflow = _mm512_cmplt_epu32_mask(sum, set1_words(b));
    return _mm512_mask_add_epi32(high, overflow, high, _mm512_set1_epi32(1));
  }
  static ATTEND_INLINE Words exclusive_or(Words a, Words b) { return _mm512_xor_si512(a, b); }
  static ATTEND_INLINE void multiply_wide(Words a, std::uint32_t b, Words& high, Words& low) {
    const Words factor = set1_words(b);
    const Words even = _mm512_mul_epu32(a, factor);
    const Words odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), factor);
    high = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
    low = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
  }
  /// Lanes whose bit `n` is set.
  static ATTEND_INLINE Mask test_bit(Words words, int n) {
    return _mm512_test_epi32_mask(words, set1_words(std::uint32_t{1} << n));
  }
  static ATTEND_INLINE Mask not_below(Words words, std::uint32_t threshold) {
    return _mm512_cmpge_epu32_mask(words, set1_words(threshold));
  }
};

#include "exp2.inl"
#include "pack.inl"
#include "product.inl"
#include "rows.inl"
#include "softmax.inl"
#include "tile.inl"
#include "tile_gradient.inl"
#include "whole_engine.inl"

/// Sizes, found on Zen 4.
constexpr Tuning kTuning{16, 4, 4, 16, 128, 8};
/// Likewise, found on Zen 5.
constexpr Tuning kTuningDouble{8, 4, 4, 16, 128, 8};

/// The engine for element type T.
template <class T>
constexpr Kernels<T> table() {
  if constexpr (std::is_same_v<T, double>)
    return kernels<DoubleLayer, T>("avx512", kTuningDouble);
  else
    return kernels<Layer, T>("avx512", kTuning);
}

/// Its backward pass.
template <class T>
constexpr GradientKernels<T> gradient_table() {
  if constexpr (std::is_same_v<T, double>)
    return gradient_kernels<DoubleLayer, T>(kTuningDouble);
  else
    return gradient_kernels<Layer, T>(kTuning);
}

}  // namespace attend::cpu::avx512
ATTEND_TARGET_END

#endif
