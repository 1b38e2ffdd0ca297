#include "attend/cpu/engine/requests.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace attend::cpu {
namespace {

// Lines, as elements of `memory`.
std::vector<std::ptrdiff_t> lines_of(Requests requests, const std::vector<float>& memory) {
  std::vector<std::ptrdiff_t> lines;
  for (const char* line = requests.next(); line != nullptr; line = requests.next())
    lines.push_back((line - reinterpret_cast<const char*>(memory.data())) / 4);
  return lines;
}

TEST(Requests, AskForEachLineOfRowsWithPointersOnce) {
  const std::vector<float> memory(150);
  const std::array<const float*, 3> row{memory.data() + 70, memory.data(), memory.data() + 40};
  const Requests requests({{row.data(), 3, 16, 49}}, 1);  // 33 columns: three lines
  EXPECT_TRUE(requests);
  EXPECT_EQ(lines_of(requests, memory),
            (std::vector<std::ptrdiff_t>{86, 102, 118, 16, 32, 48, 56, 72, 88}));
}

TEST(Requests, AskForEvenlySpacedRowsAfterThem) {
  const std::vector<float> memory(200);
  const std::array<const float*, 1> row{memory.data()};
  const Requests requests({{row.data(), 1, 0, 1}, {memory.data() + 100, -20, 3, 16}}, 1);
  EXPECT_EQ(lines_of(requests, memory), (std::vector<std::ptrdiff_t>{0, 100, 80, 60}));
}

TEST(Requests, AreSpreadOverTheRowsOfProducts) {
  const std::vector<float> memory(160);
  Requests requests({{memory.data(), 160, 1, 160}}, 8);  // ten lines: two a row
  requests.ask(3);
  EXPECT_EQ(requests.next(), reinterpret_cast<const char*>(memory.data() + 6 * 16));
  requests.ask(5);
  EXPECT_EQ(requests.next(), nullptr);
}

TEST(Requests, NothingToAskFor) {
  EXPECT_FALSE(Requests());
  Requests requests({WantedRows(), {static_cast<const float*>(nullptr), 1, 5, 0}}, 4);
  EXPECT_FALSE(requests);
  requests.ask(4);
  EXPECT_EQ(requests.next(), nullptr);
}

}  // namespace
}  // namespace attend::cpu
