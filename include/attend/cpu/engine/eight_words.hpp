#pragma once

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstdint>

#include "../../core/config.hpp"

/// @file
/// Instructions for 8 words to a vector: bits of masks and Philox's numbers beside 8 lanes.

ATTEND_TARGET_BEGIN("avx2,fma,f16c")
namespace attend::cpu {

/// A part of a layer of instructions.
struct EightWords {
  using Words = __m256i;

  /// Bit n is set where byte n of 32 is not 0.
  static ATTEND_INLINE std::uint32_t bits_of_bytes(const void* from) {
    const __m256i bytes = _mm256_loadu_si256(static_cast<const __m256i*>(from));
    const __m256i zeros = _mm256_cmpeq_epi8(bytes, _mm256_setzero_si256());
    return ~static_cast<std::uint32_t>(_mm256_movemask_epi8(zeros));
  }
  static ATTEND_INLINE Words load_words(const std::uint32_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static ATTEND_INLINE Words set1_words(std::uint32_t x) {
    return _mm256_set1_epi32(static_cast<int>(x));
  }
  static ATTEND_INLINE Words add_words(Words a, std::uint32_t b) {
    return _mm256_add_epi32(a, set1_words(b));
  }
  /// `high` + 1 where `sum` = x + b overflowed.
  static ATTEND_INLINE Words carry(Words sum, std::uint32_t b, Words high) {
    const Words not_less = _mm256_cmpeq_epi32(_mm256_max_epu32(sum, set1_words(b)), sum);
    return _mm256_add_epi32(high, _mm256_andnot_si256(not_less, set1_words(1)));
  }
  static ATTEND_INLINE Words exclusive_or(Words a, Words b) { return _mm256_xor_si256(a, b); }
  static ATTEND_INLINE void multiply_wide(Words a, std::uint32_t b, Words& high, Words& low) {
    const Words factor = set1_words(b);
    const Words even = _mm256_mul_epu32(a, factor);
    const Words odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
    high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
  }
};

}  // namespace attend::cpu
ATTEND_TARGET_END

#endif
