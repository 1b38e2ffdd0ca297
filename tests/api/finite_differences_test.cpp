// Gradients against differences of the loss, in double, over random combinations of everything that
// a call can be asked for.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace {

using attend::Attend;
using Tensor2 = attend::Tensor<double, 2>;
using Tensor3 = attend::Tensor<double, 3>;
using Tensor4 = attend::Tensor<double, 4>;

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : bits_(seed) {}
  std::int64_t up_to(std::int64_t most) { return 1 + below(most); }
  std::int64_t below(std::int64_t bound) {
    return std::uniform_int_distribution<std::int64_t>(0, bound - 1)(bits_);
  }
  bool chance(double p) { return std::uniform_real_distribution<double>(0, 1)(bits_) < p; }
  template <class Tensor>
  void fill(Tensor& tensor) {
    for (std::int64_t n = 0; n < tensor.size(); ++n)
      tensor.data()[n] = std::normal_distribution<double>()(bits_);
  }

 private:
  std::mt19937_64 bits_;
};

/// Inputs of a call drawn at random; `call` refers to the members.
struct Combination {
  explicit Combination(std::uint64_t seed) : draw(seed) {
    const std::int64_t b = draw.up_to(2), heads_kv = draw.up_to(2), h = heads_kv * draw.up_to(2);
    const std::int64_t i = draw.up_to(5), j = draw.up_to(7), d = draw.up_to(5), e = draw.up_to(4);
    q.resize(b, h, i, d);
    k.resize(b, heads_kv, j, d);
    v.resize(b, heads_kv, j, e);
    grad_out.resize(b, h, i, e);
    grad_lse.resize(b, h, i);
    const auto one_or = [&](std::int64_t n) { return draw.chance(0.4) ? 1 : n; };
    bias.resize(one_or(b), one_or(h), one_or(i), one_or(j));
    mask.resize(one_or(b), one_or(h), one_or(i), one_or(j));
    slopes.resize(one_or(b), one_or(h));
    sink.resize(one_or(b), one_or(h));
    for (Tensor4* tensor : {&q, &k, &v, &grad_out, &bias}) draw.fill(*tensor);
    draw.fill(grad_lse);
    draw.fill(slopes);
    draw.fill(sink);
    for (std::int64_t n = 0; n < mask.size(); ++n) mask.data()[n] = draw.chance(0.7);

    if (draw.chance(0.5)) call.scale = 0.7;
    if (draw.chance(0.3)) call.softcap = 1.5;
    if (draw.chance(0.5)) call.bias = bias;
    if (draw.chance(0.3)) call.alibi = slopes;
    if (draw.chance(0.4)) call.mask = mask;
    if (draw.chance(0.4)) call.sink = sink;
    if (draw.chance(0.3)) call.window = {draw.below(4) - 1, draw.below(4) - 1};
    const std::int64_t causal = draw.below(4);
    if (causal == 1) call.causal = attend::Causal::top_left;
    if (causal == 2) call.causal = attend::Causal::bottom_right;
    if (causal == 3) call.causal = attend::Causal::offset(draw.below(5) - 2);
    if (draw.chance(0.3)) {
      std::vector<std::int64_t> lengths;
      for (std::int64_t n = 0; n < b; ++n) lengths.push_back(draw.below(j + 1));
      call.key_lengths = lengths;
    }
    call.rng = attend::Rng{seed, 3};
    options.dropout = draw.chance(0.5) ? 0.3 : 0;
    options.empty_row = draw.chance(0.5) ? attend::EmptyRow::uniform : attend::EmptyRow::zero;
  }

  Draw draw;
  Tensor4 q, k, v, bias, grad_out;
  Tensor3 grad_lse;
  Tensor2 slopes, sink;
  attend::Tensor<bool, 4> mask;
  Attend<double>::Call call;
  attend::Options options;
};

double dot(const double* a, const double* b, std::int64_t count) {
  double sum = 0;
  for (std::int64_t n = 0; n < count; ++n) sum += a[n] * b[n];
  return sum;
}

/// The slope of the loss along random directions of `x`, against its gradient.
template <class Tensor>
void check_slope(Draw& draw, Tensor& x, const Tensor& gradient, const std::string& name,
                 const std::function<double()>& loss) {
  SCOPED_TRACE(name);
  ASSERT_EQ(x.dimensions(), gradient.dimensions());
  for (int direction = 0; direction < 2; ++direction) {
    const Tensor kept = x;
    Tensor along = x;
    draw.fill(along);
    const double step = 1e-5;
    x = kept + along * step;
    const double up = loss();
    x = kept - along * step;
    const double down = loss();
    x = kept;
    const double slope = dot(gradient.data(), along.data(), x.size());
    const double difference = (up - down) / (2 * step);
    ASSERT_TRUE(std::abs(slope - difference) <= 1e-7 * (1 + std::abs(slope)))
        << slope << " by the gradient, " << difference << " by differences";
  }
}

template <class... Mods>
void check(std::uint64_t seed, attend::Path path, const Mods&... mods) {
  SCOPED_TRACE("seed " + std::to_string(seed) + ", path " + name(path));
  Combination c(seed);
  c.call.path = path;
  const Attend<double> attention(c.options);
  const auto loss = [&] {
    const auto r = attention.forward(c.q, c.k, c.v, c.call, mods...);
    double sum = dot(r.out.data(), c.grad_out.data(), r.out.size());
    for (std::int64_t n = 0; n < r.lse.size(); ++n)
      if (std::isfinite(r.lse.data()[n])) sum += r.lse.data()[n] * c.grad_lse.data()[n];
    return sum;
  };
  const auto forward = attention.forward(c.q, c.k, c.v, c.call, mods...);
  const auto g =
      attention.backward({c.grad_out, c.grad_lse}, forward, c.q, c.k, c.v, c.call, mods...);
  EXPECT_EQ(g.path, path);
  check_slope(c.draw, c.q, g.dq, "q", loss);
  check_slope(c.draw, c.k, g.dk, "k", loss);
  check_slope(c.draw, c.v, g.dv, "v", loss);
  if (c.call.bias.given()) {
    check_slope(c.draw, c.bias, g.dbias, "bias", loss);
  } else {
    EXPECT_EQ(g.dbias.size(), 0);
  }
  if (c.call.sink.given()) {
    check_slope(c.draw, c.sink, g.dsink, "sink", loss);
  } else {
    EXPECT_EQ(g.dsink.size(), 0);
  }
}

TEST(FiniteDifferences, RandomCombinations) {
  for (std::uint64_t seed = 0; seed < 250; ++seed)
    for (const attend::Path path : {attend::Path::math, attend::Path::fused}) {
      check(seed, path);
      if (HasFatalFailure()) return;
    }
}

TEST(FiniteDifferences, RandomCombinationsWithFunctions) {
  const auto score = attend::score_mod([](auto s, attend::Index at) {
    return 2 * tanh(s / 2) + s * s * 0.1f - 0.1 * static_cast<double>(at.i - at.j);
  });
  const auto mask = attend::mask_mod([](attend::Index at) { return (at.i + 2 * at.j) % 3 != 0; });
  for (std::uint64_t seed = 1000; seed < 1100; ++seed)
    for (const attend::Path path : {attend::Path::math, attend::Path::fused}) {
      check(seed, path, score, mask);
      if (HasFatalFailure()) return;
    }
}

TEST(FiniteDifferences, Merge) {
  Combination c(5);
  c.options.dropout = 0;
  const Attend<double> attention(c.options);
  Tensor4 k2 = c.k, v2 = c.v;
  c.draw.fill(k2);
  c.draw.fill(v2);
  const auto call = Attend<double>::Call{};
  const auto merged = [&] {
    return attend::merge(attention.forward(c.q, c.k, c.v, call),
                         attention.forward(c.q, k2, v2, call));
  };
  const auto loss = [&] {
    const auto r = merged();
    return dot(r.out.data(), c.grad_out.data(), r.out.size()) +
           dot(r.lse.data(), c.grad_lse.data(), r.lse.size());
  };
  const auto first = attention.forward(c.q, c.k, c.v, call);
  const auto second = attention.forward(c.q, k2, v2, call);
  const auto g =
      attend::merge_backward({c.grad_out, c.grad_lse}, attend::merge(first, second), first, second);
  const auto g1 = attention.backward({g.grad_out1, g.grad_lse1}, first, c.q, c.k, c.v, call);
  const auto g2 = attention.backward({g.grad_out2, g.grad_lse2}, second, c.q, k2, v2, call);
  const Tensor4 dq = g1.dq + g2.dq;
  check_slope(c.draw, c.q, dq, "q", loss);
  check_slope(c.draw, c.k, g1.dk, "k of the first part", loss);
  check_slope(c.draw, c.v, g1.dv, "v of the first part", loss);
  check_slope(c.draw, k2, g2.dk, "k of the second part", loss);
  check_slope(c.draw, v2, g2.dv, "v of the second part", loss);
}

TEST(FiniteDifferences, MergeWithAnEmptyPart) {
  Combination c(6);
  c.options.dropout = 0;
  const Attend<double> attention(c.options);
  const auto first = attention.forward(c.q, c.k, c.v);
  const std::vector<std::int64_t> none(static_cast<std::size_t>(c.q.dimension(0)), 0);
  const auto second = attention.forward(c.q, c.k, c.v, {.key_lengths = none});
  const auto g =
      attend::merge_backward({c.grad_out, c.grad_lse}, attend::merge(first, second), first, second);
  for (std::int64_t n = 0; n < c.grad_out.size(); ++n) {
    EXPECT_DOUBLE_EQ(g.grad_out1.data()[n], c.grad_out.data()[n]);
    EXPECT_EQ(g.grad_out2.data()[n], 0);
  }
  for (std::int64_t n = 0; n < c.grad_lse.size(); ++n) {
    EXPECT_NEAR(g.grad_lse1.data()[n], c.grad_lse.data()[n], 1e-14);
    EXPECT_EQ(g.grad_lse2.data()[n], 0);
  }
}

}  // namespace
