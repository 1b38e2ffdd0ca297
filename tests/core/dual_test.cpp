#include "attend/core/dual.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "attend/core/functors.hpp"

namespace attend {
namespace {

/// A function of x and y whose derivative by x is taken by its dual number.
template <class Function>
void expect_slope(Function function, double x, const char* what) {
  constexpr double kStep = 1e-6;
  const Dual<double> dual = function(Dual<double>{x, 1});
  const double plain = static_cast<double>(function(Score<double>(x)));
  const double above = static_cast<double>(function(Score<double>(x + kStep)));
  const double below = static_cast<double>(function(Score<double>(x - kStep)));
  EXPECT_DOUBLE_EQ(dual.value, plain) << what;
  EXPECT_NEAR(dual.slope, (above - below) / (2 * kStep), 1e-7 * (1 + std::abs(dual.slope))) << what;
}

TEST(Dual, SlopesOfFunctions) {
  for (const double x : {0.3, 0.9, 2.7}) {
    expect_slope([](auto s) { return +s - (-s) + 2 - 1.5f; }, x, "sums");
    expect_slope([](auto s) { return 3 * s * s * 2.f; }, x, "products");
    expect_slope([](auto s) { return (1 + s) / (2 - s * s) + 1 / s + s / 3; }, x, "quotients");
    expect_slope([](auto s) { return exp(s) + exp2(s) + expm1(s); }, x, "exponentials");
    expect_slope([](auto s) { return log(s) + log2(s) + log10(s) + log1p(s); }, x, "logarithms");
    expect_slope([](auto s) { return sqrt(s) + cbrt(s) + pow(s, 3) + pow(2, s) + pow(s, s); }, x,
                 "powers");
    expect_slope([](auto s) { return sin(s) * cos(s) + tan(s / 2) + atan(s); }, x, "angles");
    expect_slope([](auto s) { return asin(s / 3) + 2 * acos(s / 4); }, x, "inverse angles");
    expect_slope([](auto s) { return sinh(s) + cosh(s) * tanh(s); }, x, "hyperbolic");
    expect_slope([](auto s) { return asinh(s) + acosh(1 + s) + atanh(s / 3); }, x, "inverse");
    expect_slope([](auto s) { return erf(s) * copysign(s, -1) + copysign(2, s); }, x, "errors");
    expect_slope([](auto s) { return erfc(s) * fdim(s, 0.5) + fdim(s, 2) + fdim(9, s); }, x,
                 "differences");
    expect_slope([](auto s) { return fma(s, 2, 3) * fma(2.f, s, s) + fma(2, 3, s * s); }, x,
                 "fused");
    expect_slope([](auto s) { return remainder(s, 2) * remainder(7, s); }, x, "remainders");
    expect_slope([](auto s) { return hypot(s, 2 * s) * atan2(1, s) + fmod(7, s); }, x, "two");
    expect_slope([](auto s) { return abs(-s) + fabs(s - 1) * s; }, x, "sizes");
    expect_slope([](auto s) { return max(s, 1) * min(2, s) + fmax(s, s * s) + fmin(s, 1.); }, x,
                 "extremes");
    expect_slope([](auto s) { return s + floor(s) + ceil(s) + round(s) + trunc(s); }, x, "steps");
    expect_slope([](auto s) { return s * rint(s) + nearbyint(s); }, x, "whole");
  }
}

TEST(Dual, AConstantFactorOfAnInfiniteValueHasASlope) {
  const Dual<float> infinite{std::numeric_limits<float>::infinity(), 1};
  EXPECT_EQ((infinite * 2).slope, 2);
  EXPECT_EQ((infinite / 2).slope, 0.5f);
  EXPECT_EQ(pow(Dual<float>{-2, 1}, 2).slope, -4);  // where log(-2) has no value
}

/// What a function makes of 2.5 at query 3 and key 4, which must be the same with a slope.
template <class Function>
float of_score(Function function) {
  const auto mod = score_mod(function);
  const float plain = mod(2.5f, Index{0, 0, 3, 4});
  EXPECT_FLOAT_EQ(mod(Dual<float>{2.5f, 1}, Index{0, 0, 3, 4}).value, plain);
  return plain;
}

/// Constants in a function with one type of results.
struct ConstantOrScore {
  template <class Number>
  Number operator()(Number s, Index at) const {
    if (at.j < 3) return 0;
    if (at.j < 4) return 0.5f;
    const Number half = 0.5f;
    Number sum = 1;
    sum = half;
    sum = 2;
    if (at.i > 7) return at.j < 9 ? s : 0.f;
    sum += s;
    sum *= 2;
    sum -= 0.5f;
    sum /= s;
    return sum;
  }
};

TEST(Score, StandsForANumberInFunctions) {
  EXPECT_FLOAT_EQ(of_score([](auto s, Index at) {
                    return 20.f * tanh(s / 20.f) - 0.1f * static_cast<float>(at.j - at.i);
                  }),
                  20 * std::tanh(0.125f) - 0.1f);
  EXPECT_EQ(of_score([](auto s, Index at) { return at.j > 3 ? s : 0; }), 2.5f);
  EXPECT_EQ(of_score([](auto s, Index at) { return at.j > 3 ? s : 0.f; }), 2.5f);
  EXPECT_EQ(of_score([](auto s, Index at) { return at.j > 7 ? -1e9f : s; }), 2.5f);
  EXPECT_EQ(of_score([](auto s, Index at) { return at.j > 7 ? 0.5 : s; }), 2.5f);
  EXPECT_EQ(of_score([](auto s, Index at) { return at.j > 3 ? s : s * 0; }), 2.5f);
  EXPECT_EQ(of_score([](auto s, Index at) { return s * 0.5 + 3 * std::abs(at.i - at.j); }), 4.25f);
  EXPECT_EQ(of_score(ConstantOrScore{}), 8.5f / 2.5f);
  EXPECT_EQ(of_score([](auto s, Index) {
              const bool all = s > 1.f && 2 < s && s >= 2.5f && s <= 3 && s != 0 && s == 2.5f &&
                               1. < s && s == s && !(s < s);
              return all ? s + 1 : s;
            }),
            3.5f);
  EXPECT_EQ(of_score([](auto s, Index) {
              using std::max;
              return max(s, decltype(s)(3)) + max(s, 1.f) + std::max<decltype(s)>(s, 0.f);
            }),
            8);
}

TEST(Dual, ExtremesPassOverNaNAsInCmath) {
  const Score<float> nan = std::numeric_limits<Score<float>>::quiet_NaN();
  EXPECT_EQ(fmax(nan, -30.f), -30);
  EXPECT_EQ(fmin(2.f, nan), 2);
  EXPECT_EQ(fmin(Dual<float>{3, 1}, 2).slope, 0);
}

TEST(Score, HasTheLimitsOfItsValue) {
  EXPECT_EQ(of_score([](auto s, Index) {
              return std::max(s, std::numeric_limits<decltype(s)>::lowest());
            }),
            2.5f);
  EXPECT_EQ(of_score([](auto s, Index at) {
              return at.j > 3 ? -std::numeric_limits<decltype(s)>::infinity() : s;
            }),
            -std::numeric_limits<float>::infinity());
  const auto kind = [](auto s) { return 4 * isnan(s) + 2 * isinf(s) + isfinite(s); };
  for (const float x : {0.f, -3e38f, 1e-45f}) EXPECT_EQ(kind(Score<float>(x)), 1) << x;
  for (const float sign : {1.f, -1.f})
    EXPECT_EQ(kind(Dual<float>(sign * std::numeric_limits<float>::infinity(), 1)), 2);
  EXPECT_EQ(kind(Score<float>(std::numeric_limits<float>::quiet_NaN())), 4);
  EXPECT_TRUE(signbit(Score<float>(-0.f)));
  EXPECT_FALSE(signbit(Dual<float>(2, -1)));
}

TEST(Score, FunctionsOfPlainNumbersWillDo) {
  const Index at{0, 0, 3, 4};
  EXPECT_EQ(score_mod([](float s, Index) { return std::max(s, 3.f); })(2.5f, at), 3);
  EXPECT_EQ(score_mod([](double s, Index) { return s + 1; })(2.5f, at), 3.5f);
  EXPECT_EQ(score_mod([](auto s, Index) {
              return std::fma(static_cast<float>(s), 2.f, static_cast<float>(static_cast<int>(s)));
            })(2.5f, at),
            7);
}

}  // namespace
}  // namespace attend
