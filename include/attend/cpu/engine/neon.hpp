#pragma once

#if defined(__aarch64__)

#include <arm_neon.h>

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
#include "exp2_polynomial.hpp"
#include "gradient_kernels.hpp"
#include "kernels.hpp"
#include "mask_word.hpp"

/// @file
/// The NEON engine: 4 floats to a vector. Every AArch64 processor has it.

namespace attend::cpu::neon {

/// The layer of instructions: one function per instruction or short idiom.
struct Layer {
  using Real = float;
  static constexpr int kLanes = 4;
  static constexpr int kMaxVectors = 4;
  static constexpr int kStep = 1;  // elements of the inner dimension that a product takes at once
  static constexpr int kStepsAtOnce = 1;
  using Vector = float32x4_t;
  using Factor = float32x4_t;
  using Mask = uint32x4_t;  // all bits of a lane set, or none
  using Words = uint32x4_t;

  /// Rows of a product's register block: 16 of 32 registers hold sums, as many as four pipes need
  /// whose multiply-adds take four cycles. Compilers load all rows' elements first, and 24 sums
  /// leave no room for them.
  static constexpr int block_rows(int vectors) { return vectors <= 2 ? 8 : 4; }

  static ATTEND_INLINE Vector zero() { return vdupq_n_f32(0); }
  static ATTEND_INLINE Vector set1(Real x) { return vdupq_n_f32(x); }
  static ATTEND_INLINE Vector load(const float* from) { return vld1q_f32(from); }
  static ATTEND_INLINE Vector load(const Eigen::half* from) {
    return vcvt_f32_f16(vreinterpret_f16_u16(load_halves(from)));
  }
  static ATTEND_INLINE Vector load(const Eigen::bfloat16* from) {
    return vreinterpretq_f32_u32(vshll_n_u16(load_halves(from), 16));
  }
  static ATTEND_INLINE void store(float* to, Vector v) { vst1q_f32(to, v); }
  static ATTEND_INLINE void store(Eigen::half* to, Vector v) {
    store_halves(to, vreinterpret_u16_f16(vcvt_f16_f32(v)));
  }
  /// Rounds to nearest, ties to even; NaN becomes the quiet NaN.
  static ATTEND_INLINE void store(Eigen::bfloat16* to, Vector v) {
    const uint32x4_t bits = vreinterpretq_u32_f32(v);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, odd), vdupq_n_u32(0x7fff));
    const uint32x4_t words = vbslq_u32(vceqq_f32(v, v), rounded, vdupq_n_u32(0x7fc00000));
    store_halves(to, vshrn_n_u32(words, 16));
  }

  static ATTEND_INLINE Factor load_factor(const char* from) {
    return vld1q_f32(reinterpret_cast<const float*>(from));
  }
  static ATTEND_INLINE Factor broadcast_factor(const char* from) {
    return vld1q_dup_f32(reinterpret_cast<const float*>(from));
  }
  static ATTEND_INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
    return vfmaq_f32(c, a, b);
  }

  static ATTEND_INLINE Vector add(Vector a, Vector b) { return vaddq_f32(a, b); }
  static ATTEND_INLINE Vector subtract(Vector a, Vector b) { return vsubq_f32(a, b); }
  static ATTEND_INLINE Vector multiply(Vector a, Vector b) { return vmulq_f32(a, b); }
  /// As it is; compilers may not fuse what it was computed by with what follows.
  static ATTEND_INLINE Vector rounded(Vector a) {
    __asm__("" : "+w"(a));
    return a;
  }
  static ATTEND_INLINE Vector divide(Vector a, Vector b) { return vdivq_f32(a, b); }
  /// The second where one is NaN, as on x86.
  static ATTEND_INLINE Vector max(Vector a, Vector b) { return select(less(b, a), a, b); }
  static ATTEND_INLINE Vector min(Vector a, Vector b) { return select(less(a, b), a, b); }
  static ATTEND_INLINE Vector absolute(Vector a) { return vabsq_f32(a); }
  static ATTEND_INLINE Vector copy_sign(Vector size, Vector sign) {
    return vbslq_f32(vdupq_n_u32(0x80000000), sign, size);
  }

  static ATTEND_INLINE Mask equal(Vector a, Vector b) { return vceqq_f32(a, b); }
  static ATTEND_INLINE Mask less(Vector a, Vector b) { return vcltq_f32(a, b); }
  static ATTEND_INLINE Vector select(Mask mask, Vector a, Vector b) {
    return vbslq_f32(mask, a, b);
  }

  /// Exponents below the least normal one become the one whose power of two is coded as 0.
  static ATTEND_INLINE Vector clamp_exponent(Vector x) { return vmaxq_f32(x, set1(-127)); }
  static ATTEND_INLINE Vector fraction(Vector x) { return subtract(x, vrndmq_f32(x)); }
  /// p * 2^floor(x).
  static ATTEND_INLINE Vector times_exp2_floor(Vector p, Vector x) {
    const int32x4_t exponent = vaddq_s32(vcvtmq_s32_f32(x), vdupq_n_s32(127));
    return multiply(p, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
  }

  /// In place: lane c of vector r and lane r of vector c change places.
  static ATTEND_INLINE void transpose(Vector (&block)[kLanes]) {
    const float32x4x2_t low = vtrnq_f32(block[0], block[1]);
    const float32x4x2_t high = vtrnq_f32(block[2], block[3]);
    ATTEND_UNROLL for (int n = 0; n < 2; ++n) {
      block[n] = vcombine_f32(vget_low_f32(low.val[n]), vget_low_f32(high.val[n]));
      block[2 + n] = vcombine_f32(vget_high_f32(low.val[n]), vget_high_f32(high.val[n]));
    }
  }

  /// Lane n becomes the sum of all lanes of vector n.
  static ATTEND_INLINE Vector sums_of_lanes(const Vector (&block)[kLanes]) {
    return vpaddq_f32(vpaddq_f32(block[0], block[1]), vpaddq_f32(block[2], block[3]));
  }

  static ATTEND_INLINE Real max_of_lanes(Vector a) { return vmaxnmvq_f32(a); }

  /// Lanes n whose bit n is set.
  static ATTEND_INLINE Mask mask_of_bits(std::uint32_t bits) {
    constexpr std::uint32_t kBits[] = {1, 2, 4, 8};
    return vtstq_u32(set1_words(bits), vld1q_u32(kBits));
  }

  /// Bit n is set where byte n of 32 is not 0.
  static ATTEND_INLINE std::uint32_t bits_of_bytes(const bool* from) {
    constexpr std::uint8_t kBits[] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(from);
    const uint8x16_t bits = vld1q_u8(kBits);
    uint8x16_t low = vld1q_u8(bytes), high = vld1q_u8(bytes + 16);
    low = vandq_u8(vtstq_u8(low, low), bits);
    high = vandq_u8(vtstq_u8(high, high), bits);
    uint8x16_t sums = vpaddq_u8(low, high);  // of neighbours; thrice: of eight
    sums = vpaddq_u8(sums, sums);
    sums = vpaddq_u8(sums, sums);
    return vgetq_lane_u32(vreinterpretq_u32_u8(sums), 0);
  }
  static ATTEND_INLINE Words load_words(const std::uint32_t* from) { return vld1q_u32(from); }
  static ATTEND_INLINE Words set1_words(std::uint32_t x) { return vdupq_n_u32(x); }
  static ATTEND_INLINE Words add_words(Words a, std::uint32_t b) {
    return vaddq_u32(a, set1_words(b));
  }
  /// `high` + 1 where `sum` = x + b overflowed.
  static ATTEND_INLINE Words carry(Words sum, std::uint32_t b, Words high) {
    return vsubq_u32(high, vcltq_u32(sum, set1_words(b)));
  }
  static ATTEND_INLINE Words exclusive_or(Words a, Words b) { return veorq_u32(a, b); }
  static ATTEND_INLINE void multiply_wide(Words a, std::uint32_t b, Words& high, Words& low) {
    const uint32x2_t factor = vdup_n_u32(b);
    const uint32x4_t first = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), factor));
    const uint32x4_t second = vreinterpretq_u32_u64(vmull_u32(vget_high_u32(a), factor));
    low = vuzp1q_u32(first, second);
    high = vuzp2q_u32(first, second);
  }
  /// Lanes whose bit `n` is set.
  static ATTEND_INLINE Mask test_bit(Words words, int n) {
    return vtstq_u32(words, set1_words(std::uint32_t{1} << n));
  }
  static ATTEND_INLINE Mask not_below(Words words, std::uint32_t threshold) {
    return vcgeq_u32(words, set1_words(threshold));
  }

 private:
  static ATTEND_INLINE uint16x4_t load_halves(const void* from) {
    return vld1_u16(static_cast<const std::uint16_t*>(from));
  }
  static ATTEND_INLINE void store_halves(void* to, uint16x4_t halves) {
    vst1_u16(static_cast<std::uint16_t*>(to), halves);
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

/// Sizes; not measured on a processor yet.
constexpr Tuning kTuning{4, 4, 4, 48, 128, 4};

/// The engine for element type T.
template <class T>
constexpr Kernels<T> table() {
  return kernels<Layer, T>("neon", kTuning);
}

/// Its backward pass.
template <class T>
constexpr GradientKernels<T> gradient_table() {
  return gradient_kernels<Layer, T>(kTuning);
}

}  // namespace attend::cpu::neon

#endif
