// Inputs that break a careless softmax. (Poison in what is excluded, and around strided buffers, is
// in every case of the list.)
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace {

using Row = Eigen::Tensor<float, 4, Eigen::RowMajor>;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kLowest = std::numeric_limits<float>::lowest();

class Hostile : public ::testing::TestWithParam<bool> {
 protected:
  static constexpr int kQueries = 3, kKeys = 70, kDim = 4;

  Hostile() : q(1, 1, kQueries, kDim), k(1, 1, kKeys, kDim), v(1, 1, kKeys, kDim) {
    q.setRandom(), k.setRandom(), v.setRandom();
  }
  attend::Forward<float> run(const attend::Call<float>& call = {}) const {
    return attention.forward(q, k, v, call);
  }
  void expect_value_row(const attend::Forward<float>& r, int query, int key) const {
    for (int c = 0; c < kDim; ++c)
      EXPECT_EQ(r.out(0, 0, query, c), v(0, 0, key, c)) << "query " << query;
  }
  void expect_mean(const attend::Forward<float>& r, int query) const {
    for (int c = 0; c < kDim; ++c) {
      double mean = 0;
      for (int j = 0; j < kKeys; ++j) mean += v(0, 0, j, c) / double{kKeys};
      EXPECT_NEAR(r.out(0, 0, query, c), mean, 1e-6) << "query " << query;
    }
  }
  const attend::Attend<float> attention{{.flash = GetParam()}};
  Row q, k, v;
};
INSTANTIATE_TEST_SUITE_P(, Hostile, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "fused" : "math"; });

TEST_P(Hostile, VastLogits) {
  q.setZero(), k.setZero();
  for (int i = 0; i < kQueries; ++i) q(0, 0, i, 0) = 1e15f;
  for (int j = 0; j < kKeys; ++j) k(0, 0, j, 0) = j == 65 ? 1e15f : -1e15f;
  const auto r = run({.scale = 1});
  for (int i = 0; i < kQueries; ++i) {
    expect_value_row(r, i, 65);
    EXPECT_EQ(r.lse(0, 0, i), 1e15f * 1e15f);
  }
}

TEST_P(Hostile, VastNegativeLogits) {
  q.setZero(), k.setZero();
  for (int i = 0; i < kQueries; ++i) q(0, 0, i, 0) = 1e15f;
  for (int j = 0; j < kKeys; ++j) k(0, 0, j, 0) = -1e15f;
  const auto r = run({.scale = 1});
  for (int i = 0; i < kQueries; ++i) expect_mean(r, i);
  EXPECT_EQ(r.lse(0, 0, 0), -(1e15f * 1e15f));
}

// Subtract the maximum before any scaling that could overflow.
TEST_P(Hostile, RowsOfTheLowestFiniteBias) {
  Row bias(1, 1, kQueries, kKeys);
  bias.setConstant(kLowest);
  for (int j = 0; j < kKeys; ++j) bias(0, 0, 1, j) = 0;
  bias(0, 0, 2, 68) = 0;
  q.setZero();
  const auto r = run({.bias = bias});
  expect_mean(r, 0);
  expect_mean(r, 1);
  expect_value_row(r, 2, 68);
  EXPECT_EQ(r.lse(0, 0, 0), kLowest);
}

TEST_P(Hostile, GreatestFiniteBias) {
  Row bias(1, 1, 1, kKeys);
  bias.setConstant(kLowest);
  bias(0, 0, 0, 3) = -kLowest;
  q.setZero();
  const auto r = run({.bias = bias});
  expect_value_row(r, 0, 3);
  EXPECT_EQ(r.lse(0, 0, 0), -kLowest);
}

TEST_P(Hostile, MinusInfinityInTheBiasExcludes) {
  Row bias(1, 1, kQueries, kKeys);
  bias.setConstant(-kInfinity);
  bias(0, 0, 1, 69) = -3;
  for (int j = 0; j < kKeys; ++j) bias(0, 0, 2, j) = j == 7 ? -kInfinity : 0;
  for (int c = 0; c < kDim; ++c) k(0, 0, 7, c) = v(0, 0, 7, c) = kNan;
  const auto r = run({.bias = bias});
  for (int c = 0; c < kDim; ++c) EXPECT_EQ(r.out(0, 0, 0, c), 0);
  EXPECT_EQ(r.lse(0, 0, 0), -kInfinity);
  expect_value_row(r, 1, 69);
  for (int c = 0; c < kDim; ++c) EXPECT_TRUE(std::isfinite(r.out(0, 0, 2, c)));
}

// NaN that is allowed does come through, in the rows that see it and no others.
TEST_P(Hostile, NanInAnAllowedKeyComesThrough) {
  k(0, 0, 1, 0) = kNan;
  const auto r = run({.causal = attend::Causal::top_left});
  for (int c = 0; c < kDim; ++c) {
    EXPECT_TRUE(std::isfinite(r.out(0, 0, 0, c)));
    EXPECT_TRUE(std::isnan(r.out(0, 0, 1, c)));
    EXPECT_TRUE(std::isnan(r.out(0, 0, 2, c)));
  }
  EXPECT_TRUE(std::isfinite(r.lse(0, 0, 0)));
  EXPECT_TRUE(std::isnan(r.lse(0, 0, 2)));
}

TEST_P(Hostile, NanInAnAllowedValueStaysInItsColumn) {
  v(0, 0, 2, 3) = kNan;
  const auto r = run({.causal = attend::Causal::top_left});
  for (int i = 0; i < kQueries; ++i)
    for (int c = 0; c < kDim; ++c)
      EXPECT_EQ(std::isnan(r.out(0, 0, i, c)), i == 2 && c == 3) << i << " " << c;
}

TEST_P(Hostile, NanInAQueryWithKeysAndWithout) {
  for (int c = 0; c < kDim; ++c) q(0, 0, 0, c) = q(0, 0, 1, c) = kNan;
  const auto r = run({.causal = attend::Causal::offset(-1)});
  for (int c = 0; c < kDim; ++c) {
    EXPECT_EQ(r.out(0, 0, 0, c), 0);  // sees no key
    EXPECT_TRUE(std::isnan(r.out(0, 0, 1, c)));
    EXPECT_TRUE(std::isfinite(r.out(0, 0, 2, c)));
  }
}

// Logits that are all -inf by arithmetic are no empty row: IEEE's answer is NaN.
TEST_P(Hostile, InfiniteLogitsAreNoEmptyRow) {
  q.setConstant(1), k.setConstant(1);
  for (int j = 0; j < kKeys; ++j) k(0, 0, j, 0) = -kInfinity;
  const auto r = run();
  for (int c = 0; c < kDim; ++c) EXPECT_TRUE(std::isnan(r.out(0, 0, 0, c)));
  for (int j = 0; j < kKeys; ++j) k(0, 0, j, 0) = j == 66 ? kInfinity : 0;
  const auto s = run();
  for (int c = 0; c < kDim; ++c) EXPECT_TRUE(std::isnan(s.out(0, 0, 0, c)));
}

// A key that arithmetic gives -inf weighs nothing, as long as another is finite.
TEST_P(Hostile, OneInfiniteLogitAmongFiniteOnes) {
  q.setConstant(1), k.setConstant(1);
  k(0, 0, 5, 0) = -kInfinity;
  const auto r = run();
  for (int c = 0; c < kDim; ++c) EXPECT_TRUE(std::isfinite(r.out(0, 0, 0, c)));
}

TEST_P(Hostile, SinkMuchLargerAndMuchSmallerThanTheKeys) {
  Eigen::Tensor<float, 1, Eigen::RowMajor> sink(1);
  sink(0) = 1e30f;
  const auto large = run({.sink = sink});
  for (int c = 0; c < kDim; ++c) EXPECT_EQ(large.out(0, 0, 0, c), 0);
  EXPECT_EQ(large.lse(0, 0, 0), 1e30f);
  sink(0) = -1e30f;
  const auto small = run({.sink = sink}), none = run();
  for (int c = 0; c < kDim; ++c) EXPECT_EQ(small.out(0, 0, 0, c), none.out(0, 0, 0, c));
  EXPECT_EQ(small.lse(0, 0, 0), none.lse(0, 0, 0));
}

TEST_P(Hostile, SoftcapOfVastAndTinySize) {
  const auto none = run();
  const auto vast = run({.softcap = 1e30});
  for (int c = 0; c < kDim; ++c) EXPECT_NEAR(vast.out(0, 0, 0, c), none.out(0, 0, 0, c), 1e-5);
  const auto tiny = run({.softcap = 1e-30});
  expect_mean(tiny, 0);
}

TEST_P(Hostile, ScaleBeyondTheRangeOfScores) {
  q.setZero();
  for (const double scale : {1e39, -1e300}) expect_mean(run({.scale = scale}), 0);
}

TEST_P(Hostile, ScaleOverSoftcapBeyondTheRangeOfScores) {
  q.setZero();
  expect_mean(run({.scale = 3e38, .softcap = 1e-3}), 0);
}

// float16 holds 65504; scores are not stored in it.
// Whatever the logits are, the weights of a query's keys add up to 1: so the gradients of all
// values are, in all, those of all outputs. That holds only if the backward pass weighs by the same
// logits that it normalises by: of great ones the rounding is no small part of 1.
TEST_P(Hostile, GradientsOfGreatLogits) {
  constexpr int kWide = 64;
  for (const auto& [queries, keys] : {std::pair{30, 1}, std::pair{30, 150}}) {
    Row wide_q(1, 2, queries, kWide), wide_k(1, 2, keys, kWide), wide_v(1, 2, keys, kDim),
        grad_out(1, 2, queries, kDim);
    for (Row* tensor : {&wide_q, &wide_k, &wide_v, &grad_out}) {
      tensor->setRandom();
      *tensor = *tensor - 0.5f;
    }
    for (const double scale : {1e2, 1e3, -1e5, 1e7, -1e9, 1e12, 1e21, 1e30}) {
      SCOPED_TRACE(std::to_string(keys) + " keys, scale " + std::to_string(scale));
      const attend::Call<float> call{.scale = scale};
      const auto forward = attention.forward(wide_q, wide_k, wide_v, call);
      const auto gradients = attention.backward(grad_out, forward, wide_q, wide_k, wide_v, call);
      for (int h = 0; h < 2; ++h)
        for (int c = 0; c < kDim; ++c) {
          double expected = 0, sum = 0;
          for (int i = 0; i < queries; ++i) expected += grad_out(0, h, i, c);
          for (int j = 0; j < keys; ++j) sum += gradients.dv(0, h, j, c);
          EXPECT_NEAR(sum, expected, 1e-4) << "head " << h << ", column " << c;
        }
    }
  }
}

TEST(HostileHalf, ScoresBeyondTheRangeOfHalf) {
  using RowHalf = Eigen::Tensor<Eigen::half, 4, Eigen::RowMajor>;
  RowHalf q(1, 1, 1, 2), k(1, 1, 40, 2), v(1, 1, 40, 1);
  q.setConstant(Eigen::half(6e4f)), k.setConstant(Eigen::half(-6e4f));
  k(0, 0, 33, 1) = Eigen::half(6e4f);
  for (int j = 0; j < 40; ++j) v(0, 0, j, 0) = Eigen::half(static_cast<float>(j));
  for (const bool flash : {false, true}) {
    const attend::Attend<Eigen::half> attention{{.flash = flash}};
    const auto r = attention.forward(q, k, v);
    EXPECT_EQ(static_cast<float>(r.out(0, 0, 0, 0)), 33);
    EXPECT_EQ(r.lse(0, 0, 0), 0);
  }
}

}  // namespace
