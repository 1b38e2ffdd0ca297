// The user's functions where numbers end: logits of -infinity, and NaN behind a mask.
#include <gtest/gtest.h>

#include <algorithm>
#include <attend/attend.hpp>
#include <cmath>
#include <cstdint>
#include <limits>

#include "every_engine.hpp"

namespace {

using api_test::Inputs;
using api_test::Results;
using api_test::Sizes;
using attend::Coverage;
using attend::Index;
using attend::IndexBlock;
using attend::Path;

/// The score where `keep(Index)`, else -infinity.
template <class Keep>
auto where(const Keep& keep) {
  return attend::score_mod([keep](auto s, Index at) {
    return keep(at) ? s : -std::numeric_limits<decltype(s)>::infinity();
  });
}

/// Whole tiles before and after what a row sees are -infinity.
template <class T>
void check_window(double tolerance) {
  constexpr std::int64_t kLeft = 90;
  // So great that the log-sum-exp says too little, and the backward pass takes sums anew.
  const double vast = sizeof(T) == 2 ? 400 : 30;
  for (const Sizes n : {Sizes{1, 4, 2, 300, 700}, Sizes{2, 2, 1, 37, 700}, Sizes{1, 2, 2, 1, 3000},
                        Sizes{1, 2, 1, 3, 3000}}) {
    const Inputs<T> in(n);
    const std::int64_t shift = n.len_k - n.len_q;
    const auto score = where([=](Index at) {
      const std::int64_t position = at.i + shift;
      return position - kLeft <= at.j && at.j <= position;
    });
    for (const double scale : {0.25, vast}) {
      SCOPED_TRACE(testing::Message() << n.len_q << " x " << n.len_k << ", scale " << scale);
      api_test::on_every_engine<T>([&](Path path) {
        const attend::Call<T> call{.scale = scale, .path = path};
        attend::Call<T> built_in = call;
        built_in.causal = attend::Causal::bottom_right;
        built_in.window = {kLeft, 0};
        const double rounding = scale == vast ? 20 : 1;  // of logits
        api_test::expect_same(api_test::run(in, call, score), api_test::run(in, built_in),
                              rounding * tolerance, rounding * tolerance * (1 + scale));
      });
    }
  }
}

TEST(ExtremeFunctors, WindowOfMinusInfinityFloat) { check_window<float>(5e-6); }
TEST(ExtremeFunctors, WindowOfMinusInfinityBfloat16) { check_window<Eigen::bfloat16>(1e-2); }

/// Whether all numbers of row (b, h, i) are NaN.
template <class Tensor>
bool is_nan_row(const Tensor& out, std::int64_t b, std::int64_t h, std::int64_t i) {
  for (std::int64_t c = 0; c < out.dimension(3); ++c)
    if (!std::isnan(static_cast<float>(out(b, h, i, c)))) return false;
  return true;
}

/// A row of allowed keys whose logits are all -infinity: 0 / 0. One without allowed keys is 0.
template <class T>
void check_row(double tolerance) {
  for (const Sizes n : {Sizes{1, 2, 2, 70, 300}, Sizes{1, 2, 1, 5, 3000}}) {
    SCOPED_TRACE(testing::Message() << n.len_q << " x " << n.len_k);
    constexpr std::int64_t kHead = 1, kWithoutLogits = 3, kWithoutKeys = 4;
    const Inputs<T> in(n);
    const auto score = where(
        [](Index at) { return at.h != kHead || at.i < kWithoutLogits || at.i > kWithoutKeys; });
    const auto sees = [](Index at) {
      return at.h != kHead || at.i != kWithoutLogits || at.j % 7 != 3;
    };
    const auto mask = attend::mask_mod([=](Index at) { return at.i != kWithoutKeys && sees(at); });
    api_test::on_every_engine<T>([&](Path path) {
      const auto [r, g] = api_test::run<T>(in, {.path = path}, score, mask);
      const auto [expected, gradients] = api_test::run<T>(in, {.path = path});
      for (std::int64_t h = 0; h < n.heads; ++h) {
        for (std::int64_t i = 0; i < n.len_q; ++i) {
          if (h == kHead && i == kWithoutLogits) {
            ASSERT_TRUE(is_nan_row(r.out, 0, h, i));
            ASSERT_TRUE(is_nan_row(g.dq, 0, h, i));
            continue;
          }
          for (std::int64_t c = 0; c < r.out.dimension(3); ++c)
            ASSERT_NEAR(static_cast<double>(r.out(0, h, i, c)),
                        i == kWithoutKeys ? 0 : static_cast<double>(expected.out(0, h, i, c)),
                        tolerance)
                << h << " " << i;
          for (std::int64_t c = 0; c < g.dq.dimension(3); ++c)
            ASSERT_NEAR(static_cast<double>(g.dq(0, h, i, c)),
                        i == kWithoutKeys ? 0 : static_cast<double>(gradients.dq(0, h, i, c)),
                        tolerance)
                << h << " " << i;
        }
      }
      // It reaches the keys that it sees.
      for (std::int64_t h = 0; h < n.heads_kv; ++h)
        for (std::int64_t j = 0; j < n.len_k; ++j)
          for (const auto* gradient : {&g.dk, &g.dv})
            ASSERT_EQ(is_nan_row(*gradient, 0, h, j),
                      h == n.heads_kv - 1 && sees({0, kHead, kWithoutLogits, j}))
                << h << " " << j;
    });
  }
}

TEST(ExtremeFunctors, RowOfMinusInfinityFloat) { check_row<float>(2e-6); }
TEST(ExtremeFunctors, RowOfMinusInfinityBfloat16) { check_row<Eigen::bfloat16>(1e-2); }

/// Keys that no query sees: single ones, and whole tiles.
struct Holes {
  static bool is_hole(std::int64_t j) { return j % 7 == 3 || (200 <= j && j < 470); }
  bool operator()(Index at) const { return !is_hole(at.j); }
};
struct HolesWithCoverage : Holes {
  Coverage coverage(const IndexBlock& block) const {
    return 200 <= block.j_begin && block.j_end <= 470 ? Coverage::none : Coverage::some;
  }
};

template <class T>
void check_poison(double tolerance) {
  const T poisons[] = {static_cast<T>(std::numeric_limits<float>::quiet_NaN()),
                       static_cast<T>(std::numeric_limits<float>::infinity()),
                       static_cast<T>(-std::numeric_limits<float>::infinity())};
  for (const Sizes n :
       {Sizes{1, 2, 2, 300, 700}, Sizes{1, 4, 2, 37, 700}, Sizes{1, 1, 1, 1, 700}}) {
    const Inputs<T> clean(n);
    Inputs<T> in = clean;
    for (std::int64_t h = 0; h < n.heads_kv; ++h)
      for (std::int64_t j = 0; j < n.len_k; ++j)
        for (attend::Tensor<T, 4>* tensor : {&in.k, &in.v})
          for (std::int64_t c = 0; Holes::is_hole(j) && c < tensor->dimension(3); ++c)
            (*tensor)(0, h, j, c) = poisons[(j + c) % 3];
    const auto compare = [&](const auto& mask) {
      api_test::on_every_engine<T>([&](Path path) {
        const Results<T> with = api_test::run<T>(in, {.path = path}, mask);
        api_test::expect_same(with, api_test::run<T>(clean, {.path = path}, mask), tolerance);
        for (const auto* gradient : {&with.gradients.dk, &with.gradients.dv})
          for (std::int64_t h = 0; h < n.heads_kv; ++h)
            for (std::int64_t j = 0; j < n.len_k; ++j)
              for (std::int64_t c = 0; Holes::is_hole(j) && c < gradient->dimension(3); ++c)
                ASSERT_EQ(static_cast<float>((*gradient)(0, h, j, c)), 0) << h << " " << j;
      });
    };
    SCOPED_TRACE(testing::Message() << n.len_q << " x " << n.len_k);
    compare(attend::mask_mod(Holes()));
    compare(attend::mask_mod(HolesWithCoverage()));
  }
}

TEST(ExtremeFunctors, PoisonBehindAMaskFloat) { check_poison<float>(1e-5); }
TEST(ExtremeFunctors, PoisonBehindAMaskBfloat16) { check_poison<Eigen::bfloat16>(3e-2); }

// A key that only the last query sees reaches that query's row and no other.
template <class T>
void check_one_row() {
  const Sizes n{1, 2, 2, 70, 300};
  Inputs<T> in(n);
  for (std::int64_t h = 0; h < n.heads_kv; ++h)
    in.k(0, h, 299, 3) = in.v(0, h, 299, 5) =
        static_cast<T>(std::numeric_limits<float>::quiet_NaN());
  const auto mask = attend::mask_mod([](Index at) { return at.j <= at.i + 230; });
  api_test::on_every_engine<T>([&](Path path) {
    const Results<T> r = api_test::run<T>(in, {.path = path}, mask);
    for (std::int64_t h = 0; h < n.heads; ++h)
      for (std::int64_t i = 0; i < n.len_q; ++i) {
        ASSERT_EQ(is_nan_row(r.forward.out, 0, h, i), i == 69) << h << " " << i;
        for (std::int64_t c = 0; c < r.gradients.dq.dimension(3); ++c)
          ASSERT_EQ(std::isnan(static_cast<float>(r.gradients.dq(0, h, i, c))), i == 69)
              << h << " " << i;
      }
  });
}

TEST(ExtremeFunctors, PoisonOfOneRowFloat) { check_one_row<float>(); }
TEST(ExtremeFunctors, PoisonOfOneRowBfloat16) { check_one_row<Eigen::bfloat16>(); }

}  // namespace
