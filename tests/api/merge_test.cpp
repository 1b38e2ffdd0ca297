#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cmath>
#include <limits>

namespace {

using Row = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using attend::Forward;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class Merge : public ::testing::Test {
 protected:
  Merge() : q(2, 4, 5, 8), k(2, 2, 12, 8), v(2, 2, 12, 6) {
    q.setRandom(), k.setRandom(), v.setRandom();
  }
  Forward<float> part(int begin, int end) const {
    const attend::Offsets<4> from{0, 0, begin, 0};
    const Row ks = k.slice(from, attend::Extents<4>{2, 2, end - begin, 8});
    const Row vs = v.slice(from, attend::Extents<4>{2, 2, end - begin, 6});
    return attention.forward(q, ks, vs);
  }
  static void expect_near(const Forward<float>& a, const Forward<float>& b, float within) {
    ASSERT_EQ(a.out.dimensions(), b.out.dimensions());
    for (Eigen::Index n = 0; n < a.out.size(); ++n)
      EXPECT_NEAR(a.out.data()[n], b.out.data()[n], within);
    for (Eigen::Index n = 0; n < a.lse.size(); ++n)
      EXPECT_NEAR(a.lse.data()[n], b.lse.data()[n], within);
  }
  const attend::Attend<float> attention{{.flash = true}};
  Row q, k, v;
};

TEST_F(Merge, HalvesGiveTheWhole) {
  expect_near(attend::merge(part(0, 5), part(5, 12)), part(0, 12), 1e-6f);
  expect_near(attend::merge(attend::merge(part(0, 3), part(3, 4)), part(4, 12)), part(0, 12),
              1e-6f);
}

TEST_F(Merge, EmptiesAreNeutral) {
  const Forward<float> none = part(0, 0), whole = part(0, 12);
  EXPECT_EQ(none.lse(1, 3, 4), -kInfinity);
  expect_near(attend::merge(none, whole), whole, 0);
  expect_near(attend::merge(whole, none), whole, 0);
  const Forward<float> both = attend::merge(none, none);
  for (Eigen::Index n = 0; n < both.out.size(); ++n) EXPECT_EQ(both.out.data()[n], 0);
  EXPECT_EQ(both.lse(0, 0, 0), -kInfinity);
}

TEST_F(Merge, WhatLiesInAnEmptyRowIsNotRead) {
  Forward<float> none = part(0, 0);
  none.out.setConstant(std::numeric_limits<float>::quiet_NaN());
  expect_near(attend::merge(none, part(0, 12)), part(0, 12), 0);
  expect_near(attend::merge(part(0, 12), none), part(0, 12), 0);
}

TEST_F(Merge, FarApart) {
  Forward<float> low = part(0, 5), high = part(5, 12);
  low.lse.setConstant(-1e30f);
  expect_near(attend::merge(low, high), high, 0);
  high.lse.setConstant(1e30f);
  const Forward<float> merged = attend::merge(low, high);
  EXPECT_EQ(merged.out(0, 0, 0, 0), high.out(0, 0, 0, 0));
  EXPECT_EQ(merged.lse(0, 0, 0), 1e30f);
}

// exp(lse1 - lse) and exp(lse2 - lse) would not add up to 1 where the last digit of a log-sum-exp
// is worth more than log(2).
TEST_F(Merge, GreatLogSumExps) {
  Forward<float> one = part(0, 5), other = part(0, 5);
  for (const float lse : {1e3f, 1e7f, -1e30f, std::numeric_limits<float>::lowest()}) {
    one.lse.setConstant(lse), other.lse.setConstant(lse);
    const Forward<float> merged = attend::merge(one, other);
    for (Eigen::Index n = 0; n < merged.out.size(); ++n)
      EXPECT_EQ(merged.out.data()[n], one.out.data()[n]);
    const auto g = attend::merge_backward<float>(one.out, merged, one, other);
    for (Eigen::Index n = 0; n < merged.out.size(); ++n)
      EXPECT_EQ(g.grad_out1.data()[n], one.out.data()[n] / 2);
  }
}

TEST_F(Merge, WrongShapes) {
  const Forward<float> a = part(0, 5);
  Forward<float> b = a;
  b.out = Row(2, 4, 5, 7);
  EXPECT_THROW(attend::merge(a, b), attend::shape_error);
  b = a;
  b.lse.resize(2, 4, 6);
  EXPECT_THROW(attend::merge(a, b), attend::shape_error);
}

}  // namespace
