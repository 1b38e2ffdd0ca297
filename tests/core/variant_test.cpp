#include <gtest/gtest.h>

#include <attend/core/variant.hpp>
#include <cmath>
#include <limits>

namespace {

using attend::Index;
using Variant = attend::Variant<float>;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

const attend::Problem kProblem{.batch = 2, .len_q = 3, .len_k = 8};

TEST(Integers, BothWidthsAndStrides) {
  const std::int32_t narrow[] = {1, 2, 3};
  const std::int64_t wide[] = {1, 2, 3};
  EXPECT_FALSE(attend::Integers());
  EXPECT_EQ(attend::Integers(narrow, 2)[1], 3);
  EXPECT_EQ(attend::Integers(wide, 1)[1], 2);
  EXPECT_EQ(attend::Integers(wide, 0)[5], 1);
}

TEST(Variant, PositionsOfEachAlignment) {
  const std::int64_t offsets[] = {-2, 5}, lengths[] = {8, 4};
  Variant variant;
  EXPECT_EQ(variant.band(kProblem, 0).position(0), 5);
  variant.key_lengths = {lengths, 1};
  EXPECT_EQ(variant.band(kProblem, 1).position(0), 1);
  variant.alignment = attend::Alignment::start;
  EXPECT_EQ(variant.band(kProblem, 1).position(2), 2);
  variant.alignment = attend::Alignment::offsets, variant.offsets = {offsets, 1};
  EXPECT_EQ(variant.band(kProblem, 0).position(2), 0);
  EXPECT_EQ(variant.band(kProblem, 1).position(2), 7);
}

TEST(Variant, CausalComposesWithTheWindow) {
  Variant variant;
  variant.window = {1, 3};
  EXPECT_EQ(variant.band(kProblem, 0).row(0).end, 8);  // 5 + 3 + 1, and there are 8
  EXPECT_EQ(variant.band(kProblem, 0).row(0).begin, 4);
  variant.causal = true;
  EXPECT_EQ(variant.band(kProblem, 0).row(0).end, 6);
}

TEST(Variant, LogitInOrder) {
  const float bias = 0.5f, slope = 0.25f;
  Variant variant;
  variant.scale = 3, variant.softcap = 2;
  variant.bias = {&bias, {2, 1, 3, 8}, {0, 0, 0, 0}};
  variant.alibi = {&slope, {2, 1}, {0, 0}};
  EXPECT_FLOAT_EQ(variant.logit(0.5f, {0, 0, 0, 2}, 5), 2 * std::tanh(1.5f / 2) + 0.5f - 0.25f * 3);
  EXPECT_FLOAT_EQ(variant.logit(0.5f, {0, 0, 0, 7}, 5), 2 * std::tanh(1.5f / 2) + 0.5f - 0.25f * 2);
}

TEST(Variant, MinusInfinityAloneExcludes) {
  const float bias[] = {-kInfinity, std::numeric_limits<float>::lowest(), kInfinity};
  Variant variant;
  variant.bias = {bias, {1, 1, 1, 3}};
  EXPECT_FALSE(variant.allows({0, 0, 0, 0}));
  EXPECT_TRUE(variant.allows({0, 0, 0, 1}));
  EXPECT_TRUE(variant.allows({0, 0, 0, 2}));
  EXPECT_TRUE(variant.excludes_beyond_position());
  EXPECT_TRUE(variant.changes_score());
  EXPECT_FALSE(Variant().excludes_beyond_position());
  EXPECT_FALSE(Variant().changes_score());
}

TEST(Variant, NoSinkIsMinusInfinity) { EXPECT_EQ(Variant().sink_logit(0, 0), -kInfinity); }

}  // namespace
