#include <gtest/gtest.h>

#include <attend/core/softmax_state.hpp>
#include <cmath>
#include <limits>

namespace {

using State = attend::SoftmaxState<double>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(SoftmaxState, LogSumExp) {
  const State state = State{}.with(1).with(3).with(-2);
  EXPECT_DOUBLE_EQ(state.lse(), std::log(std::exp(1.) + std::exp(3.) + std::exp(-2.)));
}

TEST(SoftmaxState, EmptyIsNeutral) {
  const State state = State{}.with(5).with(6);
  EXPECT_EQ(State{}.lse(), -kInfinity);
  EXPECT_EQ(State{}.merged({}).lse(), -kInfinity);
  EXPECT_EQ(State{}.merged(state).lse(), state.lse());
  EXPECT_EQ(state.merged({}).lse(), state.lse());
}

TEST(SoftmaxState, MergesInAnyGrouping) {
  const State a = State{}.with(1).with(9), b = State{}.with(-4), c = State{}.with(9.5).with(2);
  EXPECT_DOUBLE_EQ(a.merged(b).merged(c).lse(), a.merged(b.merged(c)).lse());
  EXPECT_DOUBLE_EQ(a.merged(c).lse(), c.merged(a).lse());
}

TEST(SoftmaxState, VastLogits) {
  EXPECT_EQ(State{}.with(1e300).with(-1e300).lse(), 1e300);
  EXPECT_DOUBLE_EQ(State{}.with(1e300).with(1e300).sum, 2);
  const double lowest = std::numeric_limits<double>::lowest();
  EXPECT_EQ(State{}.with(lowest).with(lowest).sum, 2);
  EXPECT_EQ(State{}.with(lowest).with(1).lse(), 1);
}

TEST(SoftmaxState, NanStays) {
  const double nan = std::nan("");
  EXPECT_TRUE(std::isnan(State{}.with(nan).with(1).lse()));
  EXPECT_TRUE(std::isnan(State{}.with(1).with(nan).lse()));
  EXPECT_TRUE(std::isnan(State{}.merged(State{}.with(nan)).lse()));
}

}  // namespace
