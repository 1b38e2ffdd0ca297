// Inputs that break a careless softmax, for a place of computation: a path, on the host or on a
// device. (Poison in what is excluded, and around strided buffers, is in every case of the list.)
#pragma once

#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace hostile {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kLowest = std::numeric_limits<float>::lowest();

/// What a call is asked for; tensors lie on the host.
struct Asked {
  std::optional<double> scale = {};
  double softcap = 0;
  const attend::Tensor<float, 4>* bias = nullptr;
  const attend::Tensor<float, 1>* sink = nullptr;
  attend::Causal causal = {};
  attend::EmptyRow empty_row = attend::EmptyRow::zero;
};

/// What a call gives, on the host.
template <class T>
struct Answer {
  attend::Tensor<T, 4> out;
  attend::Tensor<float, 3> lse;
};

/// `Place` says of which elements (`T`) and head dim (`kDim`), whether it is `available()`, and
/// computes: `forward(q, k, v, asked)`, and `values_gradient(grad_out, q, k, v, asked)`.
template <class Place>
class Hostile : public ::testing::Test {
 protected:
  using T = typename Place::T;
  using Four = attend::Tensor<T, 4>;
  static constexpr int kQueries = 3, kKeys = 70, kDim = Place::kDim;
  /// Of numbers up to 1.
  static constexpr double kTolerance = sizeof(T) == 4 ? 1e-6 : 1e-2;

  Hostile() : q(1, 1, kQueries, kDim), k(1, 1, kKeys, kDim), v(1, 1, kKeys, kDim) {
    q.setRandom(), k.setRandom(), v.setRandom();
  }
  void SetUp() override {
    if (!Place::available()) GTEST_SKIP() << "not on this device";
  }
  Answer<T> run(const Asked& asked = {}) const { return Place::forward(q, k, v, asked); }
  static double at(const Answer<T>& r, int query, int column) {
    return static_cast<double>(r.out(0, 0, query, column));
  }
  void expect_value_row(const Answer<T>& r, int query, int key) const {
    for (int c = 0; c < kDim; ++c)
      EXPECT_EQ(at(r, query, c), static_cast<double>(v(0, 0, key, c))) << "query " << query;
  }
  void expect_mean(const Answer<T>& r, int query) const {
    for (int c = 0; c < kDim; ++c) {
      double mean = 0;
      for (int j = 0; j < kKeys; ++j) mean += static_cast<double>(v(0, 0, j, c)) / kKeys;
      EXPECT_NEAR(at(r, query, c), mean, kTolerance) << "query " << query;
    }
  }
  Four q, k, v;
};
TYPED_TEST_SUITE_P(Hostile);

TYPED_TEST_P(Hostile, VastLogits) {
  using T = typename TypeParam::T;
  auto &q = this->q, &k = this->k;
  const T vast(1e15f);
  q.setZero(), k.setZero();
  for (int i = 0; i < this->kQueries; ++i) q(0, 0, i, 0) = vast;
  for (int j = 0; j < this->kKeys; ++j) k(0, 0, j, 0) = j == 65 ? vast : -vast;
  const auto r = this->run({.scale = 1});
  for (int i = 0; i < this->kQueries; ++i) {
    this->expect_value_row(r, i, 65);
    EXPECT_EQ(r.lse(0, 0, i), static_cast<float>(vast) * static_cast<float>(vast));
  }
}

TYPED_TEST_P(Hostile, VastNegativeLogits) {
  using T = typename TypeParam::T;
  auto &q = this->q, &k = this->k;
  const T vast(1e15f);
  q.setZero(), k.setZero();
  for (int i = 0; i < this->kQueries; ++i) q(0, 0, i, 0) = vast;
  for (int j = 0; j < this->kKeys; ++j) k(0, 0, j, 0) = -vast;
  const auto r = this->run({.scale = 1});
  for (int i = 0; i < this->kQueries; ++i) this->expect_mean(r, i);
  EXPECT_EQ(r.lse(0, 0, 0), -(static_cast<float>(vast) * static_cast<float>(vast)));
}

// Subtract the maximum before any scaling that could overflow.
TYPED_TEST_P(Hostile, RowsOfTheLowestFiniteBias) {
  attend::Tensor<float, 4> bias(1, 1, this->kQueries, this->kKeys);
  bias.setConstant(kLowest);
  for (int j = 0; j < this->kKeys; ++j) bias(0, 0, 1, j) = 0;
  bias(0, 0, 2, 68) = 0;
  this->q.setZero();
  const auto r = this->run({.bias = &bias});
  this->expect_mean(r, 0);
  this->expect_mean(r, 1);
  this->expect_value_row(r, 2, 68);
  EXPECT_EQ(r.lse(0, 0, 0), kLowest);
}

TYPED_TEST_P(Hostile, GreatestFiniteBias) {
  attend::Tensor<float, 4> bias(1, 1, 1, this->kKeys);
  bias.setConstant(kLowest);
  bias(0, 0, 0, 3) = -kLowest;
  this->q.setZero();
  const auto r = this->run({.bias = &bias});
  this->expect_value_row(r, 0, 3);
  EXPECT_EQ(r.lse(0, 0, 0), -kLowest);
}

TYPED_TEST_P(Hostile, MinusInfinityInTheBiasExcludes) {
  using T = typename TypeParam::T;
  attend::Tensor<float, 4> bias(1, 1, this->kQueries, this->kKeys);
  bias.setConstant(-kInfinity);
  bias(0, 0, 1, 69) = -3;
  for (int j = 0; j < this->kKeys; ++j) bias(0, 0, 2, j) = j == 7 ? -kInfinity : 0;
  for (int c = 0; c < this->kDim; ++c) this->k(0, 0, 7, c) = this->v(0, 0, 7, c) = T(kNan);
  const auto r = this->run({.bias = &bias});
  for (int c = 0; c < this->kDim; ++c) EXPECT_EQ(this->at(r, 0, c), 0);
  EXPECT_EQ(r.lse(0, 0, 0), -kInfinity);
  this->expect_value_row(r, 1, 69);
  for (int c = 0; c < this->kDim; ++c) EXPECT_TRUE(std::isfinite(this->at(r, 2, c)));
}

// NaN that is allowed does come through, in the rows that see it and no others.
TYPED_TEST_P(Hostile, NanInAnAllowedKeyComesThrough) {
  using T = typename TypeParam::T;
  this->k(0, 0, 1, 0) = T(kNan);
  const auto r = this->run({.causal = attend::Causal::top_left});
  for (int c = 0; c < this->kDim; ++c) {
    EXPECT_TRUE(std::isfinite(this->at(r, 0, c)));
    EXPECT_TRUE(std::isnan(this->at(r, 1, c)));
    EXPECT_TRUE(std::isnan(this->at(r, 2, c)));
  }
  EXPECT_TRUE(std::isfinite(r.lse(0, 0, 0)));
  EXPECT_TRUE(std::isnan(r.lse(0, 0, 2)));
}

TYPED_TEST_P(Hostile, NanInAnAllowedValueStaysInItsColumn) {
  using T = typename TypeParam::T;
  this->v(0, 0, 2, 3) = T(kNan);
  const auto r = this->run({.causal = attend::Causal::top_left});
  for (int i = 0; i < this->kQueries; ++i)
    for (int c = 0; c < this->kDim; ++c)
      EXPECT_EQ(std::isnan(this->at(r, i, c)), i == 2 && c == 3) << i << " " << c;
}

// Sums of values that are not yet divided by the sum of weights are beyond the range of floats.
TYPED_TEST_P(Hostile, GreatValuesHaveAMeanWhateverTheirSum) {
  using T = typename TypeParam::T;
  constexpr int kDim = TestFixture::kDim;
  constexpr float kGreat = 1e38f;
  for (const auto& [queries, keys] : {std::pair{1, 50}, {9, 50}, {70, 50}, {2, 2500}}) {
    SCOPED_TRACE(std::to_string(queries) + " queries, " + std::to_string(keys) + " keys");
    attend::Tensor<T, 4> q(1, 1, queries, kDim), k(1, 1, keys, kDim), v(1, 1, keys, kDim);
    q.setZero(), k.setRandom(), v.setConstant(T(kGreat));
    const auto expect_mean = [&](const Answer<T>& r) {
      for (Eigen::Index n = 0; n < r.out.size(); ++n)
        EXPECT_NEAR(static_cast<double>(r.out.data()[n]) / kGreat, 1, 1e-2);
    };
    expect_mean(TypeParam::forward(q, k, v, {}));
    expect_mean(TypeParam::forward(
        q, k, v,
        {.causal = attend::Causal::offset(-queries), .empty_row = attend::EmptyRow::uniform}));
    // A value that is not finite stays in its column all the same.
    v(0, 0, 7, 1) = T(kInfinity);
    const Answer<T> beside = TypeParam::forward(q, k, v, {});
    for (int i = 0; i < queries; ++i) {
      EXPECT_NEAR(static_cast<double>(beside.out(0, 0, i, 0)) / kGreat, 1, 1e-2);
      EXPECT_EQ(static_cast<float>(beside.out(0, 0, i, 1)), kInfinity);
    }
  }
}

// What makes room for great values takes none from small ones, nor from small weights.
TYPED_TEST_P(Hostile, SmallValuesAndAnInfiniteOneOfSmallWeight) {
  using T = typename TypeParam::T;
  attend::Tensor<float, 4> bias(1, 1, 1, this->kKeys);
  bias.setZero();
  bias(0, 0, 0, 3) = -80;
  this->q.setZero(), this->v.setConstant(T(1e-33f));
  this->v(0, 0, 3, 1) = T(kInfinity);
  const auto r = this->run({.bias = &bias});
  for (int i = 0; i < this->kQueries; ++i) {
    EXPECT_NEAR(this->at(r, i, 0) / 1e-33, 1, 1e-2);
    EXPECT_EQ(this->at(r, i, 1), kInfinity);
  }
}

TYPED_TEST_P(Hostile, NanInAQueryWithKeysAndWithout) {
  using T = typename TypeParam::T;
  for (int c = 0; c < this->kDim; ++c) this->q(0, 0, 0, c) = this->q(0, 0, 1, c) = T(kNan);
  const auto r = this->run({.causal = attend::Causal::offset(-1)});
  for (int c = 0; c < this->kDim; ++c) {
    EXPECT_EQ(this->at(r, 0, c), 0);  // sees no key
    EXPECT_TRUE(std::isnan(this->at(r, 1, c)));
    EXPECT_TRUE(std::isfinite(this->at(r, 2, c)));
  }
}

// Logits that are all -inf by arithmetic are no empty row: IEEE's answer is NaN.
TYPED_TEST_P(Hostile, InfiniteLogitsAreNoEmptyRow) {
  using T = typename TypeParam::T;
  this->q.setConstant(T(1)), this->k.setConstant(T(1));
  for (int j = 0; j < this->kKeys; ++j) this->k(0, 0, j, 0) = T(-kInfinity);
  const auto r = this->run();
  for (int c = 0; c < this->kDim; ++c) EXPECT_TRUE(std::isnan(this->at(r, 0, c)));
  for (int j = 0; j < this->kKeys; ++j) this->k(0, 0, j, 0) = T(j == 66 ? kInfinity : 0);
  const auto s = this->run();
  for (int c = 0; c < this->kDim; ++c) EXPECT_TRUE(std::isnan(this->at(s, 0, c)));
}

// So are those that are finite dot products times a scale.
TYPED_TEST_P(Hostile, LogitsThatTheScaleMakesInfinite) {
  using T = typename TypeParam::T;
  this->q.setConstant(T(1)), this->k.setConstant(T(1));
  const auto r = this->run({.scale = 1e38});  // dot products are 4
  EXPECT_EQ(r.lse(0, 0, 0) < kInfinity, false);
  for (int c = 0; c < this->kDim; ++c) EXPECT_TRUE(std::isnan(this->at(r, 0, c)));
}

// A key that arithmetic gives -inf weighs nothing, as long as another is finite.
TYPED_TEST_P(Hostile, OneInfiniteLogitAmongFiniteOnes) {
  using T = typename TypeParam::T;
  this->q.setConstant(T(1)), this->k.setConstant(T(1));
  this->k(0, 0, 5, 0) = T(-kInfinity);
  const auto r = this->run();
  for (int c = 0; c < this->kDim; ++c) EXPECT_TRUE(std::isfinite(this->at(r, 0, c)));
}

// Nor has it gradients, whatever is computed for queries that there are not.
TYPED_TEST_P(Hostile, InfiniteKeyHasNoGradient) {
  using T = typename TypeParam::T;
  for (const int queries : {1, 15, 33, 90}) {
    SCOPED_TRACE(testing::Message() << queries << " queries");
    attend::Tensor<T, 4> q(1, 1, queries, 8), k(1, 1, 200, 8), v(1, 1, 200, 8),
        grad_out(1, 1, queries, 8);
    q.setConstant(T(-0.5f)), k.setConstant(T(0.25f)), v.setConstant(T(1)),
        grad_out.setConstant(T(1));
    k(0, 0, 7, 3) = T(kInfinity);
    const auto dv = TypeParam::values_gradient(grad_out, q, k, v, {});
    for (int j = 0; j < 200; ++j)
      for (int c = 0; c < 8; ++c)
        ASSERT_NEAR(static_cast<double>(dv(0, 0, j, c)), j == 7 ? 0. : queries / 199., 1e-2)
            << j << " " << c;
  }
}

TYPED_TEST_P(Hostile, SinkMuchLargerAndMuchSmallerThanTheKeys) {
  attend::Tensor<float, 1> sink(1);
  sink(0) = 1e30f;
  const auto large = this->run({.sink = &sink});
  for (int c = 0; c < this->kDim; ++c) EXPECT_EQ(this->at(large, 0, c), 0);
  EXPECT_EQ(large.lse(0, 0, 0), 1e30f);
  sink(0) = -1e30f;
  const auto small = this->run({.sink = &sink}), none = this->run();
  for (int c = 0; c < this->kDim; ++c)
    EXPECT_NEAR(this->at(small, 0, c), this->at(none, 0, c), this->kTolerance);
  EXPECT_NEAR(small.lse(0, 0, 0), none.lse(0, 0, 0), 1e-5);
}

// Query 0 has no keys: its output is 0, whatever the sink. Beside an infinitely great sink keys
// weigh nothing.
TYPED_TEST_P(Hostile, SinkThatIsNotFinite) {
  using T = typename TypeParam::T;
  constexpr int kDim = TestFixture::kDim, kQueries = 3;
  attend::Tensor<float, 1> sink(1);
  for (const int keys : {70, 2050})
    for (const float logit : {kNan, kInfinity}) {
      SCOPED_TRACE("sink " + std::to_string(logit) + ", " + std::to_string(keys) + " keys");
      attend::Tensor<T, 4> q(1, 1, kQueries, kDim), k(1, 1, keys, kDim), v(1, 1, keys, kDim);
      q.setRandom(), k.setRandom(), v.setRandom();
      sink(0) = logit;
      const Answer<T> r =
          TypeParam::forward(q, k, v, {.sink = &sink, .causal = attend::Causal::offset(-1)});
      const auto expect = [&](double x, double expected) {
        EXPECT_TRUE(x == expected || (std::isnan(x) && std::isnan(expected))) << x;
      };
      for (int i = 0; i < kQueries; ++i) expect(r.lse(0, 0, i), logit);
      for (int c = 0; c < kDim; ++c) {
        expect(this->at(r, 0, c), 0);
        expect(this->at(r, 1, c), std::isnan(logit) ? kNan : 0);
      }
    }
}

TYPED_TEST_P(Hostile, SoftcapOfVastAndTinySize) {
  const auto none = this->run();
  const auto vast = this->run({.softcap = 1e30});
  for (int c = 0; c < this->kDim; ++c)
    EXPECT_NEAR(this->at(vast, 0, c), this->at(none, 0, c), 10 * this->kTolerance);
  this->expect_mean(this->run({.softcap = 1e-30}), 0);
}

TYPED_TEST_P(Hostile, ScaleBeyondTheRangeOfScores) {
  this->q.setZero();
  for (const double scale : {1e39, -1e300}) this->expect_mean(this->run({.scale = scale}), 0);
}

TYPED_TEST_P(Hostile, ScaleOverSoftcapBeyondTheRangeOfScores) {
  this->q.setZero();
  this->expect_mean(this->run({.scale = 3e38, .softcap = 1e-3}), 0);
}

// Whatever the logits are, the weights of a query's keys add up to 1: so the gradients of all
// values are, in all, those of all outputs. That holds only if the backward pass weighs by the same
// logits that it normalises by: of great ones the rounding is no small part of 1.
TYPED_TEST_P(Hostile, GradientsOfGreatLogits) {
  using T = typename TypeParam::T;
  constexpr int kWide = 64, kDim = 4;
  for (const auto& [queries, keys] : {std::pair{30, 1}, std::pair{30, 150}}) {
    attend::Tensor<T, 4> q(1, 2, queries, kWide), k(1, 2, keys, kWide), v(1, 2, keys, kDim),
        grad_out(1, 2, queries, kDim);
    for (attend::Tensor<T, 4>* tensor : {&q, &k, &v, &grad_out}) {
      tensor->setRandom();
      *tensor = *tensor - T(0.5f);
    }
    for (const double scale : {1e2, 1e3, -1e5, 1e7, -1e9, 1e12, 1e21, 1e30}) {
      SCOPED_TRACE(std::to_string(keys) + " keys, scale " + std::to_string(scale));
      const auto dv = TypeParam::values_gradient(grad_out, q, k, v, {.scale = scale});
      for (int h = 0; h < 2; ++h)
        for (int c = 0; c < kDim; ++c) {
          double expected = 0, sum = 0;
          for (int i = 0; i < queries; ++i) expected += static_cast<double>(grad_out(0, h, i, c));
          for (int j = 0; j < keys; ++j) sum += static_cast<double>(dv(0, h, j, c));
          EXPECT_NEAR(sum, expected, sizeof(T) == 4 ? 1e-4 : 0.1)
              << "head " << h << ", column " << c;
        }
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(Hostile, VastLogits, VastNegativeLogits, RowsOfTheLowestFiniteBias,
                            GreatestFiniteBias, MinusInfinityInTheBiasExcludes,
                            NanInAnAllowedKeyComesThrough, NanInAnAllowedValueStaysInItsColumn,
                            GreatValuesHaveAMeanWhateverTheirSum,
                            SmallValuesAndAnInfiniteOneOfSmallWeight, NanInAQueryWithKeysAndWithout,
                            InfiniteLogitsAreNoEmptyRow, LogitsThatTheScaleMakesInfinite,
                            OneInfiniteLogitAmongFiniteOnes, InfiniteKeyHasNoGradient,
                            SinkMuchLargerAndMuchSmallerThanTheKeys, SinkThatIsNotFinite,
                            SoftcapOfVastAndTinySize, ScaleBeyondTheRangeOfScores,
                            ScaleOverSoftcapBeyondTheRangeOfScores, GradientsOfGreatLogits);

}  // namespace hostile
