#pragma once

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstdint>

#include "../../core/config.hpp"
#include "eight_words.hpp"

/// @file
/// The AVX-512 engine's instructions for 8 doubles to a vector.

ATTEND_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
namespace attend::cpu::avx512 {

/// As `Layer`, one function per instruction or short idiom; words (of masks and dropout) are halves
/// of a lane.
struct DoubleLayer : EightWords {
  using Real = double;
  static constexpr int kLanes = 8;
  static constexpr int kMaxVectors = 4;
  static constexpr int kStep = 1;
  static constexpr int kStepsAtOnce = 1;
  using Vector = __m512d;
  using Factor = __m512d;
  using Mask = __mmask8;

  /// Rows of a product's register block: 24 of 32 registers hold sums.
  static constexpr int block_rows(int vectors) { return vectors <= 3 ? 8 : 4; }

  static ATTEND_INLINE Vector zero() { return _mm512_setzero_pd(); }
  static ATTEND_INLINE Vector set1(Real x) { return _mm512_set1_pd(x); }
  static ATTEND_INLINE Vector load(const double* from) { return _mm512_loadu_pd(from); }
  /// To a register, whatever it is used for; a compiler would have every use of it read memory.
  static ATTEND_INLINE Vector load_once(const double* from) {
    Vector v = _mm512_loadu_pd(from);
    __asm__("" : "+v"(v));
    return v;
  }
  static ATTEND_INLINE void store(double* to, Vector v) { _mm512_storeu_pd(to, v); }

  static ATTEND_INLINE Factor load_factor(const char* from) { return _mm512_loadu_pd(from); }
  static ATTEND_INLINE Factor broadcast_factor(const char* from) {
    return _mm512_set1_pd(*reinterpret_cast<const double*>(from));
  }
  static ATTEND_INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
    return _mm512_fmadd_pd(a, b, c);
  }

  static ATTEND_INLINE Vector add(Vector a, Vector b) { return _mm512_add_pd(a, b); }
  static ATTEND_INLINE Vector subtract(Vector a, Vector b) { return _mm512_sub_pd(a, b); }
  static ATTEND_INLINE Vector multiply(Vector a, Vector b) { return _mm512_mul_pd(a, b); }
  /// As it is; compilers may not fuse what it was computed by with what follows.
  static ATTEND_INLINE Vector rounded(Vector a) {
    __asm__("" : "+v"(a));
    return a;
  }
  static ATTEND_INLINE Vector divide(Vector a, Vector b) { return _mm512_div_pd(a, b); }
  /// The second where one is NaN.
  static ATTEND_INLINE Vector max(Vector a, Vector b) { return _mm512_max_pd(a, b); }
  static ATTEND_INLINE Vector min(Vector a, Vector b) { return _mm512_min_pd(a, b); }
  static ATTEND_INLINE Vector absolute(Vector a) { return _mm512_abs_pd(a); }
  static ATTEND_INLINE Vector copy_sign(Vector size, Vector sign) {
    const __m512d bit = _mm512_set1_pd(-0.);
    return _mm512_or_pd(_mm512_andnot_pd(bit, size), _mm512_and_pd(bit, sign));
  }

  static ATTEND_INLINE Mask equal(Vector a, Vector b) {
    return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ);
  }
  static ATTEND_INLINE Mask less(Vector a, Vector b) {
    return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ);
  }
  static ATTEND_INLINE Vector select(Mask mask, Vector a, Vector b) {
    return _mm512_mask_blend_pd(mask, b, a);
  }

  /// vscalef takes any exponent.
  static ATTEND_INLINE Vector clamp_exponent(Vector x) { return x; }
  /// x - floor(x), 0 for -inf.
  static ATTEND_INLINE Vector fraction(Vector x) {
    return _mm512_reduce_pd(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  }
  /// p * 2^floor(x), and 0 where that power is below the least normal number.
  static ATTEND_INLINE Vector times_exp2_floor(Vector p, Vector x) {
    const Mask normal = _mm512_cmp_pd_mask(x, set1(-1022), _CMP_NLT_UQ);
    return _mm512_maskz_scalef_pd(normal, p, x);
  }

  /// In place: lane c of vector r and lane r of vector c change places.
  static ATTEND_INLINE void transpose(Vector (&block)[kLanes]) {
    Vector even[4], odd[4];  // columns; part p of vector n: column 2 p (+ 1) of rows 2 n, 2 n + 1
    ATTEND_UNROLL for (int n = 0; n < 4; ++n) {
      even[n] = _mm512_unpacklo_pd(block[2 * n], block[2 * n + 1]);
      odd[n] = _mm512_unpackhi_pd(block[2 * n], block[2 * n + 1]);
    }
    transpose_parts(even);
    transpose_parts(odd);
    ATTEND_UNROLL for (int n = 0; n < 4; ++n) {
      block[2 * n] = even[n];
      block[2 * n + 1] = odd[n];
    }
  }

  /// Lane n becomes the sum of all lanes of vector n.
  static ATTEND_INLINE Vector sums_of_lanes(const Vector (&block)[kLanes]) {
    Vector two[4];
    ATTEND_UNROLL for (int n = 0; n < 4; ++n) {
      const Vector a = block[2 * n], b = block[2 * n + 1];
      two[n] = _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
    }
    // two[n], each 128-bit part: a share of the sums of vectors 2 n and 2 n + 1.
    transpose_parts(two);
    return _mm512_add_pd(_mm512_add_pd(two[0], two[1]), _mm512_add_pd(two[2], two[3]));
  }

  /// Four parts each: part b of vector a and part a of vector b change places.
  static ATTEND_INLINE void transpose_parts(Vector (&v)[4]) {
    const Vector low01 = _mm512_shuffle_f64x2(v[0], v[1], 0x44);
    const Vector high01 = _mm512_shuffle_f64x2(v[0], v[1], 0xee);
    const Vector low23 = _mm512_shuffle_f64x2(v[2], v[3], 0x44);
    const Vector high23 = _mm512_shuffle_f64x2(v[2], v[3], 0xee);
    v[0] = _mm512_shuffle_f64x2(low01, low23, 0x88);
    v[1] = _mm512_shuffle_f64x2(low01, low23, 0xdd);
    v[2] = _mm512_shuffle_f64x2(high01, high23, 0x88);
    v[3] = _mm512_shuffle_f64x2(high01, high23, 0xdd);
  }

  static ATTEND_INLINE Real max_of_lanes(Vector a) { return _mm512_reduce_max_pd(a); }

  /// Lanes n whose bit n is set.
  static ATTEND_INLINE Mask mask_of_bits(std::uint32_t bits) { return static_cast<Mask>(bits); }

  /// Lanes whose bit `n` is set.
  static ATTEND_INLINE Mask test_bit(Words words, int n) {
    return _mm256_test_epi32_mask(words, set1_words(std::uint32_t{1} << n));
  }
  static ATTEND_INLINE Mask not_below(Words words, std::uint32_t threshold) {
    return _mm256_cmpge_epu32_mask(words, set1_words(threshold));
  }
};

}  // namespace attend::cpu::avx512
ATTEND_TARGET_END

#endif
