#pragma once

#include <cmath>
#include <type_traits>

#include "config.hpp"
#include "elementary.hpp"

/// @file
/// A number together with its slope, so that a function that is evaluated on it comes with its
/// derivative (forward-mode differentiation; Clifford, 1873; Wengert, 1964).

namespace attend {

/// `value + slope * epsilon` with `epsilon^2 = 0`. Mixes with plain numbers, whose slope is 0;
/// comparisons look at the value. Functions as in cmath are found by argument-dependent lookup:
/// write `tanh(s)`, not `std::tanh(s)`.
template <class Real>
struct Dual {
  Real value = 0;  ///< of the expression
  Real slope = 0;  ///< of the expression by the variable that started with slope 1

  /// 0
  constexpr Dual() = default;
  /// A value and its slope.
  ATTEND_HD constexpr Dual(Real of_value, Real of_slope) : value(of_value), slope(of_slope) {}
  /// A constant.
  template <class Number>
  requires std::is_arithmetic_v<Number> ATTEND_HD constexpr Dual(
      Number constant)  // NOLINT(google-explicit-constructor)
      : value(static_cast<Real>(constant)) {}

  /// The number itself.
  ATTEND_HD friend constexpr Dual operator+(Dual a) { return a; }
  /// Negates value and slope.
  ATTEND_HD friend constexpr Dual operator-(Dual a) { return {-a.value, -a.slope}; }
  /// Sums add their slopes.
  ATTEND_HD friend constexpr Dual operator+(Dual a, Dual b) {
    return {a.value + b.value, a.slope + b.slope};
  }
  /// Differences subtract their slopes.
  ATTEND_HD friend constexpr Dual operator-(Dual a, Dual b) {
    return {a.value - b.value, a.slope - b.slope};
  }
  /// Product rule.
  ATTEND_HD friend constexpr Dual operator*(Dual a, Dual b) {
    return {a.value * b.value, a.slope * b.value + a.value * b.slope};
  }
  /// A constant factor scales the slope: no 0 * value, which is NaN of an infinite one.
  template <class Number>
  requires std::is_arithmetic_v<Number> ATTEND_HD friend constexpr Dual operator*(Dual a,
                                                                                  Number b) {
    return {a.value * static_cast<Real>(b), a.slope * static_cast<Real>(b)};
  }
  /// Likewise.
  template <class Number>
  requires std::is_arithmetic_v<Number> ATTEND_HD friend constexpr Dual operator*(Number a,
                                                                                  Dual b) {
    return b * a;
  }
  /// Quotient rule.
  ATTEND_HD friend constexpr Dual operator/(Dual a, Dual b) {
    const Real quotient = a.value / b.value;
    return {quotient, (a.slope - quotient * b.slope) / b.value};
  }
  /// By a constant.
  template <class Number>
  requires std::is_arithmetic_v<Number> ATTEND_HD friend constexpr Dual operator/(Dual a,
                                                                                  Number b) {
    return {a.value / static_cast<Real>(b), a.slope / static_cast<Real>(b)};
  }
  /// In place.
  ATTEND_HD constexpr Dual& operator+=(Dual b) { return *this = *this + b; }
  /// In place.
  ATTEND_HD constexpr Dual& operator-=(Dual b) { return *this = *this - b; }
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

  /// By value.
  ATTEND_HD friend constexpr bool operator==(Dual a, Dual b) { return a.value == b.value; }
  /// By value.
  ATTEND_HD friend constexpr bool operator!=(Dual a, Dual b) { return a.value != b.value; }
  /// By value.
  ATTEND_HD friend constexpr bool operator<(Dual a, Dual b) { return a.value < b.value; }
  /// By value.
  ATTEND_HD friend constexpr bool operator<=(Dual a, Dual b) { return a.value <= b.value; }
  /// By value.
  ATTEND_HD friend constexpr bool operator>(Dual a, Dual b) { return a.value > b.value; }
  /// By value.
  ATTEND_HD friend constexpr bool operator>=(Dual a, Dual b) { return a.value >= b.value; }

  /// The lesser with its slope; the first where they are equal.
  ATTEND_HD friend constexpr Dual min(Dual a, Dual b) { return b < a ? b : a; }
  /// The greater with its slope; the first where they are equal.
  ATTEND_HD friend constexpr Dual max(Dual a, Dual b) { return a < b ? b : a; }
  /// As min.
  ATTEND_HD friend constexpr Dual fmin(Dual a, Dual b) { return min(a, b); }
  /// As max.
  ATTEND_HD friend constexpr Dual fmax(Dual a, Dual b) { return max(a, b); }
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

  /// Derivative: exp.
  ATTEND_HD friend Dual exp(Dual a) { return elementary::exp(a); }
  /// Derivative: 2^x ln 2.
  ATTEND_HD friend Dual exp2(Dual a) {
    const Real value = std::exp2(a.value);
    return {value, value * static_cast<Real>(0.693147180559945309) * a.slope};
  }
  /// Derivative: exp.
  ATTEND_HD friend Dual expm1(Dual a) { return {std::expm1(a.value), std::exp(a.value) * a.slope}; }
  /// Derivative: 1 / x.
  ATTEND_HD friend Dual log(Dual a) { return {std::log(a.value), a.slope / a.value}; }
  /// Derivative: 1 / (x ln 2).
  ATTEND_HD friend Dual log2(Dual a) {
    return {std::log2(a.value), a.slope / (a.value * static_cast<Real>(0.693147180559945309))};
  }
  /// Derivative: 1 / (1 + x).
  ATTEND_HD friend Dual log1p(Dual a) { return {std::log1p(a.value), a.slope / (1 + a.value)}; }
  /// Derivative: 1 / (2 sqrt(x)).
  ATTEND_HD friend Dual sqrt(Dual a) {
    const Real value = std::sqrt(a.value);
    return {value, a.slope / (2 * value)};
  }
  /// A factor whose slope is 0 is left out: `pow(s, 2)` has a slope where log(s) has no value.
  ATTEND_HD friend Dual pow(Dual base, Dual exponent) {
    Dual power{std::pow(base.value, exponent.value), 0};
    if (base.slope != 0)
      power.slope += exponent.value * std::pow(base.value, exponent.value - 1) * base.slope;
    if (exponent.slope != 0) power.slope += power.value * std::log(base.value) * exponent.slope;
    return power;
  }
  /// Derivative: cos.
  ATTEND_HD friend Dual sin(Dual a) { return {std::sin(a.value), std::cos(a.value) * a.slope}; }
  /// Derivative: -sin.
  ATTEND_HD friend Dual cos(Dual a) { return {std::cos(a.value), -std::sin(a.value) * a.slope}; }
  /// Derivative: 1 + tan^2.
  ATTEND_HD friend Dual tan(Dual a) {
    const Real value = std::tan(a.value);
    return {value, (1 + value * value) * a.slope};
  }
  /// Derivative: 1 / (1 + x^2).
  ATTEND_HD friend Dual atan(Dual a) {
    return {std::atan(a.value), a.slope / (1 + a.value * a.value)};
  }
  /// Derivative: cosh.
  ATTEND_HD friend Dual sinh(Dual a) { return {std::sinh(a.value), std::cosh(a.value) * a.slope}; }
  /// Derivative: sinh.
  ATTEND_HD friend Dual cosh(Dual a) { return {std::cosh(a.value), std::sinh(a.value) * a.slope}; }
  /// Derivative: 1 - tanh^2.
  ATTEND_HD friend Dual tanh(Dual a) { return elementary::tanh(a); }
  /// Derivative: 2 / sqrt(pi) exp(-x^2).
  ATTEND_HD friend Dual erf(Dual a) {
    constexpr Real kTwoOverRootPi = static_cast<Real>(1.12837916709551257);
    return {std::erf(a.value), kTwoOverRootPi * std::exp(-a.value * a.value) * a.slope};
  }
};

}  // namespace attend
