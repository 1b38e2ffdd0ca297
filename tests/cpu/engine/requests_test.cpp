#include "attend/cpu/engine/requests.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace attend::cpu {
namespace {

TEST(RowRequests, AskForEachLineOnce) {
  const std::vector<float> memory(100);
  const std::array<const float*, 3> row{memory.data(), memory.data() + 20, memory.data() + 40};
  RowRequests<float> requests(row.data(), 3, 16, 49);  // 33 columns: three lines
  EXPECT_EQ(requests.lines(), 9);
  for (int line = 0; line < 9; ++line) EXPECT_TRUE(requests.ask()) << line;
  EXPECT_FALSE(requests.ask());
}

TEST(RowRequests, NothingToAskFor) {
  RowRequests<bool> requests;
  EXPECT_EQ(requests.lines(), 0);
  EXPECT_FALSE(requests.ask());
}

}  // namespace
}  // namespace attend::cpu
