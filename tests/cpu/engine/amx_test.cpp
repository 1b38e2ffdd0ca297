// The AMX engine's own machine code against the emulated engine's plain C++, on any processor with
// AVX-512-BF16.
#if defined(__x86_64__) && defined(__linux__)

#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "amx_instructions.hpp"

namespace attend::cpu {
namespace {

using T = Eigen::bfloat16;

struct Sizes {
  std::int64_t len_q, len_k, head_dim, head_dim_v;
  bool causal = false;
};

std::vector<T> random_elements(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<T> elements(static_cast<std::size_t>(count));
  for (T& x : elements) x = T(normal(random));
  return elements;
}

struct Answer {
  std::vector<T> out;
  std::vector<float> lse;
};

Answer forward(const Kernels<T>& kernels, const Sizes& sizes) {
  const auto [len_q, len_k, d, e, causal] = sizes;
  const Problem problem{
      .len_q = len_q, .len_k = len_k, .head_dim = d, .head_dim_v = e, .dtype = Dtype::bf16};
  const std::vector<T> q = random_elements(len_q * d, 1), k = random_elements(len_k * d, 2),
                       v = random_elements(len_k * e, 3);
  Answer answer{std::vector<T>(static_cast<std::size_t>(len_q * e)),
                std::vector<float>(static_cast<std::size_t>(len_q))};
  const ForwardTensors<T> tensors{.q = {q.data(), {1, 1, len_q, d}},
                                  .k = {k.data(), {1, 1, len_k, d}},
                                  .v = {v.data(), {1, 1, len_k, e}},
                                  .out = {answer.out.data(), {1, 1, len_q, e}},
                                  .lse = {answer.lse.data(), {1, 1, len_q}}};
  Variant<float> variant;
  variant.scale = 1 / std::sqrt(static_cast<float>(d));
  variant.causal = causal;
  const FusedPlan plan = plan_fused(problem, kernels.tuning);
  const FusedHooks<T> hooks = fused_hooks<T>(variant);
  run_items<FusedBlock<T>>(FusedCall<T>{problem, variant, hooks, tensors, kernels, plan, {}},
                           plan.splits > 1, Workers());
  return answer;
}

class Amx : public ::testing::TestWithParam<Sizes> {
 protected:
  void SetUp() override {
    if (!available(Engine::avx512_bf16)) GTEST_SKIP() << "no AVX-512-BF16 here";
  }
};

TEST_P(Amx, ComputesWhatItsInstructionsAreDefinedToGive) {
  const Answer expected = forward(kernels_of<T>(Engine::emulated_amx), GetParam());
  const amx_instructions::Available amx;
  const long before = amx_instructions::state.executed;
  static constexpr Kernels<T> kAmx = amx::table<T>();
  const Answer answer = forward(kAmx, GetParam());
  if (!amx::permitted()) {
    EXPECT_GT(amx_instructions::state.executed, before);
  }
  EXPECT_FALSE(amx_instructions::state.configured);  // tiles were given back
  for (std::size_t n = 0; n < answer.lse.size(); ++n)
    ASSERT_NEAR(answer.lse[n], expected.lse[n], 2e-6f * (1 + std::abs(expected.lse[n]))) << n;
  for (std::size_t n = 0; n < answer.out.size(); ++n) {
    const auto x = static_cast<float>(expected.out[n]);
    ASSERT_NEAR(static_cast<float>(answer.out[n]), x, 1e-2f * (0.1f + std::abs(x))) << n;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Amx,
                         ::testing::Values(Sizes{1, 1, 1, 1}, Sizes{16, 32, 32, 16},
                                           Sizes{33, 70, 64, 64}, Sizes{40, 300, 59, 40},
                                           Sizes{70, 290, 128, 32, true}, Sizes{17, 1100, 32, 32}));

}  // namespace
}  // namespace attend::cpu

#endif
