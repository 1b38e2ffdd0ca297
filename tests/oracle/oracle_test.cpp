#include "support/oracle.hpp"

#include <gtest/gtest.h>

#include "support/cases.hpp"
#include "support/npy.hpp"
#include "support/oracle_backward.hpp"
#include "support/strided.hpp"
#include "support/tolerance.hpp"

namespace {

using oracle::Causal;
using support::Index;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Two keys and one query, by hand: logits 0.5 * 2 and 0.5 * 4.
TEST(Oracle, SoftmaxByHand) {
  oracle::Problem p;
  p.len_k = 2;
  p.q = {2}, p.k = {1, 2}, p.v = {10, 20};
  p.scale = 0.5;
  const oracle::Forward f = oracle::forward(p);
  const double e = std::exp(1.0);
  EXPECT_NEAR(f.out[0], (10 + 20 * e) / (1 + e), 1e-14);
  EXPECT_NEAR(f.lse[0], std::log(e + e * e), 1e-15);
}

TEST(Oracle, PositionsByHand) {
  oracle::Problem p;
  p.len_q = 2, p.len_k = 5;
  p.causal = Causal::top_left;
  EXPECT_TRUE(oracle::allowed(p, {0, 0, 1, 1}));
  EXPECT_FALSE(oracle::allowed(p, {0, 0, 1, 2}));
  p.causal = Causal::bottom_right;
  EXPECT_TRUE(oracle::allowed(p, {0, 0, 0, 3}));
  EXPECT_FALSE(oracle::allowed(p, {0, 0, 0, 4}));
  p.key_lengths = {{3}};  // the last query now stands at key 2
  EXPECT_TRUE(oracle::allowed(p, {0, 0, 1, 2}));
  EXPECT_FALSE(oracle::allowed(p, {0, 0, 1, 3}));
  EXPECT_FALSE(oracle::allowed(p, {0, 0, 0, 2}));
  p.causal = Causal::offset, p.offset = {-1};
  EXPECT_FALSE(oracle::allowed(p, {0, 0, 0, 0}));
  EXPECT_TRUE(oracle::allowed(p, {0, 0, 1, 0}));
  p.causal = Causal::none, p.key_lengths.reset(), p.left = 1, p.right = 0;
  EXPECT_FALSE(oracle::allowed(p, {0, 0, 0, 1}));
  EXPECT_TRUE(oracle::allowed(p, {0, 0, 0, 2}));
  EXPECT_FALSE(oracle::allowed(p, {0, 0, 0, 4}));
}

// The known answers that Random123 publishes for philox4x32-10.
TEST(Oracle, PhiloxKnownAnswers) {
  using Words = std::array<std::uint32_t, 4>;
  const std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(oracle::philox({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(oracle::philox({ones, ones, ones, ones}, {ones, ones}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(
      oracle::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// What lies under an excluded key decides nothing.
TEST(Oracle, PoisonIsNeverRead) {
  for (const support::Case& c : support::cases()) {
    if (c.infinite != support::Infinite::none) continue;  // NaN is what these come to
    const oracle::Problem problem = support::problem<float>(c);
    const oracle::Forward f = oracle::forward(problem);
    for (const double x : f.out) ASSERT_TRUE(std::isfinite(x)) << c.name;
    for (const double x : f.lse) ASSERT_TRUE(std::isfinite(x) || x == -kInfinity) << c.name;
  }
}

// Gradients against central differences of forward, with everything on.
TEST(Oracle, GradientsAreDifferences) {
  support::Case c{.name = "everything",
                  .batch = 2,
                  .heads = 4,
                  .heads_kv = 2,
                  .len_q = 5,
                  .len_k = 7,
                  .head_dim = 3,
                  .head_dim_v = 4,
                  .softcap = 2,
                  .bias = support::Bias::per_head,
                  .alibi = support::Alibi::per_head,
                  .causal = Causal::bottom_right,
                  .lengths = support::Lengths::some,
                  .sink = support::Sink::finite,
                  .dropout = 0.25};
  oracle::Problem p = support::problem<double>(c);
  p.key_lengths = {{7, 3}};
  support::Draw draw(3);
  for (auto* x : {&p.q, &p.k, &p.v, &p.bias->data})  // no poison: differences need every value
    *x = draw.normal<double>(static_cast<Index>(x->size()));
  p.score = [](double s, oracle::At a) { return 0.1 * s * s + 0.01 * static_cast<double>(a.j); };
  p.score_slope = [](double s, oracle::At) { return 0.2 * s; };
  p.keep = [](oracle::At a) { return (a.i + a.j) % 4 != 0; };
  const std::vector<double> grad_out = draw.normal<double>(2 * 4 * 5 * 4);
  const std::vector<double> grad_lse = draw.normal<double>(2 * 4 * 5);
  const oracle::Gradients g = oracle::backward(p, grad_out, grad_lse);

  const auto loss = [&] {
    const oracle::Forward f = oracle::forward(p);
    double sum = 0;
    for (std::size_t n = 0; n < grad_out.size(); ++n) sum += f.out[n] * grad_out[n];
    for (std::size_t n = 0; n < grad_lse.size(); ++n)
      if (std::isfinite(f.lse[n])) sum += f.lse[n] * grad_lse[n];
    return sum;
  };
  const auto check = [&](std::vector<double>& x, const std::vector<double>& dx, const char* what) {
    const double step = 1e-5;
    ASSERT_EQ(x.size(), dx.size());
    for (std::size_t n = 0; n < x.size(); ++n) {
      const double keep = x[n];
      x[n] = keep + step;
      const double up = loss();
      x[n] = keep - step;
      const double down = loss();
      x[n] = keep;
      ASSERT_NEAR((up - down) / (2 * step), dx[n], 1e-8) << what << " " << n;
    }
  };
  check(p.q, g.dq, "dq");
  check(p.k, g.dk, "dk");
  check(p.v, g.dv, "dv");
  check(p.bias->data, g.dbias, "dbias");
  check(p.sink->data, g.dsink, "dsink");
}

TEST(Oracle, GradientOfEmptyRows) {
  oracle::Problem p;
  p.len_k = 4, p.q = {kNan}, p.k = {kNan, kNan, kNan, kNan}, p.v = {1, 2, 3, 4};
  p.keep = [](oracle::At) { return false; };
  p.key_lengths = {{2}};
  oracle::Gradients g = oracle::backward(p, {8}, {5});
  EXPECT_EQ(g.dv, (std::vector<double>{0, 0, 0, 0}));
  p.empty_row = oracle::EmptyRow::uniform;
  g = oracle::backward(p, {8}, {5});
  EXPECT_EQ(g.dv, (std::vector<double>{4, 4, 0, 0}));
  EXPECT_EQ(g.dq, (std::vector<double>{0}));
  EXPECT_EQ(oracle::forward(p).out, (std::vector<double>{1.5}));
}

TEST(Tolerance, RefusesNan) {
  EXPECT_FALSE(support::within({kNan}, {1}, 1e300));
  EXPECT_FALSE(support::within({1}, {kNan}, 1e300));
  EXPECT_TRUE(support::within({kNan}, {kNan}, 0));
  EXPECT_FALSE(support::within({1, 0, 0}, {1, kNan, 0}, 1e300));
}

TEST(Tolerance, InfinitiesMustBeEqual) {
  EXPECT_TRUE(support::within({-kInfinity}, {-kInfinity}, 0));
  EXPECT_FALSE(support::within({kInfinity}, {-kInfinity}, 1e300));
  EXPECT_FALSE(support::within({1}, {-kInfinity}, 1e300));
}

TEST(Tolerance, RefusesOtherSizesAndAYardstickThatFails) {
  EXPECT_FALSE(support::within({1}, {1, 1}, 1));
  EXPECT_FALSE(support::within({1}, {1}, support::allowance<float>({1}, {kNan}, 2)));
  EXPECT_FALSE(support::within({1.1}, {1}, support::allowance<float>({1}, {1}, 2)));
}

TEST(Strided, HoldsItsValuesAndPoisonAroundThem) {
  std::vector<double> values(2 * 3 * 4 * 5);
  for (std::size_t n = 0; n < values.size(); ++n) values[n] = static_cast<double>(n);
  for (int layout = 0; layout < support::kLayouts - 1; ++layout) {
    support::Strided<float, 4> tensor({2, 3, 4, 5}, static_cast<support::Layout>(layout), values);
    EXPECT_EQ(tensor.values(), values);
    EXPECT_TRUE(tensor.surroundings_untouched());
    EXPECT_FALSE(tensor.untouched());
    const auto s = tensor.strides();
    tensor.data()[s[0] + 2 * s[1] + 3 * s[2] + 4 * s[3]] = -1;
    EXPECT_EQ(tensor.values().back(), -1);
    const float* lowest = std::min(tensor.data(), tensor.data() + 3 * s[2] + 4 * s[3]);
    const_cast<float*>(lowest)[-1] = 0;
    EXPECT_FALSE(tensor.surroundings_untouched());
  }
}

TEST(Npy, ReadsEveryKind) {
  const std::string folder = ATTEND_TEST_DATA "/original/";
  const auto q = support::read_npy(folder + "plain.q.npy");
  EXPECT_EQ(q.shape, (std::vector<Index>{2, 2, 16, 32}));
  EXPECT_EQ(q.dtype, "f4");
  EXPECT_EQ(support::read_npy(folder + "double.q.npy").dtype, "f8");
  EXPECT_EQ(support::read_npy(folder + "half.q.npy").dtype, "f2");
  EXPECT_EQ(support::read_npy(folder + "padding.mask.npy").dtype, "b1");
  EXPECT_THROW(support::read_npy(folder + "cases.csv"), std::runtime_error);
  EXPECT_THROW(support::read_npy(folder + "missing.npy"), std::runtime_error);
}

}  // namespace
