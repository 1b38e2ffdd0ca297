#include "attend/core/elementary.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "attend/core/dual.hpp"

namespace attend {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Error in units in the last place of the exact result.
double units(float result, double exact) {
  const float nearest = static_cast<float>(exact);
  const double unit = double{std::nextafter(std::abs(nearest), kInfinity)} - std::abs(nearest);
  return std::abs(result - exact) / unit;
}

TEST(Elementary, ExpIsWithinTwoUnits) {
  for (int n = -87000; n <= 88700; ++n) {
    const float x = static_cast<float>(n) * 1e-3f;
    ASSERT_LE(units(elementary::exp(x), std::exp(double{x})), 2) << x;
  }
  for (float x = 1e-20f; x < 1; x *= 1.01f) {
    ASSERT_LE(units(elementary::exp(x), std::exp(double{x})), 2) << x;
    ASSERT_LE(units(elementary::exp(-x), std::exp(-double{x})), 2) << -x;
  }
}

TEST(Elementary, ExpAtTheEnds) {
  EXPECT_EQ(elementary::exp(0.f), 1);
  EXPECT_EQ(elementary::exp(-kInfinity), 0);
  EXPECT_EQ(elementary::exp(-1e30f), 0);
  EXPECT_EQ(elementary::exp(kInfinity), kInfinity);
  EXPECT_EQ(elementary::exp(89.f), kInfinity);
  EXPECT_EQ(elementary::exp(std::numeric_limits<float>::max()), kInfinity);
  EXPECT_TRUE(std::isnan(elementary::exp(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_NEAR(elementary::exp(-100.f), std::exp(-100.), 2e-45);  // subnormal
}

TEST(Elementary, TanhIsWithinThreeUnits) {
  for (float x = 1e-30f; x < 100; x *= 1.0003f) {
    ASSERT_LE(units(elementary::tanh(x), std::tanh(double{x})), 3) << x;
    ASSERT_EQ(elementary::tanh(-x), -elementary::tanh(x)) << x;
  }
}

TEST(Elementary, TanhAtTheEnds) {
  EXPECT_EQ(elementary::tanh(0.f), 0);
  EXPECT_EQ(elementary::tanh(kInfinity), 1);
  EXPECT_EQ(elementary::tanh(-kInfinity), -1);
  EXPECT_EQ(elementary::tanh(-std::numeric_limits<float>::max()), -1);
  EXPECT_TRUE(std::isnan(elementary::tanh(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Elementary, Derivatives) {
  for (const double x : {-3., -0.4, 0., 0.2, 1.5}) {
    const Dual<double> e = elementary::exp(Dual<double>{x, 2}),
                       t = elementary::tanh(Dual<double>{x, 2});
    EXPECT_DOUBLE_EQ(e.value, std::exp(x));
    EXPECT_DOUBLE_EQ(e.slope, 2 * std::exp(x));
    EXPECT_DOUBLE_EQ(t.value, std::tanh(x));
    EXPECT_DOUBLE_EQ(t.slope, 2 * (1 - std::tanh(x) * std::tanh(x)));
    const Dual<float> single = tanh(Dual<float>{static_cast<float>(x), 1});
    EXPECT_NEAR(single.slope, t.slope / 2, 1e-6);
  }
}

}  // namespace
}  // namespace attend
