#pragma once

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
/// The engines for bfloat16 (AVX-512-BF16, AMX) with a plain form of each of their instructions, so
/// that their logic is tested on any machine. A vector is an array of 16.

namespace attend::cpu::emulated {

/// One value per lane.
template <class Element>
struct Lanes {
  Element lane[16] = {};
};

/// `make(n)` in every lane n. Not inlined: there are very many, and they need not be fast.
template <class Element, class Make>
ATTEND_NOINLINE Lanes<Element> lanes(Make&& make) {
  Lanes<Element> result;
  for (int n = 0; n < 16; ++n) result.lane[n] = make(n);
  return result;
}

/// AVX-512-BF16, instruction by instruction.
struct PairLayer {
  using Real = float;
  static constexpr int kLanes = 16;
  static constexpr int kMaxVectors = 4;
  static constexpr int kStep = 2;
  static constexpr int kStepsAtOnce = 1;
  using Vector = Lanes<float>;
  using Words = Lanes<std::uint32_t>;
  using Mask = Lanes<bool>;
  /// A pair of bfloat16 in each lane.
  struct Factor {
    Words pairs;
  };
  static constexpr int block_rows(int vectors) { return vectors <= 3 ? 8 : 4; }

  static Vector zero() { return {}; }
  static Vector set1(float x) {
    return lanes<float>([&](int) { return x; });
  }
  template <class T>
  static Vector load(const T* from) {
    T element[kLanes];
    std::memcpy(element, static_cast<const void*>(from), sizeof element);  // at any address
    return lanes<float>([&](int n) { return static_cast<float>(element[n]); });
  }
  template <class T>
  static void store(T* to, const Vector& v) {
    T element[kLanes];
    for (int n = 0; n < kLanes; ++n) element[n] = static_cast<T>(v.lane[n]);
    std::memcpy(static_cast<void*>(to), element, sizeof element);
  }

  static Factor load_factor(const char* from) {
    Factor factor;
    std::memcpy(&factor, from, sizeof factor);
    return factor;
  }
  static Factor broadcast_factor(const char* from) {
    std::uint32_t pair;
    std::memcpy(&pair, from, sizeof pair);
    return {set1_words(pair)};
  }
  /// The two halves of a pair.
  static float low(std::uint32_t pair) { return float_of(pair << 16); }
  static float high(std::uint32_t pair) { return float_of(pair & 0xffff0000); }
  /// vdpbf16ps.
  static Vector multiply_add(const Factor& a, const Factor& b, const Vector& c) {
    return lanes<float>([&](int n) {
      const std::uint32_t x = a.pairs.lane[n], y = b.pairs.lane[n];
      return c.lane[n] + high(x) * high(y) + low(x) * low(y);
    });
  }
  static Vector multiply_add(const Vector& a, const Vector& b, const Vector& c) {
    return lanes<float>([&](int n) { return a.lane[n] * b.lane[n] + c.lane[n]; });
  }
  /// Elements of `first`, then those of `second`, rounded.
  static Factor pairs(const Vector& first, const Vector& second) {
    Eigen::bfloat16 element[2 * kLanes];
    store(element, first);
    store(element + kLanes, second);
    return load_factor(reinterpret_cast<const char*>(element));
  }
  /// Pairs of an element of `first` and one of `second`, eight by eight: 0 to 3 of each to `low`, 4
  /// to 7 to `high`.
  static void interleave(const Factor& first, const Factor& second, Factor& low, Factor& high) {
    for (int n = 0; n < kLanes; ++n) {
      const int word = n / 4 * 4 + n % 4 / 2, shift = n % 2 * 16;
      const auto pair = [&](int at) {
        return (first.pairs.lane[at] >> shift & 0xffff) | second.pairs.lane[at] >> shift << 16;
      };
      low.pairs.lane[n] = pair(word);
      high.pairs.lane[n] = pair(word + 2);
    }
  }
  /// Sums of `interleave`'s pairs become those of elements 0 to 15 and 16 to 31.
  static void in_order(Vector& low, Vector& high) {
    const Vector old[2] = {low, high};
    for (int n = 0; n < 2 * kLanes; ++n)
      (n < kLanes ? low : high).lane[n % kLanes] = old[n % 8 / 4].lane[n / 8 * 4 + n % 4];
  }
  /// Rounds to words n, n + 1, ... of pairs, `first` in the low halves.
  static void store_pairs(void* pairs, std::int64_t n, const Vector& first, const Vector& second) {
    Eigen::bfloat16 a[kLanes], b[kLanes];
    store(a, first);
    store(b, second);
    store_interleaved(static_cast<std::uint32_t*>(pairs) + n, a, b);
  }
  static void store_interleaved(std::uint32_t* to, const Eigen::bfloat16* first,
                                const Eigen::bfloat16* second) {
    auto* const halves = reinterpret_cast<char*>(to);
    for (int n = 0; n < kLanes; ++n) {
      std::memcpy(halves + 4 * n, first + n, 2);
      std::memcpy(halves + 4 * n + 2, second + n, 2);
    }
  }

  static Vector add(const Vector& a, const Vector& b) {
    return lanes<float>([&](int n) { return a.lane[n] + b.lane[n]; });
  }
  static Vector subtract(const Vector& a, const Vector& b) {
    return lanes<float>([&](int n) { return a.lane[n] - b.lane[n]; });
  }
  static Vector multiply(const Vector& a, const Vector& b) {
    return lanes<float>([&](int n) { return a.lane[n] * b.lane[n]; });
  }
  static const Vector& rounded(const Vector& a) { return a; }
  static Vector divide(const Vector& a, const Vector& b) {
    return lanes<float>([&](int n) { return a.lane[n] / b.lane[n]; });
  }
  /// The second where one is NaN.
  static Vector max(const Vector& a, const Vector& b) { return select(less(b, a), a, b); }
  static Vector min(const Vector& a, const Vector& b) { return select(less(a, b), a, b); }
  static Vector absolute(const Vector& a) {
    return lanes<float>([&](int n) { return std::abs(a.lane[n]); });
  }
  static Vector copy_sign(const Vector& size, const Vector& sign) {
    return lanes<float>([&](int n) { return std::copysign(size.lane[n], sign.lane[n]); });
  }
  static Mask equal(const Vector& a, const Vector& b) {
    return lanes<bool>([&](int n) { return a.lane[n] == b.lane[n]; });
  }
  static Mask less(const Vector& a, const Vector& b) {
    return lanes<bool>([&](int n) { return a.lane[n] < b.lane[n]; });
  }
  static Vector select(const Mask& mask, const Vector& a, const Vector& b) {
    return lanes<float>([&](int n) { return mask.lane[n] ? a.lane[n] : b.lane[n]; });
  }

  static Vector clamp_exponent(const Vector& x) { return x; }
  /// x - floor(x), 0 for -inf.
  static Vector fraction(const Vector& x) {
    return lanes<float>(
        [&](int n) { return std::isinf(x.lane[n]) ? 0.f : x.lane[n] - std::floor(x.lane[n]); });
  }
  /// vscalefps: p * 2^floor(x), and 0 where that is below the least normal number.
  static Vector times_exp2_floor(const Vector& p, const Vector& x) {
    return lanes<float>(
        [&](int n) { return normal_or_zero(p.lane[n] * std::exp2(std::floor(x.lane[n]))); });
  }

  static void transpose(Vector (&block)[kLanes]) {
    for (int r = 0; r < kLanes; ++r)
      for (int c = r + 1; c < kLanes; ++c) std::swap(block[r].lane[c], block[c].lane[r]);
  }
  /// Lane n becomes the sum of all lanes of vector n.
  static Vector sums_of_lanes(const Vector (&block)[kLanes]) {
    return lanes<float>([&](int n) {
      float sum = 0;
      for (const float x : block[n].lane) sum += x;
      return sum;
    });
  }

  /// Four parts each: part b of vector a and part a of vector b change places.
  static void transpose_parts(Vector (&v)[4]) {
    for (int a = 0; a < 4; ++a)
      for (int b = a + 1; b < 4; ++b)
        for (int n = 0; n < 4; ++n) std::swap(v[a].lane[4 * b + n], v[b].lane[4 * a + n]);
  }

  static float max_of_lanes(const Vector& a) {
    return *std::max_element(std::begin(a.lane), std::end(a.lane));
  }

  static Mask mask_of_bits(std::uint32_t bits) {
    return lanes<bool>([&](int n) { return (bits >> n & 1) != 0; });
  }
  /// Bit n is set where byte n of 32 is not 0.
  static std::uint32_t bits_of_bytes(const bool* from) { return mask_word(from, 1, 32); }
  static Words load_words(const std::uint32_t* from) {
    return lanes<std::uint32_t>([&](int n) { return from[n]; });
  }
  static Words set1_words(std::uint32_t x) {
    return lanes<std::uint32_t>([&](int) { return x; });
  }
  static Words add_words(const Words& a, std::uint32_t b) {
    return lanes<std::uint32_t>([&](int n) { return a.lane[n] + b; });
  }
  /// `above` + 1 where `sum` = x + b overflowed.
  static Words carry(const Words& sum, std::uint32_t b, const Words& above) {
    return lanes<std::uint32_t>([&](int n) { return above.lane[n] + (sum.lane[n] < b ? 1u : 0u); });
  }
  static Words exclusive_or(const Words& a, const Words& b) {
    return lanes<std::uint32_t>([&](int n) { return a.lane[n] ^ b.lane[n]; });
  }
  static void multiply_wide(const Words& a, std::uint32_t b, Words& upper, Words& lower) {
    for (int n = 0; n < kLanes; ++n) {
      const std::uint64_t product = std::uint64_t{a.lane[n]} * b;
      upper.lane[n] = static_cast<std::uint32_t>(product >> 32);
      lower.lane[n] = static_cast<std::uint32_t>(product);
    }
  }
  static Mask test_bit(const Words& words, int bit) {
    return lanes<bool>([&](int n) { return (words.lane[n] >> bit & 1) != 0; });
  }
  static Mask not_below(const Words& words, std::uint32_t threshold) {
    return lanes<bool>([&](int n) { return words.lane[n] >= threshold; });
  }

 private:
  static float float_of(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
};

/// The same with AMX's matrix tiles.
struct TileLayer : PairLayer {
  static constexpr int kStepsAtOnce = 16;
  static constexpr int kMaxVectors = 2;

  /// Registers of a block of 2 x 2 tiles, undefined rows and all: each has 16 rows of 64 bytes, of
  /// which the first `low` (upper blocks) or `high` (lower) rows take part.
  class Tiles {
   public:
    Tiles(int low, int high) : count_{low, high} {}

    /// Sums of 0.
    void clear() { std::memset(sum_, 0, sizeof sum_); }
    /// 16 pairs of each row of the left factor, for the upper (0) or lower (1) blocks.
    template <int kBlock>
    void load_rows(const char* from, std::int64_t row_bytes) {
      for (int r = 0; r < count_[kBlock]; ++r)
        std::memcpy(rows_[kBlock][r], from + r * row_bytes, 64);
    }
    /// 16 steps of the right factor, for the left (0) or right (1) blocks.
    template <int kBlock>
    void load_factor(const char* from, std::int64_t step_bytes) {
      for (int s = 0; s < 16; ++s) std::memcpy(factor_[kBlock][s], from + s * step_bytes, 64);
    }
    /// tdpbf16ps: pair by pair, summed in single precision.
    template <int kRow, int kColumn>
    void multiply_add() {
      for (int r = 0; r < count_[kRow]; ++r)
        for (int s = 0; s < 16; ++s)
          for (int n = 0; n < 16; ++n)
            sum_[kRow][kColumn][r][n] += low(rows_[kRow][r][s]) * low(factor_[kColumn][s][n]) +
                                         high(rows_[kRow][r][s]) * high(factor_[kColumn][s][n]);
    }
    /// Rows of 16 sums, one after the other.
    template <int kRow, int kColumn>
    void store(float* to) const {
      std::memcpy(to, sum_[kRow][kColumn], static_cast<std::size_t>(count_[kRow]) * 64);
    }

   private:
    int count_[2];
    std::uint32_t rows_[2][16][16];
    std::uint32_t factor_[2][16][16];
    float sum_[2][2][16][16];
  };
};

#include "exp2.inl"
#include "matrix_tiles.inl"
#include "pack.inl"
#include "product.inl"
#include "rows.inl"
#include "softmax.inl"
#include "tile.inl"
#include "tile_gradient.inl"
#include "whole_engine.inl"

/// The logic of the AVX-512-BF16 engine.
template <std::same_as<Eigen::bfloat16> T>
constexpr Kernels<T> pair_table() {
  return kernels<PairLayer, T>("emulated_bf16", {16, 4, 4, 4, 64, 5});
}

/// The logic of the AMX engine's products.
template <std::same_as<Eigen::bfloat16> T>
constexpr Kernels<T> tile_table() {
  return with_products<TileLayer, T>(pair_table<T>(), "emulated_amx", {16, 2, 2, 4, 64, 5});
}

/// The backward pass of the AVX-512-BF16 engine.
constexpr GradientKernels<Eigen::bfloat16> pair_gradient_table() {
  return gradient_kernels<PairLayer, Eigen::bfloat16>({16, 4, 4, 4, 64, 5});
}

}  // namespace attend::cpu::emulated
