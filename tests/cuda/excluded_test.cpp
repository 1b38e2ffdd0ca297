// What lies in excluded keys and in queries without keys reaches nothing: a single number that is
// not finite, in tiles that are whole, so that nothing else is excluded there.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>
#include <limits>

namespace {

using attend::Path;
using Half = Eigen::half;
using Host4 = attend::Tensor<Half, 4>;
using Device4 = attend::cuda::Tensor<Half, 4>;

constexpr std::int64_t kLenQ = 64, kLenK = 128, kHeadDim = 64;

struct Inputs {
  Host4 q = random(kLenQ), k = random(kLenK), v = random(kLenK), grad_out = random(kLenQ);
  attend::Tensor<bool, 4> mask{1, 1, kLenQ, kLenK};

  Inputs() { mask.setConstant(true); }
  static Host4 random(std::int64_t rows) {
    Host4 tensor(1, 1, rows, kHeadDim);
    tensor.setRandom();
    return tensor;
  }
};

void expect_near(const Host4& actual, const Host4& expected, const char* what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (Eigen::Index n = 0; n < actual.size(); ++n) {
    const float x = float(expected.data()[n]);
    ASSERT_TRUE(std::isfinite(x)) << what << " " << n;
    ASSERT_NEAR(float(actual.data()[n]), x, 2e-3f * (1 + std::abs(x))) << what << " " << n;
  }
}

void check(const Inputs& in) {
  const attend::Attend<Half> attention{{.flash = true}};
  const auto expected = attention.forward(in.q, in.k, in.v, {.mask = in.mask});
  const auto expected_gradients =
      attention.backward(in.grad_out, expected, in.q, in.k, in.v, {.mask = in.mask});
  const Device4 q(in.q), k(in.k), v(in.v), grad_out(in.grad_out);
  const attend::cuda::Tensor<bool, 4> mask(in.mask);
  for (const Path path : {Path::flash, Path::mem_efficient}) {
    if (path == Path::flash && attend::cuda::capability(0) < attend::kCapabilityA100) continue;
    SCOPED_TRACE(attend::name(path));
    const attend::Call<Half> call{.mask = mask, .path = path};
    const auto result = attention.forward(q, k, v, call);
    expect_near(result.out.host(), expected.out, "out");
    const auto gradients = attention.backward(grad_out, result, q, k, v, call);
    expect_near(gradients.dq.host(), expected_gradients.dq, "dq");
    expect_near(gradients.dk.host(), expected_gradients.dk, "dk");
    expect_near(gradients.dv.host(), expected_gradients.dv, "dv");
  }
}

// The lane that has the key among its scores need not be the one that has the column among its
// sums.
TEST(Excluded, KeysReachNothing) {
  for (const std::int64_t key : {1, 6, 66})
    for (const std::int64_t column : {0, 3, 7}) {
      SCOPED_TRACE("key " + std::to_string(key) + ", column " + std::to_string(column));
      Inputs in;
      for (std::int64_t i = 0; i < kLenQ; ++i) in.mask(0, 0, i, key) = false;
      in.v(0, 0, key, column) = Half(NAN);
      in.k(0, 0, key, 63 - column) = Half(std::numeric_limits<float>::infinity());
      check(in);
    }
}

TEST(Excluded, QueriesReachNothing) {
  for (const std::int64_t query : {2, 37})
    for (const std::int64_t column : {1, 4}) {
      SCOPED_TRACE("query " + std::to_string(query) + ", column " + std::to_string(column));
      Inputs in;
      for (std::int64_t j = 0; j < kLenK; ++j) in.mask(0, 0, query, j) = false;
      in.q(0, 0, query, column) = in.grad_out(0, 0, query, 63 - column) = Half(NAN);
      check(in);
    }
}

}  // namespace
