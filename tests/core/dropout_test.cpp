#include <gtest/gtest.h>

#include <attend/core/dropout.hpp>
#include <cmath>

#include "support/oracle.hpp"

namespace {

using attend::Dropout;

TEST(Dropout, Threshold) {
  EXPECT_FALSE(Dropout().active());
  EXPECT_FALSE(Dropout(0, {1, 2}).active());
  EXPECT_EQ(Dropout(0.5, {}).threshold, std::uint64_t{1} << 31);
  EXPECT_EQ(Dropout(1, {}).threshold, std::uint64_t{1} << 32);
  EXPECT_EQ(Dropout(0x1p-40, {}).threshold, 1u);  // rounds up: what is asked for is never nothing
  EXPECT_EQ(Dropout(1, {}).keep_scale, 0);
  EXPECT_EQ(Dropout(0.75, {}).keep_scale, 4);
}

TEST(Dropout, CountersOfACall) {
  const attend::Problem problem{.batch = 2, .heads = 3, .len_q = 5, .len_k = 9};
  EXPECT_EQ(Dropout::counters_per_row(8), 2u);
  EXPECT_EQ(Dropout::counters_per_row(9), 3u);
  EXPECT_EQ(Dropout::counters_per_row(0), 0u);
  EXPECT_EQ(Dropout::counters(problem), 2u * 3 * 5 * 3);
  EXPECT_EQ(Dropout(0.5, {1, 100}).row_counter(problem, 1, 2, 4), 100u + 29 * 3);
}

// Every bit, by the oracle's own generator; past 2^32 counters too.
TEST(Dropout, SameBitsAsTheOracle) {
  oracle::Problem p;
  p.batch = 2, p.heads = 3, p.len_q = 5, p.len_k = 9;
  p.seed = 0x0123456789abcdef;
  const attend::Problem problem{.batch = 2, .heads = 3, .len_q = 5, .len_k = 9};
  for (const double probability : {1e-3, 0.1, 0.5, 0.9, 1.0}) {
    for (const std::uint64_t offset : {0ull, (1ull << 32) - 20, ~0ull - 30}) {
      p.dropout = probability, p.rng_offset = offset;
      const Dropout dropout(probability, {p.seed, offset});
      for (int b = 0; b < 2; ++b)
        for (int h = 0; h < 3; ++h)
          for (int i = 0; i < 5; ++i)
            for (int j = 0; j < 9; ++j)
              ASSERT_EQ(dropout.factor(dropout.row_counter(problem, b, h, i), j),
                        oracle::kept(p, {b, h, i, j}) ? dropout.keep_scale : 0);
    }
  }
}

// Frequencies, and independence of neighbours, rows, seeds: each count is a binomial variable, and
// has to be within five standard deviations.
TEST(Dropout, Statistics) {
  constexpr int kRows = 64, kKeys = 4096;
  const attend::Problem problem{.batch = 1, .heads = 1, .len_q = kRows, .len_k = kKeys};
  const auto expect_share = [](double count, double of, double p, const char* what) {
    EXPECT_NEAR(count, of * p, 5 * std::sqrt(of * p * (1 - p))) << what;
  };
  for (const double p : {0.1, 0.5, 0.9}) {
    const Dropout dropout(p, {42, 0}), other(p, {43, 0});
    const auto dropped = [&](const Dropout& d, int i, int j) {
      return d.factor(d.row_counter(problem, 0, 0, i), j) == 0;
    };
    double all = 0, neighbours = 0, rows = 0, seeds = 0, word[4] = {};
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < kKeys; ++j) {
        const bool here = dropped(dropout, i, j);
        all += here;
        word[j % 4] += here;
        neighbours += here && dropped(dropout, i, (j + 1) % kKeys);
        rows += here && dropped(dropout, (i + 1) % kRows, j);
        seeds += here && dropped(other, i, j);
      }
    }
    expect_share(all, kRows * kKeys, p, "all");
    for (const double count : word) expect_share(count, kRows * kKeys / 4, p, "one word");
    expect_share(neighbours, kRows * kKeys, p * p, "neighbours");
    expect_share(rows, kRows * kKeys, p * p, "rows");
    expect_share(seeds, kRows * kKeys, p * p, "seeds");
  }
}

}  // namespace
