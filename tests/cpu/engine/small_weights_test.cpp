// Weights below the least normal number are 0, on every path and engine: some processors take a
// hundred cycles and more for each one that is not.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cfenv>
#include <cmath>
#include <limits>

#include "cross/host_paths.hpp"

namespace {

using attend::Path;
using attend::cpu::FlushSubnormals;

/// All keys but the first have a weight of some 2^-130 (of double 2^-1026), which would show in
/// each number that is expected to be 0.
template <class T>
void check_small_weights(const attend::Attend<T>& attention, int len_q, int len_k, Path path) {
  using Four = attend::Tensor<T, 4>;
  using Real = attend::RealOf<T>;
  constexpr int kDim = 8;
  const Real distance = std::log(std::numeric_limits<Real>::min()) - Real(2.8);
  Four q(1, 1, len_q, kDim), k(1, 1, len_k, kDim), v(1, 1, len_k, kDim), grad(1, 1, len_q, kDim);
  q.setZero(), k.setZero(), v.setConstant(T(1)), grad.setConstant(T(0x1p15f));
  for (int i = 0; i < len_q; ++i) q(0, 0, i, 0) = T(1);
  for (int j = 1; j < len_k; ++j) k(0, 0, j, 0) = static_cast<T>(distance);
  for (int c = 0; c < kDim; ++c) v(0, 0, 0, c) = T(0);
  const attend::Call<T> call{.scale = 1, .path = path};
  const auto r = attention.forward(q, k, v, call);
  for (int n = 0; n < r.out.size(); ++n) EXPECT_EQ(static_cast<Real>(r.out.data()[n]), 0) << n;
  const auto g = attention.backward(grad, r, q, k, v, call);
  for (int j = 1; j < len_k; ++j) {
    // The math path rounds a pair's gradients when all of them have been computed.
    if (path == Path::fused) {
      EXPECT_EQ(static_cast<Real>(g.dk(0, 0, j, 0)), 0) << "key " << j;
    }
    EXPECT_EQ(static_cast<Real>(g.dv(0, 0, j, 0)), 0) << "key " << j;
  }
}

template <class T>
class SmallWeights : public ::testing::Test {};
using Types = ::testing::Types<float, double, Eigen::bfloat16>;  // f16 has no numbers as small
TYPED_TEST_SUITE(SmallWeights, Types);

TYPED_TEST(SmallWeights, AreNone) {
  const attend::Attend<TypeParam> attention;
  for (const int len_k : {40, 5000}) {  // the second in parts, where there are few queries
    for (const int len_q : {1, 3, 5, 20, 70}) {
      SCOPED_TRACE(testing::Message() << len_q << " queries, " << len_k << " keys");
      check_small_weights(attention, len_q, len_k, Path::math);
      for (const attend::cpu::Engine engine : cross::engines_of<TypeParam>()) {
        SCOPED_TRACE(name(engine));
        const attend::cpu::EngineOverride use(engine);
        check_small_weights(attention, len_q, len_k, Path::fused);
      }
    }
  }
}

// Small numbers are not only weights: values are what they are.
template <class T>
class SmallValues : public ::testing::Test {};
using WideTypes = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SmallValues, WideTypes);

TYPED_TEST(SmallValues, AreKept) {
  const TypeParam small = std::numeric_limits<TypeParam>::denorm_min() * 1024;
  const attend::Attend<TypeParam> attention;
  for (const int len_q : {1, 3, 20}) {
    attend::Tensor<TypeParam, 4> q(1, 1, len_q, 8), k(1, 1, 64, 8), v(1, 1, 64, 8);
    q.setZero(), k.setZero(), v.setConstant(small);
    for (const attend::cpu::Engine engine : cross::engines_of<TypeParam>()) {
      SCOPED_TRACE(testing::Message() << name(engine) << ", " << len_q << " queries");
      const attend::cpu::EngineOverride use(engine);
      const auto out = attention.forward(q, k, v, {.path = Path::fused}).out;
      for (int n = 0; n < out.size(); ++n) EXPECT_EQ(out.data()[n], small) << n;
    }
  }
}

#if defined(__x86_64__)
/// Weights of some 2^-116 (of double 2^-1012), and gradients of logits and values 2^-16 times that,
/// below the least normal number. With queries of 2^20 they would show in the keys' gradients.
template <class T>
void check_small_gradients(const attend::Attend<T>& attention, int len_q, Path path) {
  using Four = attend::Tensor<T, 4>;
  using Real = attend::RealOf<T>;
  constexpr int kDim = 8, kKeys = 40;
  const Real distance = std::log(std::numeric_limits<Real>::min()) + 7;
  Four q(1, 1, len_q, kDim), k(1, 1, kKeys, kDim), v(1, 1, kKeys, kDim), grad(1, 1, len_q, kDim);
  q.setZero(), k.setZero(), v.setZero(), grad.setZero();
  for (int i = 0; i < len_q; ++i) q(0, 0, i, 0) = T(0x1p20f), grad(0, 0, i, 0) = T(0x1p-16f);
  for (int j = 1; j < kKeys; ++j) k(0, 0, j, 0) = static_cast<T>(distance * Real(0x1p-20));
  for (int j = 1; j < kKeys; ++j) v(0, 0, j, 0) = T(1);
  const attend::Call<T> call{.scale = 1, .path = path};
  const auto g = attention.backward(grad, attention.forward(q, k, v, call), q, k, v, call);
  for (int j = 1; j < kKeys; ++j) {
    EXPECT_EQ(static_cast<Real>(g.dk(0, 0, j, 0)), 0) << "key " << j;
    EXPECT_EQ(static_cast<Real>(g.dv(0, 0, j, 0)), 0) << "key " << j;
  }
}

TYPED_TEST(SmallWeights, HaveNoGradientsBelowTheLeastNumber) {
  const attend::Attend<TypeParam> attention;
  for (const int len_q : {1, 3, 20, 70}) {
    SCOPED_TRACE(testing::Message() << len_q << " queries");
    check_small_gradients(attention, len_q, Path::math);
    for (const attend::cpu::Engine engine : cross::engines_of<TypeParam>()) {
      SCOPED_TRACE(name(engine));
      const attend::cpu::EngineOverride use(engine);
      check_small_gradients(attention, len_q, Path::fused);
    }
  }
}

/// The textbook's weights are divided by their sum, here 2, before they meet the values.
TYPED_TEST(SmallWeights, AreNoneAfterTheDivision) {
  using Four = attend::Tensor<TypeParam, 4>;
  using Real = attend::RealOf<TypeParam>;
  const auto least = static_cast<TypeParam>(std::log(std::numeric_limits<Real>::min()) + Real(0.3));
  Four q(1, 1, 1, 8), k(1, 1, 3, 8), v(1, 1, 3, 8);
  q.setZero(), k.setZero(), v.setZero();
  q(0, 0, 0, 0) = TypeParam(1), k(0, 0, 2, 0) = least, v(0, 0, 2, 0) = TypeParam(0x1p15f);
  const auto out =
      attend::Attend<TypeParam>().forward(q, k, v, {.scale = 1, .path = Path::math}).out;
  EXPECT_EQ(static_cast<Real>(out(0, 0, 0, 0)), 0);
}

float half_of_the_least() {
  volatile float x = std::numeric_limits<float>::min();
  return x / 2;
}

TEST(FlushSubnormals, KeepsWhatWasMetInItsScope) {
  std::feclearexcept(FE_ALL_EXCEPT);
  {
    const FlushSubnormals flush;
    volatile float zero = 0;
    zero = 1 / zero;
  }
  EXPECT_NE(std::fetestexcept(FE_DIVBYZERO), 0);
}

TEST(FlushSubnormals, LastsAsLongAsTheScope) {
  EXPECT_NE(half_of_the_least(), 0);
  {
    const FlushSubnormals flush;
    EXPECT_EQ(half_of_the_least(), 0);
    {
      const FlushSubnormals again;
      EXPECT_EQ(half_of_the_least(), 0);
    }
    EXPECT_EQ(half_of_the_least(), 0);
  }
  EXPECT_NE(half_of_the_least(), 0);
}
#endif

}  // namespace
