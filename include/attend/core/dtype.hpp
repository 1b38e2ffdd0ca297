#pragma once

#include <cstdint>
#include <limits>

#include "config.hpp"

/// @file
/// Element types and places as values, and the type a computation on an element type is carried out
/// in.

namespace attend {

/// Element type of q, k, v and the output.
enum class Dtype { f16, bf16, f32, f64 };

/// The name as it appears in messages: "f16", "bf16", "f32", "f64".
constexpr const char* name(Dtype dtype) {
  switch (dtype) {
    case Dtype::f16:
      return "f16";
    case Dtype::bf16:
      return "bf16";
    case Dtype::f32:
      return "f32";
    case Dtype::f64:
      return "f64";
  }
  return "unknown";
}

/// Bytes of one element.
ATTEND_HD constexpr int size_bytes(Dtype dtype) {
  return dtype == Dtype::f64 ? 8 : dtype == Dtype::f32 ? 4 : 2;
}

/// Where tensors lie.
enum class Device { host, cuda };

/// "host" or "cuda".
constexpr const char* name(Device device) { return device == Device::host ? "host" : "cuda"; }

/// Maps an element type to its `Dtype` (`kDtype`) and to the type that scores, sums, bias, slopes,
/// sinks and log-sum-exp are in (`Real`: float, and double for double). Specialised for each
/// supported type.
template <class T>
struct ElementTraits;

/// Bits of an IEEE half-precision number, on machines and in places that have no type for it.
struct F16 {
  std::uint16_t bits;  ///< sign, 5 bits of exponent, 10 of fraction
};
/// Bits of a bfloat16 number.
struct BF16 {
  std::uint16_t bits;  ///< the upper half of a float
};

/// Half precision, as bits.
template <>
struct ElementTraits<F16> {
  /// Scores and sums.
  using Real = float;
  /// As a value.
  static constexpr Dtype kDtype = Dtype::f16;
};

/// bfloat16, as bits.
template <>
struct ElementTraits<BF16> {
  /// Scores and sums.
  using Real = float;
  /// As a value.
  static constexpr Dtype kDtype = Dtype::bf16;
};

/// Single precision.
template <>
struct ElementTraits<float> {
  /// Scores and sums.
  using Real = float;
  /// As a value.
  static constexpr Dtype kDtype = Dtype::f32;
};

/// Double precision.
template <>
struct ElementTraits<double> {
  /// Scores and sums.
  using Real = double;
  /// As a value.
  static constexpr Dtype kDtype = Dtype::f64;
};

/// An element type of q, k, v and the output.
template <class T>
concept Element = requires {
  typename ElementTraits<T>::Real;
};

/// The type a computation on elements of type `T` is carried out in: float, and double for double.
template <class T>
using RealOf = typename ElementTraits<T>::Real;

/// Infinity: a constant, which device code may use where it may not call a function of the host's.
template <class Real>
inline constexpr Real kInfinity = std::numeric_limits<Real>::infinity();

/// log2(e): exp(x) = 2^(x log2(e)).
template <class Real>
inline constexpr Real kLog2E = static_cast<Real>(1.4426950408889634);

}  // namespace attend
