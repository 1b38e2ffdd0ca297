#include <gtest/gtest.h>

#include <attend/api/generator.hpp>
#include <set>
#include <thread>
#include <vector>

namespace {

using attend::Generator;
using attend::Rng;

TEST(Generator, TakesAndGivesBack) {
  Generator generator(5);
  EXPECT_EQ(generator.take(10), (Rng{5, 0}));
  const Rng second = generator.take(7);
  EXPECT_EQ(second, (Rng{5, 10}));
  generator.give_back(second, 7);
  EXPECT_EQ(generator.state(), (Rng{5, 10}));
  const Rng third = generator.take(1);
  generator.take(1);
  generator.give_back(third, 1);  // too late: another call has its counters
  EXPECT_EQ(generator.state(), (Rng{5, 12}));
}

TEST(Generator, ThreadsGetDisjointCounters) {
  Generator generator(5);
  std::vector<std::uint64_t> taken(4000);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t n = 0; n < 1000; ++n) taken[t * 1000 + n] = generator.take(3).offset;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::uint64_t>(taken.begin(), taken.end()).size(), 4000u);
  EXPECT_EQ(generator.state().offset, 12000u);
}

}  // namespace
