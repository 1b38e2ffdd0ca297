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
#include "avx2_double.hpp"
#include "eight_words.hpp"
#include "exp2_polynomial.hpp"
#include "gradient_kernels.hpp"
#include "kernels.hpp"
#include "mask_word.hpp"

/// @file
/// The AVX2 engine: 8 floats or 4 doubles to a vector. Needs AVX2, FMA and F16C (Haswell, Zen).

ATTEND_TARGET_BEGIN("avx2,fma,f16c")
namespace attend::cpu::avx2 {

/// The layer of instructions: one function per instruction or short idiom.
struct Layer : EightWords {
  using Real = float;
  static constexpr int kLanes = 8;
  static constexpr int kMaxVectors = 3;
  static constexpr int kStep = 1;  // elements of the inner dimension that a product takes at once
  static constexpr int kStepsAtOnce = 1;
  using Vector = __m256;
  using Factor = __m256;
  using Mask = __m256;  // the sign bit of a lane counts

  /// Rows of a product's register block: at widths 2 and 3, 12 of 16 registers hold sums.
  static constexpr int block_rows(int vectors) { return vectors == 1 ? 8 : vectors == 2 ? 6 : 4; }

  static ATTEND_INLINE Vector zero() { return _mm256_setzero_ps(); }
  static ATTEND_INLINE Vector set1(Real x) { return _mm256_set1_ps(x); }
  static ATTEND_INLINE Vector load(const float* from) { return _mm256_loadu_ps(from); }
  /// To a register, whatever it is used for; a compiler would have every use of it read memory.
  static ATTEND_INLINE Vector load_once(const float* from) {
    return _mm256_castsi256_ps(_mm256_lddqu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static ATTEND_INLINE Vector load(const Eigen::half* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static ATTEND_INLINE Vector load(const Eigen::bfloat16* from) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
  }
  static ATTEND_INLINE void store(float* to, Vector v) { _mm256_storeu_ps(to, v); }
  static ATTEND_INLINE void store(Eigen::half* to, Vector v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  /// Rounds to nearest, ties to even; NaN becomes the quiet NaN.
  static ATTEND_INLINE void store(Eigen::bfloat16* to, Vector v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(_mm256_add_epi32(bits, odd), _mm256_set1_epi32(0x7fff)), 16);
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i words = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc0), nan);
    const __m128i packed =
        _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), packed);
  }

  static ATTEND_INLINE Factor load_factor(const char* from) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(from));
  }
  static ATTEND_INLINE Factor broadcast_factor(const char* from) {
    return _mm256_broadcast_ss(reinterpret_cast<const float*>(from));
  }
  static ATTEND_INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
    return _mm256_fmadd_ps(a, b, c);
  }

  static ATTEND_INLINE Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static ATTEND_INLINE Vector subtract(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
  static ATTEND_INLINE Vector multiply(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  /// As it is; compilers may not fuse what it was computed by with what follows.
  static ATTEND_INLINE Vector rounded(Vector a) {
    __asm__("" : "+x"(a));
    return a;
  }
  static ATTEND_INLINE Vector divide(Vector a, Vector b) { return _mm256_div_ps(a, b); }
  /// The second where one is NaN.
  static ATTEND_INLINE Vector max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  static ATTEND_INLINE Vector min(Vector a, Vector b) { return _mm256_min_ps(a, b); }
  static ATTEND_INLINE Vector absolute(Vector a) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.f), a);
  }
  static ATTEND_INLINE Vector copy_sign(Vector size, Vector sign) {
    return _mm256_or_ps(absolute(size), _mm256_and_ps(_mm256_set1_ps(-0.f), sign));
  }

  static ATTEND_INLINE Mask equal(Vector a, Vector b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
  static ATTEND_INLINE Mask less(Vector a, Vector b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
  static ATTEND_INLINE Vector select(Mask mask, Vector a, Vector b) {
    return _mm256_blendv_ps(b, a, mask);
  }

  /// Exponents below the least normal one become the one whose power of two is coded as 0.
  static ATTEND_INLINE Vector clamp_exponent(Vector x) { return max(set1(-127), x); }
  static ATTEND_INLINE Vector fraction(Vector x) { return subtract(x, _mm256_floor_ps(x)); }
  /// p * 2^floor(x).
  static ATTEND_INLINE Vector times_exp2_floor(Vector p, Vector x) {
    const __m256i exponent = _mm256_cvtps_epi32(_mm256_floor_ps(x));
    const __m256i bits = _mm256_slli_epi32(_mm256_add_epi32(exponent, _mm256_set1_epi32(127)), 23);
    return multiply(p, _mm256_castsi256_ps(bits));
  }

  /// In place: lane c of vector r and lane r of vector c change places.
  static ATTEND_INLINE void transpose(Vector (&block)[kLanes]) {
    Vector pair[kLanes], four[kLanes];
    ATTEND_UNROLL for (int n = 0; n < 8; n += 2) {
      pair[n] = _mm256_unpacklo_ps(block[n], block[n + 1]);
      pair[n + 1] = _mm256_unpackhi_ps(block[n], block[n + 1]);
    }
    ATTEND_UNROLL for (int n = 0; n < 8; n += 4) {
      ATTEND_UNROLL for (int m = 0; m < 2; ++m) {
        four[n + 2 * m] = _mm256_shuffle_ps(pair[n + m], pair[n + m + 2], 0x44);
        four[n + 2 * m + 1] = _mm256_shuffle_ps(pair[n + m], pair[n + m + 2], 0xee);
      }
    }
    ATTEND_UNROLL for (int m = 0; m < 4; ++m) {
      block[m] = _mm256_permute2f128_ps(four[m], four[4 + m], 0x20);
      block[4 + m] = _mm256_permute2f128_ps(four[m], four[4 + m], 0x31);
    }
  }

  /// Lane n becomes the sum of all lanes of vector n.
  static ATTEND_INLINE Vector sums_of_lanes(const Vector (&block)[kLanes]) {
    Vector four[2];
    ATTEND_UNROLL for (int n = 0; n < 2; ++n) {
      const Vector* const b = block + 4 * n;
      const Vector low = add(_mm256_unpacklo_ps(b[0], b[1]), _mm256_unpackhi_ps(b[0], b[1]));
      const Vector high = add(_mm256_unpacklo_ps(b[2], b[3]), _mm256_unpackhi_ps(b[2], b[3]));
      four[n] = add(_mm256_shuffle_ps(low, high, 0x44), _mm256_shuffle_ps(low, high, 0xee));
    }
    return add(_mm256_permute2f128_ps(four[0], four[1], 0x20),
               _mm256_permute2f128_ps(four[0], four[1], 0x31));
  }

  /// Four parts each: part b of vector a and part a of vector b change places.
  static ATTEND_INLINE void transpose_parts(Vector (&v)[4]) {
    const Vector even01 = _mm256_shuffle_ps(v[0], v[1], 0x44);
    const Vector odd01 = _mm256_shuffle_ps(v[0], v[1], 0xee);
    const Vector even23 = _mm256_shuffle_ps(v[2], v[3], 0x44);
    const Vector odd23 = _mm256_shuffle_ps(v[2], v[3], 0xee);
    v[0] = _mm256_permute2f128_ps(even01, even23, 0x20);
    v[1] = _mm256_permute2f128_ps(odd01, odd23, 0x20);
    v[2] = _mm256_permute2f128_ps(even01, even23, 0x31);
    v[3] = _mm256_permute2f128_ps(odd01, odd23, 0x31);
  }

  static ATTEND_INLINE Real max_of_lanes(Vector a) {
    __m128 top = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    top = _mm_max_ps(top, _mm_movehl_ps(top, top));
    return _mm_cvtss_f32(_mm_max_ss(top, _mm_movehdup_ps(top)));
  }

  /// Lanes n whose bit n is set.
  static ATTEND_INLINE Mask mask_of_bits(std::uint32_t bits) {
    const __m256i shifts = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
    return _mm256_castsi256_ps(_mm256_sllv_epi32(set1_words(bits), shifts));
  }

  /// Lanes whose bit `n` is set.
  static ATTEND_INLINE Mask test_bit(Words words, int n) {
    return _mm256_castsi256_ps(_mm256_sll_epi32(words, _mm_cvtsi32_si128(31 - n)));
  }
  static ATTEND_INLINE Mask not_below(Words words, std::uint32_t threshold) {
    const Words greater = _mm256_max_epu32(words, set1_words(threshold));
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(greater, words));
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
constexpr Tuning kTuning{8, 3, 3, 24, 128, 4};
/// Likewise, found on Zen 5.
constexpr Tuning kTuningDouble{4, 3, 3, 24, 128, 2};

/// The engine for element type T.
template <class T>
constexpr Kernels<T> table() {
  if constexpr (std::is_same_v<T, double>)
    return kernels<DoubleLayer, T>("avx2", kTuningDouble);
  else
    return kernels<Layer, T>("avx2", kTuning);
}

/// Its backward pass.
template <class T>
constexpr GradientKernels<T> gradient_table() {
  if constexpr (std::is_same_v<T, double>)
    return gradient_kernels<DoubleLayer, T>(kTuningDouble);
  else
    return gradient_kernels<Layer, T>(kTuning);
}

}  // namespace attend::cpu::avx2
ATTEND_TARGET_END

#endif
