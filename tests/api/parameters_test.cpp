// Parameters of a score function whose derivative is the score: their gradients against differences
// of the loss, in double.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace {

using attend::Index;
using attend::Path;
using Tensor3 = attend::Tensor<double, 3>;
using Tensor4 = attend::Tensor<double, 4>;

/// A factor, and a bend that grows with the distance of key and query; of each head, or of all.
struct Affine {
  attend::View<const double, 2> table;  // (h|1, 2)

  static double reach(Index at) { return 0.1 * static_cast<double>((at.i + 2 * at.j) % 7) - 0.3; }
  std::int64_t row(Index at) const { return table.extent(0) > 1 ? at.h : 0; }

  template <class Number>
  Number operator()(Number score, Index at) const {
    return score * table(row(at), 0) + score * score * 0.1 * table(row(at), 1) +
           reach(at) * table(row(at), 1);
  }
  std::int64_t parameters() const { return table.size(); }
  template <class Number, class Add>
  void scatter(Number score, Number gradient, Index at, const Add& add) const {
    add(2 * row(at), gradient * score);
    add(2 * row(at) + 1, gradient * (0.1 * score * score + reach(at)));
  }
};

class Parameters : public ::testing::TestWithParam<Path> {
 protected:
  static constexpr std::int64_t kHeads = 4, kQueries = 70, kKeys = 45;  // more than one block

  Parameters() {
    std::mt19937_64 bits(11);
    std::normal_distribution<double> draw;
    const auto fill = [&](auto& tensor) {
      for (std::int64_t n = 0; n < tensor.size(); ++n) tensor.data()[n] = draw(bits);
    };
    for (Tensor4* tensor : {&q, &k, &v, &grad_out, &bias}) fill(*tensor);
    fill(grad_lse);
    for (std::int64_t n = 0; n < mask.size(); ++n) mask.data()[n] = n % 5 != 2;
    call.rng = attend::Rng{5, 3};
    call.path = GetParam();
  }

  /// The gradients of a table's numbers, against differences of the loss.
  template <class... Mods>
  void check(std::int64_t rows, double dropout, const Mods&... mods) const {
    attend::Tensor<double, 2> table(rows, 2);
    for (std::int64_t n = 0; n < table.size(); ++n)
      table.data()[n] = 0.6 + 0.3 * std::sin(3. * static_cast<double>(n));
    const auto affine =
        attend::score_mod(Affine{attend::View<const double, 2>(table.data(), {rows, 2})});
    const attend::Attend<double> attention({.dropout = dropout});
    const auto forward = [&] { return attention.forward(q, k, v, call, affine, mods...); };
    const auto loss = [&] {
      const auto r = forward();
      double sum = 0;
      for (std::int64_t n = 0; n < r.out.size(); ++n) sum += r.out.data()[n] * grad_out.data()[n];
      for (std::int64_t n = 0; n < r.lse.size(); ++n)
        if (std::isfinite(r.lse.data()[n])) sum += r.lse.data()[n] * grad_lse.data()[n];
      return sum;
    };
    const auto g =
        attention.backward({grad_out, grad_lse}, forward(), q, k, v, call, affine, mods...);
    ASSERT_EQ(g.path, GetParam());
    ASSERT_EQ(g.dparameters.size(), table.size());
    for (std::int64_t n = 0; n < table.size(); ++n) {
      const double kept = table.data()[n], step = 1e-5;
      table.data()[n] = kept + step;
      const double up = loss();
      table.data()[n] = kept - step;
      const double down = loss();
      table.data()[n] = kept;
      EXPECT_GT(std::abs(g.dparameters(n)), 1e-3) << n;
      EXPECT_NEAR(g.dparameters(n), (up - down) / (2 * step),
                  1e-7 * (1 + std::abs(g.dparameters(n))))
          << n;
    }
  }

  Tensor4 q{3, kHeads, kQueries, 5}, k{3, 2, kKeys, 5}, v{3, 2, kKeys, 6};
  Tensor4 grad_out{3, kHeads, kQueries, 6}, bias{1, kHeads, 1, kKeys};
  Tensor3 grad_lse{3, kHeads, kQueries};
  attend::Tensor<bool, 4> mask{3, 1, kQueries, kKeys};
  const std::vector<std::int64_t> lengths{kKeys, kKeys - 9, 1};
  attend::Attend<double>::Call call;
};
INSTANTIATE_TEST_SUITE_P(, Parameters, ::testing::Values(Path::math, Path::fused),
                         [](const auto& info) { return std::string(name(info.param)); });

TEST_P(Parameters, OfEachHead) { check(kHeads, 0); }

TEST_P(Parameters, OfAllHeads) { check(1, 0); }

TEST_P(Parameters, BehindMasks) {
  call.mask = mask;
  call.causal = attend::Causal::bottom_right;  // the first rows see no key
  call.window = {20, 0};
  call.key_lengths = lengths;
  check(kHeads, 0, attend::mask_mod([](Index at) { return (at.i + 3 * at.j + at.h) % 4 != 0; }));
}

TEST_P(Parameters, BehindDropout) { check(kHeads, 0.3); }

TEST_P(Parameters, BehindEverything) {
  call.softcap = 1.5;
  call.bias = bias;
  call.mask = mask;
  check(kHeads, 0.3, attend::mask_mod([](Index at) { return (at.i + 3 * at.j + at.h) % 4 != 0; }));
  check(1, 0.3, attend::mask_mod([](Index at) { return (at.i + 3 * at.j + at.h) % 4 != 0; }));
}

}  // namespace
