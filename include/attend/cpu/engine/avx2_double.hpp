#pragma once

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstdint>

#include "../../core/config.hpp"
#include "eight_words.hpp"

/// @file
/// The AVX2 engine's instructions for 4 doubles to a vector.

ATTEND_TARGET_BEGIN("avx2,fma,f16c")
namespace attend::cpu::avx2 {

/// As `Layer`, one function per instruction or short idiom; words (of masks and dropout) are halves
/// of a lane.
struct DoubleLayer {
  using Real = double;
  static constexpr int kLanes = 4;
  static constexpr int kMaxVectors = 3;
  static constexpr int kStep = 1;
  static constexpr int kStepsAtOnce = 1;
  using Vector = __m256d;
  using Factor = __m256d;
  using Mask = __m256d;  // the sign bit of a lane counts
  using Words = __m128i;

  /// Rows of a product's register block: at widths 2 and 3, 12 of 16 registers hold sums.
  static constexpr int block_rows(int vectors) { return vectors == 1 ? 8 : vectors == 2 ? 6 : 4; }

  static ATTEND_INLINE Vector zero() { return _mm256_setzero_pd(); }
  static ATTEND_INLINE Vector set1(Real x) { return _mm256_set1_pd(x); }
  static ATTEND_INLINE Vector load(const double* from) { return _mm256_loadu_pd(from); }
  /// To a register, whatever it is used for; a compiler would have every use of it read memory.
  static ATTEND_INLINE Vector load_once(const double* from) {
    return _mm256_castsi256_pd(_mm256_lddqu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static ATTEND_INLINE void store(double* to, Vector v) { _mm256_storeu_pd(to, v); }

  static ATTEND_INLINE Factor load_factor(const char* from) {
    return _mm256_loadu_pd(reinterpret_cast<const double*>(from));
  }
  static ATTEND_INLINE Factor broadcast_factor(const char* from) {
    return _mm256_broadcast_sd(reinterpret_cast<const double*>(from));
  }
  static ATTEND_INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
    return _mm256_fmadd_pd(a, b, c);
  }

  static ATTEND_INLINE Vector add(Vector a, Vector b) { return _mm256_add_pd(a, b); }
  static ATTEND_INLINE Vector subtract(Vector a, Vector b) { return _mm256_sub_pd(a, b); }
  static ATTEND_INLINE Vector multiply(Vector a, Vector b) { return _mm256_mul_pd(a, b); }
  /// As it is; compilers may not fuse what it was computed by with what follows.
  static ATTEND_INLINE Vector rounded(Vector a) {
    __asm__("" : "+x"(a));
    return a;
  }
  static ATTEND_INLINE Vector divide(Vector a, Vector b) { return _mm256_div_pd(a, b); }
  /// The second where one is NaN.
  static ATTEND_INLINE Vector max(Vector a, Vector b) { return _mm256_max_pd(a, b); }
  static ATTEND_INLINE Vector min(Vector a, Vector b) { return _mm256_min_pd(a, b); }
  static ATTEND_INLINE Vector absolute(Vector a) {
    return _mm256_andnot_pd(_mm256_set1_pd(-0.), a);
  }
  static ATTEND_INLINE Vector copy_sign(Vector size, Vector sign) {
    return _mm256_or_pd(absolute(size), _mm256_and_pd(_mm256_set1_pd(-0.), sign));
  }

  static ATTEND_INLINE Mask equal(Vector a, Vector b) { return _mm256_cmp_pd(a, b, _CMP_EQ_OQ); }
  static ATTEND_INLINE Mask less(Vector a, Vector b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
  static ATTEND_INLINE Vector select(Mask mask, Vector a, Vector b) {
    return _mm256_blendv_pd(b, a, mask);
  }

  /// Exponents below the least normal one become the one whose power of two is coded as 0.
  static ATTEND_INLINE Vector clamp_exponent(Vector x) { return max(set1(-1023), x); }
  static ATTEND_INLINE Vector fraction(Vector x) { return subtract(x, _mm256_floor_pd(x)); }
  /// p * 2^floor(x).
  static ATTEND_INLINE Vector times_exp2_floor(Vector p, Vector x) {
    const __m128i exponent = _mm256_cvtpd_epi32(_mm256_floor_pd(x));
    const __m128i biased = _mm_add_epi32(exponent, _mm_set1_epi32(1023));
    return multiply(p, _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_cvtepi32_epi64(biased), 52)));
  }

  /// In place: lane c of vector r and lane r of vector c change places.
  static ATTEND_INLINE void transpose(Vector (&block)[kLanes]) {
    const Vector even01 = _mm256_unpacklo_pd(block[0], block[1]);
    const Vector odd01 = _mm256_unpackhi_pd(block[0], block[1]);
    const Vector even23 = _mm256_unpacklo_pd(block[2], block[3]);
    const Vector odd23 = _mm256_unpackhi_pd(block[2], block[3]);
    block[0] = _mm256_permute2f128_pd(even01, even23, 0x20);
    block[1] = _mm256_permute2f128_pd(odd01, odd23, 0x20);
    block[2] = _mm256_permute2f128_pd(even01, even23, 0x31);
    block[3] = _mm256_permute2f128_pd(odd01, odd23, 0x31);
  }

  /// Lane n becomes the sum of all lanes of vector n.
  static ATTEND_INLINE Vector sums_of_lanes(const Vector (&block)[kLanes]) {
    const Vector low = _mm256_hadd_pd(block[0], block[1]);
    const Vector high = _mm256_hadd_pd(block[2], block[3]);
    return add(_mm256_permute2f128_pd(low, high, 0x20), _mm256_permute2f128_pd(low, high, 0x31));
  }

  static ATTEND_INLINE Real max_of_lanes(Vector a) {
    const __m128d top = _mm_max_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_max_sd(top, _mm_unpackhi_pd(top, top)));
  }

  /// Lanes n whose bit n is set.
  static ATTEND_INLINE Mask mask_of_bits(std::uint32_t bits) {
    const __m256i shifts = _mm256_setr_epi64x(63, 62, 61, 60);
    return _mm256_castsi256_pd(_mm256_sllv_epi64(_mm256_set1_epi64x(bits), shifts));
  }

  static ATTEND_INLINE std::uint32_t bits_of_bytes(const void* from) {
    return EightWords::bits_of_bytes(from);
  }
  static ATTEND_INLINE Words load_words(const std::uint32_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }
  static ATTEND_INLINE Words set1_words(std::uint32_t x) {
    return _mm_set1_epi32(static_cast<int>(x));
  }
  static ATTEND_INLINE Words add_words(Words a, std::uint32_t b) {
    return _mm_add_epi32(a, set1_words(b));
  }
  /// `high` + 1 where `sum` = x + b overflowed.
  static ATTEND_INLINE Words carry(Words sum, std::uint32_t b, Words high) {
    const Words not_less = _mm_cmpeq_epi32(_mm_max_epu32(sum, set1_words(b)), sum);
    return _mm_add_epi32(high, _mm_andnot_si128(not_less, set1_words(1)));
  }
  static ATTEND_INLINE Words exclusive_or(Words a, Words b) { return _mm_xor_si128(a, b); }
  static ATTEND_INLINE void multiply_wide(Words a, std::uint32_t b, Words& high, Words& low) {
    const Words factor = set1_words(b);
    const Words even = _mm_mul_epu32(a, factor);
    const Words odd = _mm_mul_epu32(_mm_srli_epi64(a, 32), factor);
    high = _mm_blend_epi32(_mm_srli_epi64(even, 32), odd, 0xa);
    low = _mm_blend_epi32(even, _mm_slli_epi64(odd, 32), 0xa);
  }
  /// Lanes whose bit `n` is set.
  static ATTEND_INLINE Mask test_bit(Words words, int n) {
    return whole_lanes(_mm_sll_epi32(words, _mm_cvtsi32_si128(31 - n)));
  }
  static ATTEND_INLINE Mask not_below(Words words, std::uint32_t threshold) {
    return whole_lanes(_mm_cmpeq_epi32(_mm_max_epu32(words, set1_words(threshold)), words));
  }

 private:
  /// The sign of a word becomes that of the lane.
  static ATTEND_INLINE Mask whole_lanes(Words words) {
    return _mm256_castsi256_pd(_mm256_cvtepi32_epi64(words));
  }
};

}  // namespace attend::cpu::avx2
ATTEND_TARGET_END

#endif
