// What ThreadSanitizer looks at: one object and many threads, the library's pool, its settings.
#include <gtest/gtest.h>

#include <atomic>
#include <attend/attend.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
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

bool equal(const Row& a, const Row& b) {
  return std::equal(a.data(), a.data() + a.size(), b.data());
}
bool equal(const attend::Gradients<float>& a, const attend::Gradients<float>& b) {
  return equal(a.dq, b.dq) && equal(a.dk, b.dk) && equal(a.dv, b.dv);
}

class Threads : public ::testing::TestWithParam<bool> {
 protected:
  Threads() : q(2, 4, 33, 16), k(2, 2, 130, 16), v(2, 2, 130, 16) {
    q.setRandom(), k.setRandom(), v.setRandom();
    attend::set_threads(3);
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

TEST_P(Threads, ShareOneObjectBackward) {
  const attend::Call<float> call{.causal = attend::Causal::bottom_right,
                                 .rng = attend::Rng{.seed = 1, .offset = 0}};
  const auto score = attend::score_mod([](auto s, attend::Index) { return 3 * tanh(s / 3); });
  const auto saved = attention.forward(q, k, v, call, score);
  const auto backward = [&] { return attention.backward(saved.out, saved, q, k, v, call, score); };
  const attend::Gradients<float> expected = backward();
  std::atomic<int> wrong = 0;
  in_threads(4, [&](int) {
    for (int n = 0; n < 2; ++n)
      if (!equal(backward(), expected)) ++wrong;
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

/// Threads wait here until so many have come; those that come later pass.
class Meeting {
 public:
  explicit Meeting(int expected) : expected_(expected) {}

  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    came_.insert(std::this_thread::get_id());
    all_came_.notify_all();
    if (!given_up_)
      given_up_ = !all_came_.wait_for(lock, kPatience, [&] { return came() >= expected_; });
  }
  int came() const { return static_cast<int>(came_.size()); }

 private:
  static constexpr std::chrono::seconds kPatience{20};  // longer than any machine takes

  const int expected_;
  bool given_up_ = false;
  std::mutex mutex_;
  std::condition_variable all_came_;
  std::set<std::thread::id> came_;
};

// The keys of one head are shared out, forward by splits and backward by chunks; what is computed
// does not tell by how many threads.
TEST(OneLongHead, IsSharedByAllThreads) {
  const attend::Attend<float> attention{{.dropout = 0.2, .flash = true}};
  const attend::Call<float> call{.rng = attend::Rng{.seed = 1, .offset = 0}};
  Row q(1, 1, 4, 8), k(1, 1, 4100, 8), v(1, 1, 4100, 8);
  q.setRandom(), k.setRandom(), v.setRandom();
  attend::set_threads(1);
  const auto saved = attention.forward(q, k, v, call);
  const auto expected = attention.backward(saved.out, saved, q, k, v, call);
  for (const int threads : {2, 3}) {
    attend::set_threads(threads);
    Meeting forward(threads), backward(threads);
    const auto all_of = [](Meeting& meeting) {
      return attend::mask_mod([&](attend::Index at) {
        if (at.j % 256 == 0) meeting.wait();
        return true;
      });
    };
    const auto r = attention.forward(q, k, v, call, all_of(forward));
    EXPECT_TRUE(equal(r.out, saved.out)) << threads;
    EXPECT_EQ(forward.came(), threads);
    const auto g = attention.backward(saved.out, r, q, k, v, call, all_of(backward));
    EXPECT_TRUE(equal(g, expected)) << threads;
    EXPECT_EQ(backward.came(), threads);
  }
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
