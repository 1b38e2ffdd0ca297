// The user's functions on every engine and element type, where rows are no whole vectors or pairs:
// the fused path's gradients against the math path's.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "cross/host_paths.hpp"

namespace {

using attend::Attend;
using attend::Index;
using attend::Path;

template <class T>
attend::Tensor<T, 4> normal(std::int64_t heads, std::int64_t len, std::int64_t dim) {
  static std::mt19937 bits(7);
  std::normal_distribution<float> draw;
  attend::Tensor<T, 4> tensor(1, heads, len, dim);
  for (std::int64_t n = 0; n < tensor.size(); ++n) tensor.data()[n] = static_cast<T>(draw(bits));
  return tensor;
}

/// Some of which exclude.
template <class T>
auto bias_of(std::int64_t len_q, std::int64_t len_k) {
  attend::Tensor<attend::RealOf<T>, 4> bias(1, 1, len_q, len_k);
  for (std::int64_t i = 0; i < len_q; ++i)
    for (std::int64_t j = 0; j < len_k; ++j)
      bias(0, 0, i, j) = (3 * i + 5 * j) % 31 == 7
                             ? -std::numeric_limits<attend::RealOf<T>>::infinity()
                             : static_cast<attend::RealOf<T>>((i + j) % 5) / 4;
  return bias;
}

template <class T>
void expect_near(const attend::Tensor<T, 4>& a, const attend::Tensor<T, 4>& b, double tolerance,
                 const char* what) {
  for (std::int64_t n = 0; n < a.size(); ++n)
    ASSERT_NEAR(static_cast<double>(a.data()[n]), static_cast<double>(b.data()[n]), tolerance)
        << what << " " << n;
}

/// Calls of the fused path on every engine against the math path.
template <class T, class... Functions>
void check(double tolerance, const Functions&... functions) {
  const Attend<T> attention;
  for (const std::int64_t len_q : {1, 3, 17, 37, 65, 131}) {
    const auto q = normal<T>(4, len_q, 24), grad_out = normal<T>(4, len_q, 16);
    const auto k = normal<T>(2, 150, 24), v = normal<T>(2, 150, 16);
    const auto bias = bias_of<T>(len_q, 150);
    for (const int asked : {0, 1, 2}) {
      typename Attend<T>::Call call{.path = Path::math};
      if (asked == 1) call.softcap = 2;
      if (asked == 2) call.bias = bias;
      const auto expected = attention.forward(q, k, v, call, functions...);
      const auto gradients = attention.backward(grad_out, expected, q, k, v, call, functions...);
      call.path = Path::fused;
      for (const attend::cpu::Engine engine : cross::engines_of<T>()) {
        SCOPED_TRACE(testing::Message()
                     << name(engine) << ", " << len_q << " queries, asked " << asked);
        const attend::cpu::EngineOverride use(engine);
        const auto r = attention.forward(q, k, v, call, functions...);
        const auto g = attention.backward(grad_out, r, q, k, v, call, functions...);
        expect_near(r.out, expected.out, tolerance, "out");
        expect_near(g.dq, gradients.dq, tolerance, "dq");
        expect_near(g.dk, gradients.dk, tolerance * std::sqrt(len_q), "dk");
        expect_near(g.dv, gradients.dv, tolerance * std::sqrt(len_q), "dv");
      }
    }
  }
}

template <class T>
void check_functions(double tolerance) {
  const auto score = attend::score_mod([](auto s, Index at) {
    return 3 * tanh(s / 3) - 0.01f * static_cast<float>(std::abs(at.i - at.j));
  });
  const auto mask = attend::mask_mod([](Index at) { return (at.i + 3 * at.j + at.h) % 5 != 0; });
  check<T>(tolerance, score);
  check<T>(tolerance, mask);
  check<T>(tolerance, score, mask);
}

TEST(FunctorsOnEngines, Float) { check_functions<float>(3e-5); }
TEST(FunctorsOnEngines, Double) { check_functions<double>(1e-12); }
TEST(FunctorsOnEngines, Half) { check_functions<Eigen::half>(8e-3); }
TEST(FunctorsOnEngines, Bfloat16) { check_functions<Eigen::bfloat16>(6e-2); }

}  // namespace
