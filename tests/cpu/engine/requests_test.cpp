#include "attend/cpu/engine/requests.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace attend::cpu {
namespace {

// The lines of so many rows of a product, as elements of `memory`.
std::vector<std::ptrdiff_t> lines_of(Requests& requests, int rows,
                                     const std::vector<float>& memory) {
  std::vector<std::ptrdiff_t> lines;
  requests.for_each_line(rows, [&](const char* line) {
    lines.push_back((line - reinterpret_cast<const char*>(memory.data())) / 4);
  });
  return lines;
}

using Lines = std::vector<std::ptrdiff_t>;

TEST(Requests, AskForEachLineOfRowsWithPointersOnce) {
  const std::vector<float> memory(150);
  const std::array<const float*, 3> row{memory.data() + 70, memory.data(), memory.data() + 40};
  Requests requests({{row.data(), 3, 16, 49}}, 1);  // 33 columns: three lines
  EXPECT_TRUE(requests);
  EXPECT_EQ(lines_of(requests, 1, memory), (Lines{86, 102, 118, 16, 32, 48, 56, 72, 88}));
  EXPECT_EQ(lines_of(requests, 1, memory), Lines());
}

TEST(Requests, AskForEvenlySpacedRowsAfterThem) {
  const std::vector<float> memory(200);
  const std::array<const float*, 1> row{memory.data()};
  Requests requests({{row.data(), 1, 0, 1}, {memory.data() + 100, -20, 3, 16}}, 1);
  EXPECT_EQ(lines_of(requests, 1, memory), (Lines{0, 100, 80, 60}));
}

TEST(Requests, AreSpreadOverTheRowsOfProducts) {
  const std::vector<float> memory(160);
  Requests requests({{memory.data(), 160, 1, 160}}, 4);  // ten lines: three a row
  EXPECT_EQ(lines_of(requests, 2, memory), (Lines{0, 16, 32, 48, 64, 80}));
  EXPECT_EQ(lines_of(requests, 1, memory), (Lines{96, 112, 128}));
  EXPECT_EQ(lines_of(requests, 4, memory), (Lines{144}));
}

TEST(Requests, NothingToAskFor) {
  EXPECT_FALSE(Requests());
  Requests requests({WantedRows(), {static_cast<const float*>(nullptr), 1, 5, 0}}, 4);
  EXPECT_FALSE(requests);
  EXPECT_EQ(lines_of(requests, 4, {}), Lines());
}

}  // namespace
}  // namespace attend::cpu
