// What ThreadSanitizer looks at: one object and many threads, the library's pool, its settings.
#include <gtest/gtest.h>

#include <atomic>
#include <attend/attend.hpp>
#include <thread>
#include <vector>

namespace {

using Row = Eigen::Tensor<float, 4, Eigen::RowMajor>;

template <class Body>
void in_threads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) threads.emplace_back([=] { body(t); });
  for (std::thread& thread : threads) thread.join();
}

class Threads : public ::testing::TestWithParam<bool> {
 protected:
  Threads() : q(2, 4, 33, 16), k(2, 2, 130, 16), v(2, 2, 130, 16) {
    q.setRandom(), k.setRandom(), v.setRandom();
    attend::set_threads(3);
  }
  static bool equal(const Row& a, const Row& b) {
    return std::equal(a.data(), a.data() + a.size(), b.data());
  }
  const attend::Attend<float> attention{{.dropout = 0.2, .flash = GetParam(), .seed = 4}};
  Row q, k, v;
};
INSTANTIATE_TEST_SUITE_P(, Threads, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "fused" : "math"; });

TEST_P(Threads, ShareOneObject) {
  const attend::Call<float> call{.causal = attend::Causal::bottom_right,
                                 .rng = attend::Rng{.seed = 1, .offset = 0}};
  const Row expected = attention.forward(q, k, v, call).out;
  std::atomic<int> wrong = 0;
  in_threads(4, [&](int) {
    for (int n = 0; n < 5; ++n)
      if (!equal(attention.forward(q, k, v, call).out, expected)) ++wrong;
  });
  EXPECT_EQ(wrong, 0);
}

TEST_P(Threads, ShareOneGenerator) {
  in_threads(4, [&](int) {
    for (int n = 0; n < 5; ++n) attention(q, k, v);
  });
  EXPECT_EQ(attention.rng().offset, 20u * 2 * 4 * 33 * 33);
}

TEST_P(Threads, SettingsWhileCallsRun) {
  in_threads(4, [&](int t) {
    for (int n = 0; n < 5; ++n) {
      if (t == 0) attend::set_threads(1 + n % 3);
      if (t == 1) attend::set_logger([](const std::string&) {});
      const attend::PathOverride path(n % 2 ? attend::Path::math : attend::Path::fused);
      attention(q, k, v);
    }
  });
  attend::set_logger({});
}

// A call from a thread of the pool that the call itself would use must not wait for itself.
TEST_P(Threads, CallsFromWithinThePool) {
  Eigen::ThreadPool pool(2);
  const Eigen::ThreadPoolDevice device(&pool, 2);
  Eigen::Barrier done(4);
  for (int n = 0; n < 4; ++n)
    pool.Schedule([&] {
      attention.forward(q, k, v, {.stream = device});
      done.Notify();
    });
  done.Wait();
}

TEST_P(Threads, DecodingUsesThem) {
  Row one(1, 1, 1, 16), keys(1, 1, 9000, 16), values(1, 1, 9000, 16);
  one.setRandom(), keys.setRandom(), values.setRandom();
  const attend::Attend<float> plain{{.flash = GetParam()}};
  const Row expected = plain(one, keys, values);
  in_threads(3, [&](int) { EXPECT_TRUE(equal(plain(one, keys, values), expected)); });
}

// An exception in one task ends the loop and reaches the caller; the pool lives on.
TEST(Workers, ExceptionsReachTheCaller) {
  attend::set_threads(3);
  const auto workers = attend::cpu::SharedPool::instance().workers();
  for (int round = 0; round < 20; ++round) {
    EXPECT_THROW(workers.for_each(100,
                                  [](std::int64_t n, int) {
                                    if (n == 41) throw std::runtime_error("41");
                                  }),
                 std::runtime_error);
  }
  std::atomic<std::int64_t> sum = 0;
  workers.for_each(1000, [&](std::int64_t n, int) { sum += n; });
  EXPECT_EQ(sum, 999 * 1000 / 2);
}

TEST(Workers, SlotsAreNeverShared) {
  attend::set_threads(4);
  const auto workers = attend::cpu::SharedPool::instance().workers();
  std::vector<int> busy(static_cast<std::size_t>(workers.size()));
  workers.for_each(2000, [&](std::int64_t, int slot) {
    int& mine = busy[static_cast<std::size_t>(slot)];
    EXPECT_EQ(mine, 0);
    ++mine;
    --mine;
  });
}

}  // namespace
