// Logits of any size. Elements are small integers, so that dot products are exact and keys that tie
// do so on every path.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <string>

namespace {

using attend::Path;
using Half = Eigen::half;
using Host4 = attend::Tensor<Half, 4>;
using Device4 = attend::cuda::Tensor<Half, 4>;

Host4 integers(std::int64_t length, std::int64_t width, unsigned seed) {
  std::mt19937 random(seed);
  Host4 tensor(1, 2, length, width);
  for (Eigen::Index n = 0; n < tensor.size(); ++n)
    tensor.data()[n] = Half(static_cast<float>(random() % 7) - 3);
  return tensor;
}

void expect_near(const Device4& there, const Host4& expected, const char* what) {
  const Host4 host = there.host();
  ASSERT_EQ(host.size(), expected.size());
  for (Eigen::Index n = 0; n < host.size(); ++n) {
    const float x = float(expected.data()[n]);
    ASSERT_NEAR(float(host.data()[n]), x, 4e-3f * (1 + std::abs(x))) << what << " " << n;
  }
}

TEST(Extremes, OfLogits) {
  const Host4 q = integers(40, 48, 1), k = integers(150, 48, 2), v = integers(150, 16, 3),
              grad_out = integers(40, 16, 4);
  const Device4 there_q(q), there_k(k), there_v(v), there_grad_out(grad_out);
  const attend::Attend<Half> attention{{.flash = true}};
  for (const double scale : {1e2, -1e3, 1e7, 1e26, -1e26})
    for (const Path path : {Path::flash, Path::mem_efficient, Path::math}) {
      if (path == Path::flash && attend::cuda::capability(0) < attend::kCapabilityA100) continue;
      SCOPED_TRACE(attend::name(path) + std::string(", scale ") + std::to_string(scale));
      const auto expected = attention.forward(q, k, v, {.scale = scale});
      const auto result =
          attention.forward(there_q, there_k, there_v, {.scale = scale, .path = path});
      expect_near(result.out, expected.out, "out");
      const auto lse = result.lse.host();
      for (Eigen::Index n = 0; n < lse.size(); ++n) {
        const float x = expected.lse.data()[n];
        ASSERT_NEAR(lse.data()[n], x, 1e-6f * (1 + std::abs(x))) << "lse " << n;
      }
      if (std::abs(scale) > 1e20) continue;  // forward only
      const auto expected_gradients =
          attention.backward(grad_out, expected, q, k, v, {.scale = scale});
      const auto gradients = attention.backward(there_grad_out, result, there_q, there_k, there_v,
                                                {.scale = scale, .path = path});
      expect_near(gradients.dv, expected_gradients.dv, "dv");
    }
}

// Uniform in [-0.5, 0.5).
template <class T>
attend::Tensor<T, 4> random_tensor(std::int64_t length, std::int64_t width, unsigned seed) {
  std::mt19937 random(seed);
  attend::Tensor<T, 4> tensor(1, 2, length, width);
  for (Eigen::Index n = 0; n < tensor.size(); ++n)
    tensor.data()[n] = T(static_cast<float>(random() % 4096) / 4096 - 0.5f);
  return tensor;
}

template <class T>
class GradientsOfGreatLogits : public ::testing::Test {};
using Elements = ::testing::Types<float, Eigen::half, Eigen::bfloat16>;
TYPED_TEST_SUITE(GradientsOfGreatLogits, Elements);

// The weights of a query's keys add up to 1, whatever the logits are: so the gradients of all
// values are, in all, those of all outputs.
TYPED_TEST(GradientsOfGreatLogits, OfValuesAddUp) {
  using T = TypeParam;
  const double tolerance = sizeof(T) == 4 ? 2e-4 : 20 * double(Eigen::NumTraits<T>::epsilon());
  for (const std::int64_t width : {64, 100, 140}) {
    const auto q = random_tensor<T>(40, width, 1), k = random_tensor<T>(70, width, 2),
               v = random_tensor<T>(70, 16, 3), grad_out = random_tensor<T>(40, 16, 4);
    const attend::cuda::Tensor<T, 4> there_q(q), there_k(k), there_v(v), there_grad_out(grad_out);
    const attend::Attend<T> attention{{.flash = true}};
    for (const double scale : {1e2, 700., -1e4, 1e7, 1e12, -1e21, 1e30})
      for (const Path path : {Path::flash, Path::mem_efficient, Path::math}) {
        if (path == Path::flash &&
            (sizeof(T) == 4 || attend::cuda::capability(0) < attend::kCapabilityA100))
          continue;
        SCOPED_TRACE(attend::name(path) + std::string(", width ") + std::to_string(width) +
                     ", scale " + std::to_string(scale));
        const attend::Call<T> call{.scale = scale, .path = path};
        const auto result = attention.forward(there_q, there_k, there_v, call);
        const auto dv =
            attention.backward(there_grad_out, result, there_q, there_k, there_v, call).dv.host();
        for (int h = 0; h < 2; ++h)
          for (int c = 0; c < 16; ++c) {
            double expected = 0, sum = 0;
            for (int i = 0; i < 40; ++i) expected += double(grad_out(0, h, i, c));
            for (int j = 0; j < 70; ++j) sum += double(dv(0, h, j, c));
            EXPECT_NEAR(sum, expected, tolerance) << "head " << h << ", column " << c;
          }
      }
  }
}

/// Sizes, and what else is asked for.
struct Beside {
  const char* name;
  int heads_kv, len_q, d, e;
  attend::Extents<4> bias;  ///< what makes rows great, or heads
  bool everything;          ///< dropout, a mask with rows that see nothing, poison behind it
};
constexpr Beside kBeside[] = {{"plain", 2, 150, 64, 64, {1, 2, 150, 1}, false},
                              {"grouped", 1, 70, 40, 72, {1, 1, 70, 1}, true},
                              {"wide", 2, 70, 100, 130, {1, 2, 70, 1}, true},
                              {"heads", 1, 70, 64, 20, {1, 2, 1, 1}, true}};

// Some rows are trusted and some are not, by what is added to their scores; next to the limits,
// too.
TYPED_TEST(GradientsOfGreatLogits, BesideOthers) {
  using T = TypeParam;
  constexpr int kKeys = 200;
  const float limit = static_cast<float>(attend::kTrustedLse<T>);
  const attend::Attend<T> attention{{.dropout = 0.2, .flash = true}};
  attend::Attend<T> without = attention;
  without.eval();
  for (const Beside& c : kBeside) {
    const auto q = random_tensor<T>(c.len_q, c.d, 1), grad_out = random_tensor<T>(c.len_q, c.e, 4);
    attend::Tensor<T, 4> k(1, c.heads_kv, kKeys, c.d), v(1, c.heads_kv, kKeys, c.e);
    k = random_tensor<T>(kKeys, c.d, 2).slice(attend::Offsets<4>{}, k.dimensions());
    v = random_tensor<T>(kKeys, c.e, 3).slice(attend::Offsets<4>{}, v.dimensions());
    attend::Tensor<float, 4> bias(c.bias[0], c.bias[1], c.bias[2], c.bias[3]);
    for (int h = 0; h < c.bias[1]; ++h)
      for (int i = 0; i < c.bias[2]; ++i) {
        const int n = c.bias[2] == 1 ? 5 : i;
        bias(0, h, i, 0) = n % 7 == 3 ? limit - 3 : n % 7 == 5 && h == 1 ? -5 * limit : 0.5f;
      }
    attend::Tensor<bool, 4> mask(1, 1, c.len_q, kKeys);
    for (int i = 0; i < c.len_q; ++i)
      for (int j = 0; j < kKeys; ++j) mask(0, 0, i, j) = (3 * i + j) % 5 != 0 && i % 11 != 4;
    if (c.everything)
      for (int h = 0; h < c.heads_kv; ++h) {
        for (int i = 0; i < c.len_q; ++i) mask(0, 0, i, 77) = false;
        k(0, h, 77, 3) = v(0, h, 77, 5) = std::numeric_limits<T>::quiet_NaN();
      }
    const attend::cuda::Tensor<T, 4> there_q(q), there_k(k), there_v(v), there_grad_out(grad_out);
    const attend::cuda::Tensor<float, 4> there_bias(bias);
    const attend::cuda::Tensor<bool, 4> there_mask(mask);
    const attend::Attend<T>& used = c.everything ? attention : without;
    attend::Call<T> on_host{.causal = attend::Causal::bottom_right, .rng = attend::Rng{5, 7}};
    attend::Call<T> call = on_host;
    on_host.bias = bias, call.bias = there_bias;
    if (c.everything) on_host.mask = mask, call.mask = there_mask;
    const auto expected_forward = used.forward(q, k, v, on_host);
    const auto expected = used.backward(grad_out, expected_forward, q, k, v, on_host);
    for (const Path path : {Path::flash, Path::mem_efficient, Path::math}) {
      if (path == Path::flash &&
          (sizeof(T) == 4 || attend::cuda::capability(0) < attend::kCapabilityA100))
        continue;
      SCOPED_TRACE(c.name + std::string(", ") + attend::name(path));
      call.path = path;
      const auto result = used.forward(there_q, there_k, there_v, call);
      const auto gradients = used.backward(there_grad_out, result, there_q, there_k, there_v, call);
      const auto expect_close = [](const auto& there, const auto& host, double tolerance,
                                   const char* what) {
        const auto here = there.host();
        ASSERT_EQ(here.size(), host.size());
        for (Eigen::Index n = 0; n < here.size(); ++n) {
          const double x = double(host.data()[n]);
          ASSERT_NEAR(double(here.data()[n]), x, tolerance * (1 + std::abs(x))) << what << " " << n;
        }
      };
      const double tolerance = sizeof(T) == 4 ? 1e-3 : 0.02;
      expect_close(gradients.dq, expected.dq, tolerance, "dq");
      expect_close(gradients.dk, expected.dk, tolerance, "dk");
      expect_close(gradients.dv, expected.dv, tolerance, "dv");
      expect_close(gradients.dbias, expected.dbias, tolerance, "dbias");
    }
  }
}

}  // namespace
