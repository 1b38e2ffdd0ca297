#include <gtest/gtest.h>

#include <attend/core/problem.hpp>

namespace {

TEST(Problem, HeadsInGroups) {
  const attend::Problem problem{.heads = 6, .heads_kv = 2};
  EXPECT_EQ(problem.group(), 3);
  EXPECT_EQ(problem.head_kv(2), 0);
  EXPECT_EQ(problem.head_kv(3), 1);
  EXPECT_EQ((attend::Problem{.heads = 0, .heads_kv = 0}.group()), 1);
}

}  // namespace
