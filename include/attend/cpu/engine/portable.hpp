#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "../../core/elementary.hpp"
#include "../element.hpp"
#include "exp2_polynomial.hpp"
#include "gradient_kernels.hpp"
#include "kernels.hpp"
#include "mask_word.hpp"

/// @file
/// The portable engine: 16-byte vectors as the compiler's own vector type, which any architecture
/// has or is given. It is also what the other engines are compared with, and computes double.

namespace attend::cpu::portable {

/// The compiler's vector types for a type of scores. (Written out, since g++ ignores vector_size on
/// a type that depends on a template parameter.)
template <class Real>
struct Vectors;

template <>
struct Vectors<float> {
  using Integer = std::int32_t;
  using Vector = float __attribute__((vector_size(16)));
  using Mask = std::int32_t __attribute__((vector_size(16)));
  using Words = std::uint32_t __attribute__((vector_size(16)));
  using SignedWords = std::int32_t __attribute__((vector_size(16)));
  using LongWords = std::uint64_t __attribute__((vector_size(32)));
};

template <>
struct Vectors<double> {
  using Integer = std::int64_t;
  using Vector = double __attribute__((vector_size(16)));
  using Mask = std::int64_t __attribute__((vector_size(16)));
  using Words = std::uint32_t __attribute__((vector_size(8)));
  using SignedWords = std::int32_t __attribute__((vector_size(8)));
  using LongWords = std::uint64_t __attribute__((vector_size(16)));
};

/// The layer of instructions: one function per instruction, on vectors of `Real`.
template <class RealType>
struct Layer {
  using Real = RealType;
  static constexpr int kBytes = 16;
  static constexpr int kLanes = kBytes / static_cast<int>(sizeof(Real));
  static constexpr int kMaxVectors = 2;
  static constexpr int kStep = 1;  // elements of the inner dimension that a product takes at once
  static constexpr int kStepsAtOnce = 1;
  static constexpr int kMantissaBits = sizeof(Real) == 8 ? 52 : 23;
  static constexpr int kExponentBias = sizeof(Real) == 8 ? 1023 : 127;

  using Integer = typename Vectors<Real>::Integer;
  using Vector = typename Vectors<Real>::Vector;
  using Factor = Vector;
  using Mask = typename Vectors<Real>::Mask;  // all bits of a lane set, or none
  using Words = typename Vectors<Real>::Words;
  using LongWords = typename Vectors<Real>::LongWords;
  using SignedWords = typename Vectors<Real>::SignedWords;

  /// Rows of a product's register block.
  static constexpr int block_rows(int vectors) { return vectors == 1 ? 8 : 4; }

  static ATTEND_INLINE Vector zero() { return Vector{}; }
  static ATTEND_INLINE Vector set1(Real x) { return x - Vector{}; }
  static ATTEND_INLINE Vector load(const Real* from) { return load_as<Vector>(from); }
  static ATTEND_INLINE void store(Real* to, Vector v) { std::memcpy(to, &v, sizeof v); }
  template <class T>
  static ATTEND_INLINE Vector load(const T* from) {
    Vector v{};
    for (int n = 0; n < kLanes; ++n) v[n] = static_cast<Real>(from[n]);
    return v;
  }
  template <class T>
  static ATTEND_INLINE void store(T* to, Vector v) {
    for (int n = 0; n < kLanes; ++n) to[n] = static_cast<T>(v[n]);
  }

  static ATTEND_INLINE Factor load_factor(const char* from) { return load_as<Vector>(from); }
  static ATTEND_INLINE Factor broadcast_factor(const char* from) {
    return set1(load_as<Real>(from));
  }
  static ATTEND_INLINE Vector multiply_add(Vector a, Vector b, Vector c) { return a * b + c; }

  static ATTEND_INLINE Vector add(Vector a, Vector b) { return a + b; }
  static ATTEND_INLINE Vector subtract(Vector a, Vector b) { return a - b; }
  static ATTEND_INLINE Vector multiply(Vector a, Vector b) { return a * b; }
  /// As it is; a compiler may fuse what it was computed by with what follows, if it has a mind to.
  static ATTEND_INLINE Vector rounded(Vector a) { return a; }
  static ATTEND_INLINE Vector divide(Vector a, Vector b) { return a / b; }
  /// The second where one is NaN, as on x86.
  static ATTEND_INLINE Vector max(Vector a, Vector b) { return select(a > b, a, b); }
  static ATTEND_INLINE Vector min(Vector a, Vector b) { return select(a < b, a, b); }
  static ATTEND_INLINE Vector absolute(Vector a) {
    return (Vector)((Mask)a & std::numeric_limits<Integer>::max());
  }
  static ATTEND_INLINE Vector copy_sign(Vector size, Vector sign) {
    return (Vector)((Mask)absolute(size) | ((Mask)sign & std::numeric_limits<Integer>::min()));
  }

  static ATTEND_INLINE Mask equal(Vector a, Vector b) { return a == b; }
  static ATTEND_INLINE Mask less(Vector a, Vector b) { return a < b; }
  static ATTEND_INLINE Vector select(Mask mask, Vector a, Vector b) {
    return (Vector)((mask & (Mask)a) | (~mask & (Mask)b));
  }

  /// Exponents below the least normal one become the one whose power of two is coded as 0.
  static ATTEND_INLINE Vector clamp_exponent(Vector x) { return max(set1(-kExponentBias), x); }
  static ATTEND_INLINE Vector fraction(Vector x) { return x - floor(x); }
  /// p * 2^floor(x).
  static ATTEND_INLINE Vector times_exp2_floor(Vector p, Vector x) {
    const Mask exponent = __builtin_convertvector(floor(x), Mask);
    return p * (Vector)((exponent + kExponentBias) << kMantissaBits);
  }

  /// In place: lane c of vector r and lane r of vector c change places.
  static ATTEND_INLINE void transpose(Vector (&block)[kLanes]) {
    for (int r = 0; r < kLanes; ++r) {
      for (int c = r + 1; c < kLanes; ++c) {
        const Real kept = block[r][c];
        block[r][c] = block[c][r];
        block[c][r] = kept;
      }
    }
  }

  /// Lane n becomes the sum of all lanes of vector n.
  static ATTEND_INLINE Vector sums_of_lanes(Vector (&block)[kLanes]) {
    transpose(block);
    Vector sum = block[0];
    for (int n = 1; n < kLanes; ++n) sum += block[n];
    return sum;
  }

  static ATTEND_INLINE Real max_of_lanes(Vector a) {
    Real top = a[0];
    for (int n = 1; n < kLanes; ++n) top = a[n] > top ? a[n] : top;
    return top;
  }

  /// Lanes n whose bit n is set.
  static ATTEND_INLINE Mask mask_of_bits(std::uint32_t bits) {
    Mask mask{};
    for (int n = 0; n < kLanes; ++n) mask[n] = (bits >> n & 1) != 0 ? -1 : 0;
    return mask;
  }

  /// Bit n is set where byte n of 32 is not 0.
  static ATTEND_INLINE std::uint32_t bits_of_bytes(const bool* from) {
    return mask_word(from, 1, 32);
  }
  static ATTEND_INLINE Words load_words(const std::uint32_t* from) { return load_as<Words>(from); }
  static ATTEND_INLINE Words set1_words(std::uint32_t x) { return x - Words{}; }
  static ATTEND_INLINE Words add_words(Words a, std::uint32_t b) { return a + b; }
  /// `high` + 1 where `sum` = x + b overflowed.
  static ATTEND_INLINE Words carry(Words sum, std::uint32_t b, Words high) {
    return high - (Words)(sum < set1_words(b));
  }
  static ATTEND_INLINE Words exclusive_or(Words a, Words b) { return a ^ b; }
  static ATTEND_INLINE void multiply_wide(Words a, std::uint32_t b, Words& high, Words& low) {
    const LongWords product = __builtin_convertvector(a, LongWords) * b;
    high = __builtin_convertvector(product >> 32, Words);
    low = __builtin_convertvector(product, Words);
  }
  /// Lanes whose bit `n` is set.
  static ATTEND_INLINE Mask test_bit(Words words, int n) {
    return __builtin_convertvector(-(SignedWords)((words >> n) & 1), Mask);
  }
  static ATTEND_INLINE Mask not_below(Words words, std::uint32_t threshold) {
    return __builtin_convertvector((SignedWords)(words >= set1_words(threshold)), Mask);
  }

 private:
  template <class To>
  static ATTEND_INLINE To load_as(const void* from) {
    To to;
    std::memcpy(&to, from, sizeof to);
    return to;
  }
  static ATTEND_INLINE Vector floor(Vector x) {
    const Vector truncated = __builtin_convertvector(__builtin_convertvector(x, Mask), Vector);
    return truncated + __builtin_convertvector(truncated > x, Vector);
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

/// Sizes for a processor of which nothing is known.
constexpr Tuning kTuning{4, 2, 2, 16, 64, 2};
constexpr Tuning kTuningDouble{2, 2, 2, 16, 64, 1};

/// The engine for element type T.
template <class T>
constexpr Kernels<T> table() {
  using Real = RealOf<T>;
  return kernels<Layer<Real>, T>("portable", sizeof(Real) == 8 ? kTuningDouble : kTuning);
}

/// Its backward pass.
template <class T>
constexpr GradientKernels<T> gradient_table() {
  return gradient_kernels<Layer<RealOf<T>>, T>(sizeof(RealOf<T>) == 8 ? kTuningDouble : kTuning);
}

}  // namespace attend::cpu::portable
