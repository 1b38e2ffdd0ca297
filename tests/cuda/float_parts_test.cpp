// Floats that have no two finite parts, where keys are allowed: what the host makes of them.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>
#include <limits>

#include "cuda/tensors.hpp"

namespace {

using device::random;
using Float4 = attend::Tensor<float, 4>;
constexpr float kInfinite = std::numeric_limits<float>::infinity();
constexpr float kGreatest = std::numeric_limits<float>::max();

// The same but for rounding, of numbers as great as `scale`.
void expect_same(const Float4& there, const Float4& expected, float scale = 1) {
  ASSERT_EQ(there.size(), expected.size());
  for (Eigen::Index n = 0; n < there.size(); ++n) {
    const float x = there.data()[n], y = expected.data()[n];
    const bool same = x == y || (std::isnan(x) && std::isnan(y));
    EXPECT_TRUE(same || std::abs(x - y) <= 1e-5f * std::max(scale, std::abs(y)))
        << "element " << n << " is " << x << " instead of " << y;
  }
}

void expect_same(const Float4& q, const Float4& k, const Float4& v, attend::EmptyRow empty_row,
                 attend::Call<float> call) {
  const attend::Attend<float> attention{{.flash = true, .empty_row = empty_row}};
  const auto expected = attention.forward(q, k, v, call);
  call.path = attend::Path::mem_efficient;
  const attend::cuda::Tensor<float, 4> there_q(q), there_k(k), there_v(v);
  const auto result = attention.forward(there_q, there_k, there_v, call);
  expect_same(result.out.host(), expected.out);
}

TEST(FloatParts, Values) {
  Float4 q = random<float>(1, 1, 40, 64), k = random<float>(1, 1, 100, 64),
         v = random<float>(1, 1, 100, 64);
  v(0, 0, 3, 5) = kInfinite, v(0, 0, 40, 6) = -kInfinite, v(0, 0, 41, 6) = kInfinite;
  v(0, 0, 70, 7) = kGreatest, v(0, 0, 99, 8) = NAN;
  expect_same(q, k, v, attend::EmptyRow::zero, {});
  expect_same(q, k, v, attend::EmptyRow::zero, {.causal = attend::Causal::bottom_right});
}

// A score of -inf weighs nothing; of +inf it makes its row NaN.
TEST(FloatParts, Keys) {
  Float4 q = random<float>(1, 1, 40, 64), k = random<float>(1, 1, 100, 64),
         v = random<float>(1, 1, 100, 64);
  k(0, 0, 3, 5) = -kInfinite, k(0, 0, 40, 6) = -kGreatest;
  expect_same(q, k, v, attend::EmptyRow::zero, {});
  q(0, 0, 7, 5) = -1, q(0, 0, 8, 5) = 0, q(0, 0, 9, 5) = 1;
  expect_same(q, k, v, attend::EmptyRow::zero, {});
}

TEST(FloatParts, MeansOfRowsWithoutKeys) {
  Float4 q = random<float>(1, 1, 40, 64), k = random<float>(1, 1, 20, 64),
         v = random<float>(1, 1, 20, 64);
  v(0, 0, 3, 5) = kInfinite, v(0, 0, 12, 7) = kGreatest;
  expect_same(q, k, v, attend::EmptyRow::uniform, {.causal = attend::Causal::bottom_right});
}

// Gradients, of head dims that have an engine of their own each.
void expect_same_gradients(const Float4& q, const Float4& k, const Float4& v,
                           const Float4& grad_out, attend::Call<float> call) {
  const attend::Attend<float> attention{{.flash = true}};
  const auto forward = attention.forward(q, k, v, call);
  const auto expected = attention.backward(grad_out, forward, q, k, v, call);
  call.path = attend::Path::mem_efficient;
  const attend::cuda::Tensor<float, 4> there_q(q), there_k(k), there_v(v), there_grad(grad_out);
  const auto there = attention.forward(there_q, there_k, there_v, call);
  const auto g = attention.backward(there_grad, there, there_q, there_k, there_v, call);
  // Of great numbers differences are taken, of which less is left.
  const auto greatest = [](const Float4& of) {
    float most = 1;
    for (Eigen::Index n = 0; n < of.size(); ++n)
      if (const float x = std::abs(of.data()[n]); std::isfinite(x)) most = std::max(most, x);
    return most;
  };
  expect_same(g.dq.host(), expected.dq, greatest(expected.dq));
  expect_same(g.dk.host(), expected.dk, greatest(expected.dk));
  expect_same(g.dv.host(), expected.dv, greatest(expected.dv));
}

TEST(FloatParts, GradientsOfGreatNumbers) {
  for (const int d : {40, 72}) {
    SCOPED_TRACE(d);
    Float4 q = random<float>(1, 1, 40, d), k = random<float>(1, 1, 100, d),
           v = random<float>(1, 1, 100, d), grad_out = random<float>(1, 1, 40, d);
    k(0, 0, 3, 5) = -kInfinite, k(0, 0, 40, 6) = -kGreatest, k(0, 0, 99, 7) = -1e30f;
    expect_same_gradients(q, k, v, grad_out, {});
    k = random<float>(1, 1, 100, d);
    v(0, 0, 3, 5) = 1e25f, v(0, 0, 70, 7) = kInfinite;
    expect_same_gradients(q, k, v, grad_out, {});
    grad_out(0, 0, 5, 5) = NAN, grad_out(0, 0, 30, 6) = -kInfinite;
    expect_same_gradients(q, k, v, grad_out, {.causal = attend::Causal::bottom_right});
  }
}

// What only excluded pairs have reaches nothing, as great as it may be.
TEST(FloatParts, GradientsWithoutExcludedKeys) {
  Float4 q = random<float>(1, 1, 40, 64), k = random<float>(1, 1, 100, 64),
         v = random<float>(1, 1, 100, 64), grad_out = random<float>(1, 1, 40, 64);
  for (int d = 0; d < 64; ++d) k(0, 0, 99, d) = NAN, v(0, 0, 98, d) = kInfinite;
  expect_same_gradients(q, k, v, grad_out, {.causal = attend::Causal::top_left});
}

}  // namespace
