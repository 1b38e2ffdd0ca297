#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

#include "config.hpp"
#include "elementary.hpp"

/// @file
/// A number together with its slope, so that a function that is evaluated on it comes with its
/// derivative (forward-mode differentiation; Clifford, 1873; Wengert, 1964).

/// Dual numbers and their functions. In a namespace of their own, found by the types of their
/// arguments alone, so that they do not clash with CUDA's `min` and the like.
namespace attend::numbers {

/// A plain number, with which those here mix.
template <class X>
concept Constant = std::is_arithmetic_v<X>;

/// The slope of a number that has none: nothing is computed.
struct NoSlope {
  /// None.
  constexpr NoSlope() = default;
  /// In place of a slope.
  template <Constant X>
  ATTEND_HD constexpr NoSlope(X) {}  // NOLINT(google-explicit-constructor)

  /// None.
  ATTEND_HD friend constexpr NoSlope operator-(NoSlope) { return {}; }
  /// None.
  ATTEND_HD friend constexpr NoSlope operator+(NoSlope, NoSlope) { return {}; }
  /// None.
  ATTEND_HD friend constexpr NoSlope operator-(NoSlope, NoSlope) { return {}; }
  /// None.
  template <Constant X>
  ATTEND_HD friend constexpr NoSlope operator*(NoSlope, X) {
    return {};
  }
  /// None.
  template <Constant X>
  ATTEND_HD friend constexpr NoSlope operator*(X, NoSlope) {
    return {};
  }
  /// None.
  template <Constant X>
  ATTEND_HD friend constexpr NoSlope operator/(NoSlope, X) {
    return {};
  }
  /// It never has one.
  ATTEND_HD friend constexpr bool operator!=(NoSlope, int) { return false; }
};

/// A dual number, or something that it mixes with.
template <class X, class Number>
concept MixesWith = Constant<X> || std::is_same_v<X, Number>;

/// Of what two numbers make when at least one of them is a dual number: its type.
template <class A, class B>
struct Mixed {};
/// @copydoc Mixed
template <class Real, class Slope, MixesWith<Dual<Real, Slope>> B>
struct Mixed<Dual<Real, Slope>, B> {
  using Type = Dual<Real, Slope>;  ///< of both
};
/// @copydoc Mixed
template <Constant A, class Real, class Slope>
struct Mixed<A, Dual<Real, Slope>> {
  using Type = Dual<Real, Slope>;  ///< of both
};
/// @copydoc Mixed
template <class A, class B>
using MixedType = typename Mixed<A, B>::Type;

/// `value + slope * epsilon` with `epsilon^2 = 0`. Mixes with plain numbers, whose slope is 0;
/// comparisons look at the value. Functions as in cmath (but for `tgamma`, `lgamma` and those that
/// take numbers apart) are found by argument-dependent lookup: write `tanh(s)`, not `std::tanh(s)`.
template <class Real, class Slope = Real>
struct Dual {
  Real value = 0;   ///< of the expression
  Slope slope = 0;  ///< of the expression by the variable that started with slope 1

  /// 0
  constexpr Dual() = default;
  /// A value and its slope.
  ATTEND_HD constexpr Dual(Real of_value, Slope of_slope) : value(of_value), slope(of_slope) {}
  /// A constant.
  template <Constant X>
  ATTEND_HD constexpr Dual(X constant)  // NOLINT(google-explicit-constructor)
      : value(static_cast<Real>(constant)) {}
  /// The value, where no slope is lost.
  template <Constant X>
  requires std::is_same_v<Slope, NoSlope> ATTEND_HD constexpr explicit operator X() const {
    return static_cast<X>(value);
  }

  /// The number itself.
  ATTEND_HD friend constexpr Dual operator+(Dual a) { return a; }
  /// Negates value and slope.
  ATTEND_HD friend constexpr Dual operator-(Dual a) { return {-a.value, -a.slope}; }
  /// Sums add their slopes.
  ATTEND_HD friend constexpr Dual operator+(Dual a, Dual b) {
    return {a.value + b.value, a.slope + b.slope};
  }
  /// A constant changes the value alone.
  template <Constant X>
  ATTEND_HD friend constexpr Dual operator+(Dual a, X b) {
    return {a.value + static_cast<Real>(b), a.slope};
  }
  /// Likewise.
  template <Constant X>
  ATTEND_HD friend constexpr Dual operator+(X a, Dual b) {
    return b + a;
  }
  /// Differences subtract their slopes.
  ATTEND_HD friend constexpr Dual operator-(Dual a, Dual b) {
    return {a.value - b.value, a.slope - b.slope};
  }
  /// A constant changes the value alone.
  template <Constant X>
  ATTEND_HD friend constexpr Dual operator-(Dual a, X b) {
    return {a.value - static_cast<Real>(b), a.slope};
  }
  /// Likewise.
  template <Constant X>
  ATTEND_HD friend constexpr Dual operator-(X a, Dual b) {
    return {static_cast<Real>(a) - b.value, -b.slope};
  }
  /// Product rule.
  ATTEND_HD friend constexpr Dual operator*(Dual a, Dual b) {
    return {a.value * b.value, a.slope * b.value + a.value * b.slope};
  }
  /// A constant factor scales the slope: no 0 * value, which is NaN of an infinite one.
  template <Constant X>
  ATTEND_HD friend constexpr Dual operator*(Dual a, X b) {
    return {a.value * static_cast<Real>(b), a.slope * static_cast<Real>(b)};
  }
  /// Likewise.
  template <Constant X>
  ATTEND_HD friend constexpr Dual operator*(X a, Dual b) {
    return b * a;
  }
  /// Quotient rule.
  ATTEND_HD friend constexpr Dual operator/(Dual a, Dual b) {
    const Real quotient = a.value / b.value;
    return {quotient, (a.slope - quotient * b.slope) / b.value};
  }
  /// By a constant.
  template <Constant X>
  ATTEND_HD friend constexpr Dual operator/(Dual a, X b) {
    return {a.value / static_cast<Real>(b), a.slope / static_cast<Real>(b)};
  }
  /// Of a constant.
  template <Constant X>
  ATTEND_HD friend constexpr Dual operator/(X a, Dual b) {
    return Dual(a) / b;
  }
  /// In place.
  template <class Term>
  ATTEND_HD constexpr Dual& operator+=(Term b) {
    return *this = *this + b;
  }
  /// In place.
  template <class Term>
  ATTEND_HD constexpr Dual& operator-=(Term b) {
    return *this = *this - b;
  }
  /// In place.
  template <class Factor>
  ATTEND_HD constexpr Dual& operator*=(Factor b) {
    return *this = *this * b;
  }
  /// In place.
  template <class Divisor>
  ATTEND_HD constexpr Dual& operator/=(Divisor b) {
    return *this = *this / b;
  }

  /// Slope 1 at 0.
  ATTEND_HD friend constexpr Dual abs(Dual a) { return a.value < 0 ? -a : a; }
  /// As abs.
  ATTEND_HD friend constexpr Dual fabs(Dual a) { return abs(a); }

  /// Slope 0.
  ATTEND_HD friend Dual floor(Dual a) { return {std::floor(a.value), 0}; }
  /// Slope 0.
  ATTEND_HD friend Dual ceil(Dual a) { return {std::ceil(a.value), 0}; }
  /// Slope 0.
  ATTEND_HD friend Dual round(Dual a) { return {std::round(a.value), 0}; }
  /// Slope 0.
  ATTEND_HD friend Dual rint(Dual a) { return {std::rint(a.value), 0}; }
  /// Slope 0.
  ATTEND_HD friend Dual nearbyint(Dual a) { return {std::nearbyint(a.value), 0}; }
  /// Slope 0.
  ATTEND_HD friend Dual trunc(Dual a) { return {std::trunc(a.value), 0}; }
  /// Of the value.
  ATTEND_HD friend bool isnan(Dual a) { return a.value != a.value; }
  /// Of the value.
  ATTEND_HD friend bool signbit(Dual a) { return std::signbit(a.value); }
  /// Of the value.
  ATTEND_HD friend bool isfinite(Dual a) { return a.value - a.value == 0; }
  /// Of the value.
  ATTEND_HD friend bool isinf(Dual a) { return !isnan(a) && !isfinite(a); }

  /// Derivative: exp.
  ATTEND_HD friend Dual exp(Dual a) { return elementary::exp(a); }
  /// Derivative: 2^x ln 2.
  ATTEND_HD friend Dual exp2(Dual a) {
    const Real y = std::exp2(a.value);
    return {y, y * static_cast<Real>(0.693147180559945309) * a.slope};
  }
  /// Derivative: exp.
  ATTEND_HD friend Dual expm1(Dual a) { return {std::expm1(a.value), std::exp(a.value) * a.slope}; }
  /// Derivative: 1 / x.
  ATTEND_HD friend Dual log(Dual a) { return {std::log(a.value), a.slope / a.value}; }
  /// Derivative: 1 / (x ln 2).
  ATTEND_HD friend Dual log2(Dual a) {
    return {std::log2(a.value), a.slope / (a.value * static_cast<Real>(0.693147180559945309))};
  }
  /// Derivative: 1 / (x ln 10).
  ATTEND_HD friend Dual log10(Dual a) {
    return {std::log10(a.value), a.slope / (a.value * static_cast<Real>(2.302585092994045684))};
  }
  /// Derivative: 1 / (1 + x).
  ATTEND_HD friend Dual log1p(Dual a) { return {std::log1p(a.value), a.slope / (1 + a.value)}; }
  /// Derivative: 1 / (2 sqrt(x)).
  ATTEND_HD friend Dual sqrt(Dual a) {
    const Real y = std::sqrt(a.value);
    return {y, a.slope / (2 * y)};
  }
  /// Derivative: 1 / (3 cbrt(x)^2).
  ATTEND_HD friend Dual cbrt(Dual a) {
    const Real y = std::cbrt(a.value);
    return {y, a.slope / (3 * y * y)};
  }
  /// Derivative: cos.
  ATTEND_HD friend Dual sin(Dual a) { return {std::sin(a.value), std::cos(a.value) * a.slope}; }
  /// Derivative: -sin.
  ATTEND_HD friend Dual cos(Dual a) { return {std::cos(a.value), -std::sin(a.value) * a.slope}; }
  /// Derivative: 1 + tan^2.
  ATTEND_HD friend Dual tan(Dual a) {
    const Real y = std::tan(a.value);
    return {y, (1 + y * y) * a.slope};
  }
  /// Derivative: 1 / (1 + x^2).
  ATTEND_HD friend Dual atan(Dual a) {
    return {std::atan(a.value), a.slope / (1 + a.value * a.value)};
  }
  /// Derivative: 1 / sqrt(1 - x^2).
  ATTEND_HD friend Dual asin(Dual a) {
    return {std::asin(a.value), a.slope / std::sqrt(1 - a.value * a.value)};
  }
  /// Derivative: -1 / sqrt(1 - x^2).
  ATTEND_HD friend Dual acos(Dual a) {
    return {std::acos(a.value), -a.slope / std::sqrt(1 - a.value * a.value)};
  }
  /// Derivative: cosh.
  ATTEND_HD friend Dual sinh(Dual a) { return {std::sinh(a.value), std::cosh(a.value) * a.slope}; }
  /// Derivative: sinh.
  ATTEND_HD friend Dual cosh(Dual a) { return {std::cosh(a.value), std::sinh(a.value) * a.slope}; }
  /// Derivative: 1 - tanh^2.
  ATTEND_HD friend Dual tanh(Dual a) { return elementary::tanh(a); }
  /// Derivative: 1 / sqrt(x^2 + 1).
  ATTEND_HD friend Dual asinh(Dual a) {
    return {std::asinh(a.value), a.slope / std::sqrt(a.value * a.value + 1)};
  }
  /// Derivative: 1 / sqrt(x^2 - 1).
  ATTEND_HD friend Dual acosh(Dual a) {
    return {std::acosh(a.value), a.slope / std::sqrt(a.value * a.value - 1)};
  }
  /// Derivative: 1 / (1 - x^2).
  ATTEND_HD friend Dual atanh(Dual a) {
    return {std::atanh(a.value), a.slope / (1 - a.value * a.value)};
  }
  /// Derivative: 2 / sqrt(pi) exp(-x^2).
  ATTEND_HD friend Dual erf(Dual a) {
    constexpr Real kTwoOverRootPi = static_cast<Real>(1.12837916709551257);
    return {std::erf(a.value), kTwoOverRootPi * std::exp(-a.value * a.value) * a.slope};
  }
  /// Derivative: -2 / sqrt(pi) exp(-x^2).
  ATTEND_HD friend Dual erfc(Dual a) { return {std::erfc(a.value), -erf(a).slope}; }
};

/// By value.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD constexpr bool operator==(A a, B b) {
  return Number(a).value == Number(b).value;
}
/// By value.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD constexpr bool operator!=(A a, B b) {
  return Number(a).value != Number(b).value;
}
/// By value.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD constexpr bool operator<(A a, B b) {
  return Number(a).value < Number(b).value;
}
/// By value.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD constexpr bool operator<=(A a, B b) {
  return Number(a).value <= Number(b).value;
}
/// By value.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD constexpr bool operator>(A a, B b) {
  return Number(a).value > Number(b).value;
}
/// By value.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD constexpr bool operator>=(A a, B b) {
  return Number(a).value >= Number(b).value;
}
/// The lesser with its slope; the first where they are equal.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD constexpr Number min(A a, B b) {
  return b < a ? Number(b) : Number(a);
}
/// The greater with its slope; the first where they are equal.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD constexpr Number max(A a, B b) {
  return a < b ? Number(b) : Number(a);
}
/// As min, but the other where one is NaN.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD constexpr Number fmin(A a, B b) {
  const Number x(a), y(b);
  return x != x ? y : y < x ? y : x;
}
/// As max, but the other where one is NaN.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD constexpr Number fmax(A a, B b) {
  const Number x(a), y(b);
  return x != x ? y : x < y ? y : x;
}
/// The first less the second, but not below 0.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD constexpr Number fdim(A a, B b) {
  const Number x(a), y(b);
  return x <= y ? Number(0) : x - y;
}
/// The size of the first with the sign of the second.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD Number copysign(A a, B b) {
  const Number x(a);
  return std::signbit(x.value) == std::signbit(Number(b).value) ? x : -x;
}
/// The slope is that of the first, less a whole number of times that of the second.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD Number fmod(A a, B b) {
  const Number x(a), y(b);
  return {std::fmod(x.value, y.value), x.slope - std::trunc(x.value / y.value) * y.slope};
}
/// The slope is that of the first, less a whole number of times that of the second.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD Number remainder(A a, B b) {
  const Number x(a), y(b);
  const auto value = std::remainder(x.value, y.value);
  return {value, x.slope - std::rint((x.value - value) / y.value) * y.slope};
}
/// a b + c, rounded once.
template <class A, class B, class C, class Number = decltype(A() * B() + C())>
requires requires(Number sum) { sum.slope; }
ATTEND_HD Number fma(A a, B b, C c) {
  const Number x(a), y(b), z(c);
  return {std::fma(x.value, y.value, z.value), x.value * y.slope + y.value * x.slope + z.slope};
}
/// sqrt(a^2 + b^2)
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD Number hypot(A a, B b) {
  const Number x(a), y(b);
  const auto value = std::hypot(x.value, y.value);
  return {value, (x.value * x.slope + y.value * y.slope) / value};
}
/// The angle of (b, a).
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD Number atan2(A a, B b) {
  const Number y(a), x(b);
  return {std::atan2(y.value, x.value),
          (x.value * y.slope - y.value * x.slope) / (x.value * x.value + y.value * y.value)};
}
/// A factor whose slope is 0 is left out: `pow(s, 2)` has a slope where log(s) has no value.
template <class A, class B, class Number = MixedType<A, B>>
ATTEND_HD Number pow(A a, B b) {
  const Number base(a), exponent(b);
  const auto power = std::pow(base.value, exponent.value);
  auto slope = Number().slope;
  if (base.slope != 0)
    slope = slope + exponent.value * std::pow(base.value, exponent.value - 1) * base.slope;
  if (exponent.slope != 0) slope = slope + power * std::log(base.value) * exponent.slope;
  return {power, slope};
}

/// What a user's function is called with where no slope is asked for: what works with a dual number
/// works with it, the functions above among it.
template <class Real>
using Score = Dual<Real, NoSlope>;

}  // namespace attend::numbers

namespace attend {
using numbers::Dual;
using numbers::Score;
}  // namespace attend

#if !defined(__CUDACC_RTC__)  // which has no such template
namespace std {
/// Those of the value's type: `-std::numeric_limits<decltype(s)>::infinity()`.
template <class Real, class Slope>
struct numeric_limits<attend::numbers::Dual<Real, Slope>> : numeric_limits<Real> {
  using Limits = numeric_limits<Real>;                ///< of the value
  using Number = attend::numbers::Dual<Real, Slope>;  ///< whose limits these are
  /// As a constant.
  static constexpr Number min() noexcept { return Limits::min(); }
  /// As a constant.
  static constexpr Number max() noexcept { return Limits::max(); }
  /// As a constant.
  static constexpr Number lowest() noexcept { return Limits::lowest(); }
  /// As a constant.
  static constexpr Number epsilon() noexcept { return Limits::epsilon(); }
  /// As a constant.
  static constexpr Number infinity() noexcept { return Limits::infinity(); }
  /// As a constant.
  static constexpr Number quiet_NaN() noexcept { return Limits::quiet_NaN(); }
  /// As a constant.
  static constexpr Number denorm_min() noexcept { return Limits::denorm_min(); }
};
}  // namespace std
#endif
