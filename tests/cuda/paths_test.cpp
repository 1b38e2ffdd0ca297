// The fused kernels against the math path's, on the same inputs.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <vector>

#include "cross/backward_check.hpp"
#include "cuda/backward_path.hpp"
#include "cuda/flash_cases.hpp"
#include "support/reference.hpp"

namespace {

using attend::Path;
using Half = Eigen::half;
using support::Case;

// The most that the device has: mem_efficient runs flash's kernels where there are any.
Path fused_path() {
  return attend::cuda::capability(0) < attend::kCapabilityA100 ? Path::mem_efficient : Path::flash;
}

// The shared cases of these names, and rows that are copied by pairs and quads of elements; all
// with dropout.
std::vector<Case> cases() {
  std::vector<Case> list = {
      {.name = "by_quads", .len_q = 70, .len_k = 90, .head_dim = 20, .head_dim_v = 36},
      {.name = "by_pairs", .len_q = 40, .len_k = 90, .head_dim = 42, .head_dim_v = 30},
      {.name = "by_quads_wide", .len_q = 20, .len_k = 40, .head_dim = 100, .head_dim_v = 70},
      {.name = "by_pairs_widest", .len_q = 20, .len_k = 20, .head_dim = 138, .head_dim_v = 132}};
  for (const Case& c : device::flash_cases())
    for (const char* name : {"len_113_203_causal", "softcap", "bias_infinite", "alibi_batch_causal",
                             "mask_random", "lengths_uniform", "gqa", "dropout_uniform"})
      if (c.name == name || c.name == std::string(name) + "_wider") list.push_back(c);
  for (Case& c : list) c.dropout = 0.3;
  return list;
}

class Paths : public ::testing::TestWithParam<Case> {};

template <class T>
void check(const Case& c) {
  SCOPED_TRACE(attend::name(attend::ElementTraits<T>::kDtype));
  const oracle::Problem problem = support::problem<T>(c);
  const support::Sample<T> sample(problem, c.layout);
  const support::Reference<T> reference(problem);
  const auto forward = [&](Path path) {
    return support::run<T>(device::forward_path<T>(path), sample);
  };
  const support::Answer fused = forward(fused_path()), math = forward(Path::math);
  EXPECT_TRUE(support::within(fused.out, math.out, 1.5 * reference.allowed_out)) << "out";
  EXPECT_TRUE(support::within(fused.lse, math.lse, 1.5 * reference.allowed_lse)) << "lse";

  const cross::IncomingGradients<T> incoming(problem, c.seed + 1);
  const cross::GradientReference<T> gradients(problem, incoming);
  const auto backward = [&](Path path) {
    return cross::run_backward(sample, incoming, problem, c.layout, 1,
                               device::backward_path<T>(path));
  };
  EXPECT_EQ(gradients.faults(backward(fused_path()), backward(Path::math)), "");
}

TEST_P(Paths, Agree) {
  if (GetParam().seed % 2 == 0) return check<Eigen::bfloat16>(GetParam());
  check<Half>(GetParam());
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Kernels, Paths, ::testing::ValuesIn(cases()), case_name);

// With values that are the rows of a unit matrix, outputs are the probabilities; with such a
// gradient of the output, that of the values is: what is dropped is 0 there, and nothing else is.
TEST(Paths, DropTheSameElements) {
  constexpr std::int64_t kHeads = 3, kLength = 120;
  attend::Tensor<Half, 4> unit(2, kHeads, kLength, kLength), q(2, kHeads, kLength, 20);
  unit.setZero(), q.setRandom();
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t h = 0; h < kHeads; ++h)
      for (std::int64_t n = 0; n < kLength; ++n) unit(b, h, n, n) = Half(1);
  const attend::cuda::Tensor<Half, 4> there_q(q), there_unit(unit);
  const attend::Attend<Half> attention{{.dropout = 0.4, .flash = true}};
  struct Kept {
    attend::Tensor<Half, 4> by_output, by_gradient;
  };
  const auto kept = [&](Path path) {
    const attend::Call<Half> call{.rng = attend::Rng{12, (std::uint64_t{1} << 32) - 9},
                                  .path = path};
    const auto result = attention.forward(there_q, there_q, there_unit, call);
    const auto gradients =
        attention.backward(there_unit, result, there_q, there_q, there_unit, call);
    return Kept{result.out.host(), gradients.dv.host()};
  };
  const Kept fused = kept(fused_path()), math = kept(Path::math);
  Eigen::Index dropped = 0;
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t h = 0; h < kHeads; ++h)
      for (std::int64_t i = 0; i < kLength; ++i)
        for (std::int64_t j = 0; j < kLength; ++j) {
          const bool is_dropped = fused.by_output(b, h, i, j) == Half(0);
          ASSERT_EQ(math.by_output(b, h, i, j) == Half(0), is_dropped) << i << " " << j;
          ASSERT_EQ(fused.by_gradient(b, h, j, i) == Half(0), is_dropped) << i << " " << j;
          ASSERT_EQ(math.by_gradient(b, h, j, i) == Half(0), is_dropped) << i << " " << j;
          dropped += is_dropped ? 1 : 0;
        }
  const auto count = double(unit.size());
  EXPECT_NEAR(double(dropped), 0.4 * count, 4 * std::sqrt(0.24 * count));
}

}  // namespace
