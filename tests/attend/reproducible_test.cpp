// Bit for bit the same: run after run, whatever the number of threads, alone or in a batch.
#include <gtest/gtest.h>

#include "call_of.hpp"
#include "support/case.hpp"
#include "support/tolerance.hpp"

namespace {

using support::Case;
using support::view;

std::vector<Case> cases() {
  return {
      {.name = "square",
       .batch = 3,
       .len_q = 190,
       .len_k = 190,
       .causal = support::Causal::bottom_right,
       .dropout = 0.2},
      {.name = "masked",
       .batch = 3,
       .heads = 4,
       .len_q = 70,
       .len_k = 140,
       .bias = support::Bias::full,
       .mask = support::Mask::random},
      {.name = "decode",
       .batch = 3,
       .heads = 4,
       .heads_kv = 1,
       .len_q = 1,
       .len_k = 5000,
       .sink = support::Sink::finite},
      {.name = "decode_lengths",
       .batch = 3,
       .len_q = 2,
       .len_k = 3000,
       .causal = support::Causal::bottom_right,
       .lengths = support::Lengths::with_zero},
  };
}

template <class T>
struct Runner {
  oracle::Problem problem;
  support::Sample<T> sample;
  attend::Attend<T> attention;

  Runner(const oracle::Problem& p, bool flash)
      : problem(p),
        sample(p, support::Layout::row_major),
        attention(attend_test::options_of(p, flash)) {}

  std::vector<double> operator()(const attend::Stream& stream = {}) const {
    attend::Call<T> call = attend_test::call_of(problem, sample);
    call.stream = stream;
    const auto result = attention.forward(view(sample.q), view(sample.k), view(sample.v), call);
    std::vector<double> all = attend_test::values(result.out);
    const std::vector<double> lse = attend_test::values(result.lse);
    all.insert(all.end(), lse.begin(), lse.end());
    return all;
  }
};

template <class T>
void check_runs_and_threads() {
  const int before = attend::threads();
  for (const Case& c : cases()) {
    for (const bool flash : {false, true}) {
      SCOPED_TRACE(c.name + (flash ? ", fused" : ", math"));
      const Runner<T> run(support::problem<T>(c), flash);
      const std::vector<double> first = run();
      for (int n = 1; n < 50; ++n) ASSERT_TRUE(support::identical(run(), first)) << "run " << n;
      for (const int threads : {1, 2, 3}) {
        attend::set_threads(threads);
        ASSERT_TRUE(support::identical(run(), first)) << threads << " threads";
      }
      attend::set_threads(before);
      Eigen::ThreadPool pool(3);
      const Eigen::ThreadPoolDevice device(&pool, 3);
      ASSERT_TRUE(support::identical(run(device), first)) << "the caller's own pool";
      const Eigen::ThreadPoolDevice none(&pool, 0);
      ASSERT_TRUE(support::identical(run(none), first)) << "none of its threads";
    }
  }
}

TEST(Reproducible, RunsAndThreadsFloat) { check_runs_and_threads<float>(); }
TEST(Reproducible, RunsAndThreadsBfloat16) { check_runs_and_threads<Eigen::bfloat16>(); }

// The bits of dropout depend on the place in the batch, so it is left out here.
TEST(Reproducible, BatchElementAlone) {
  for (Case c : cases()) {
    c.dropout = 0;
    for (const bool flash : {false, true}) {
      SCOPED_TRACE(c.name + (flash ? ", fused" : ", math"));
      const oracle::Problem whole = support::problem<float>(c);
      const std::vector<double> all = Runner<float>(whole, flash)();
      const auto out = static_cast<std::size_t>(whole.heads * whole.len_q * whole.head_dim_v);
      const auto rows = static_cast<std::size_t>(whole.heads * whole.len_q);
      const auto batch = static_cast<std::size_t>(whole.batch);
      for (std::size_t b = 0; b < batch; ++b) {
        oracle::Problem alone = whole;
        alone.batch = 1;
        const auto part = [&](std::vector<double>& x) {
          const std::size_t size = x.size() / batch;
          x = {x.begin() + static_cast<std::ptrdiff_t>(b * size),
               x.begin() + static_cast<std::ptrdiff_t>((b + 1) * size)};
        };
        for (auto* x : {&alone.q, &alone.k, &alone.v}) part(*x);
        if (alone.bias) part(alone.bias->data), alone.bias->shape[0] = 1;
        if (alone.mask) part(alone.mask->data), alone.mask->shape[0] = 1;
        if (alone.key_lengths) alone.key_lengths = {{(*whole.key_lengths)[b]}};
        std::vector<double> expected(all.begin() + static_cast<std::ptrdiff_t>(b * out),
                                     all.begin() + static_cast<std::ptrdiff_t>((b + 1) * out));
        const auto lse = all.begin() + static_cast<std::ptrdiff_t>(batch * out + b * rows);
        expected.insert(expected.end(), lse, lse + static_cast<std::ptrdiff_t>(rows));
        EXPECT_TRUE(support::identical(Runner<float>(alone, flash)(), expected)) << b;
      }
    }
  }
}

}  // namespace
