#include <gtest/gtest.h>

#include <attend/core/functors.hpp>

namespace {

TEST(Functors, ComeInAnyOrder) {
  const auto score = attend::score_mod([](auto s, attend::Index at) { return s + float(at.j); });
  const auto mask = attend::mask_mod([](attend::Index at) { return at.i == at.j; });
  EXPECT_EQ(attend::score_mod_of(mask, score)(1.f, {0, 0, 0, 4}), 5);
  EXPECT_EQ(attend::score_mod_of(score, mask)(1.f, {0, 0, 0, 4}), 5);
  EXPECT_TRUE(attend::mask_mod_of(score, mask)({0, 0, 2, 2}));
  EXPECT_FALSE(attend::mask_mod_of(mask, score)({0, 0, 2, 3}));
  EXPECT_EQ(attend::score_mod_of(mask)(1.f, {}), 1);
  EXPECT_TRUE(attend::mask_mod_of(score)({0, 0, 2, 3}));
  static_assert(attend::Functor<decltype(score)> && attend::Functor<decltype(mask)>);
  static_assert(!attend::Functor<int>);
}

}  // namespace
