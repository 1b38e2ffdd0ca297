// What an Attend object keeps: training, dropout's generator, the choice of a path, the log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <map>
#include <string>
#include <vector>

namespace {

using attend::Path;
using attend::Rng;
using Row = Eigen::Tensor<float, 4, Eigen::RowMajor>;

Row random(int b, int h, int n, int d) {
  Row x(b, h, n, d);
  x.setRandom();
  return x;
}

bool equal(const Row& a, const Row& b) {
  return a.dimensions() == b.dimensions() && std::equal(a.data(), a.data() + a.size(), b.data());
}

class Object : public ::testing::Test {
 protected:
  const Row q = random(2, 3, 5, 8), k = random(2, 3, 10, 8), v = random(2, 3, 10, 8);
  const std::uint64_t counters = 2 * 3 * 5 * 3;  // rows times ceil(10 / 4)
};

TEST_F(Object, TrainingIsTheDefaultAndEvalLeavesDropoutOut) {
  attend::Attend<float> attention{{.dropout = 0.5}};
  EXPECT_TRUE(attention.training());
  const Row plain = attend::Attend<float>()(q, k, v);
  EXPECT_FALSE(equal(attention(q, k, v), plain));
  EXPECT_TRUE(equal(attention.eval()(q, k, v), plain));
  EXPECT_FALSE(attention.training());
  EXPECT_EQ(attention.forward(q, k, v).dropout, 0);
  EXPECT_FALSE(equal(attention.train()(q, k, v), plain));
  EXPECT_EQ(attention.forward(q, k, v).dropout, 0.5);
  EXPECT_TRUE(equal(attention.train(false)(q, k, v), plain));
}

TEST_F(Object, OffsetAdvancesByTheCountersOfACall) {
  attend::Attend<float> attention{{.dropout = 0.5, .seed = 11}};
  EXPECT_EQ(attention.rng(), (Rng{11, 0}));
  const auto first = attention.forward(q, k, v);
  EXPECT_EQ(first.rng, (Rng{11, 0}));
  EXPECT_EQ(attention.rng(), (Rng{11, counters}));
  const auto second = attention.forward(q, k, v);
  EXPECT_EQ(second.rng, (Rng{11, counters}));
  EXPECT_FALSE(equal(first.out, second.out));
  attention(q, k, v);
  EXPECT_EQ(attention.rng(), (Rng{11, 3 * counters}));

  // A call with its own generator leaves the object's alone, and repeats a result.
  const auto again = attention.forward(q, k, v, {.rng = first.rng});
  EXPECT_TRUE(equal(again.out, first.out));
  EXPECT_EQ(attention.rng(), (Rng{11, 3 * counters}));

  // It can be set back, or to where another one stood.
  attend::Attend<float> other{{.dropout = 0.5, .seed = 12}};
  other.set_rng(second.rng);
  EXPECT_TRUE(equal(other(q, k, v), second.out));
  EXPECT_EQ(other.rng(), (Rng{11, 2 * counters}));

  attention.eval();
  attention(q, k, v);
  EXPECT_EQ(attention.rng(), (Rng{11, 3 * counters}));
  EXPECT_THROW(attention(q, k, random(1, 1, 1, 1)), attend::error);
  EXPECT_EQ(attention.rng(), (Rng{11, 3 * counters}));
}

TEST_F(Object, CopiesGoOnByThemselves) {
  attend::Attend<float> attention{{.dropout = 0.5, .seed = 11}};
  attention(q, k, v);
  attend::Attend<float> copy = attention;
  EXPECT_TRUE(equal(copy(q, k, v), attention(q, k, v)));
  EXPECT_EQ(copy.rng(), attention.rng());
}

TEST_F(Object, SeedsDifferUnlessGiven) {
  const attend::Options options{.dropout = 0.5};
  EXPECT_NE(attend::Attend<float>(options).rng().seed, attend::Attend<float>(options).rng().seed);
}

TEST_F(Object, BothPathsDropTheSame) {
  const attend::Attend<float> math{{.dropout = 0.5, .seed = 1}};
  const attend::Attend<float> fused{{.dropout = 0.5, .flash = true, .seed = 1}};
  const auto a = math.forward(q, k, v), b = fused.forward(q, k, v);
  for (Eigen::Index n = 0; n < a.out.size(); ++n)
    EXPECT_NEAR(a.out.data()[n], b.out.data()[n], 1e-5);
}

TEST_F(Object, ChoiceOfPath) {
  const attend::Attend<float> math, fused{{.flash = true}};
  EXPECT_EQ(math.forward(q, k, v).path, Path::math);
  EXPECT_EQ(fused.forward(q, k, v).path, Path::fused);
  EXPECT_FALSE(fused.forward(q, k, v).reason.empty());
  EXPECT_EQ(math.forward(q, k, v, {.path = Path::fused}).path, Path::fused);
  {
    const attend::PathOverride forced(Path::math);
    EXPECT_EQ(fused.forward(q, k, v).path, Path::math);
    EXPECT_EQ(fused.forward(q, k, v, {.path = Path::fused}).path, Path::fused);
  }
  EXPECT_EQ(fused.forward(q, k, v).path, Path::fused);
}

TEST_F(Object, LogsOncePerDevice) {
  std::vector<std::string> lines;
  attend::set_logger([&](const std::string& line) { lines.push_back(line); });
  const attend::Attend<float> fused{{.flash = true}};
  fused(q, k, v);
  fused(q, k, v);
  attend::set_logger({});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], ::testing::HasSubstr("fused"));
}

// A user's functions on every path.
TEST_F(Object, Functors) {
  const auto score = attend::score_mod(
      [](auto s, attend::Index at) { return s + static_cast<float>(at.j - at.i) * 0.25f; });
  const auto mask =
      attend::mask_mod([](attend::Index at) { return (at.i + at.j + at.h) % 3 != 0; });
  Row bias(1, 3, 5, 10);
  for (int h = 0; h < 3; ++h)
    for (int i = 0; i < 5; ++i)
      for (int j = 0; j < 10; ++j)
        bias(0, h, i, j) = (i + j + h) % 3 == 0 ? -std::numeric_limits<float>::infinity()
                                                : static_cast<float>(j - i) * 0.25f;
  for (const bool flash : {false, true}) {
    const attend::Attend<float> attention{{.flash = flash}};
    const auto expected = attention.forward(q, k, v, {.bias = bias});
    const auto functors = attention.forward(q, k, v, {}, mask, score);
    for (Eigen::Index n = 0; n < expected.out.size(); ++n)
      EXPECT_NEAR(functors.out.data()[n], expected.out.data()[n], 2e-6);
    for (Eigen::Index n = 0; n < expected.lse.size(); ++n)
      EXPECT_NEAR(functors.lse.data()[n], expected.lse.data()[n], 2e-6);
  }
}

}  // namespace
