// Bugs planted in the kernels' PTX: each must be found, by the machine or by the result.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>

#include "cuda/planted.hpp"

namespace {

using Half = Eigen::half;

// Whether a pass with every part in it gives what the host gives.
bool right() {
  attend::Tensor<Half, 4> q(1, 2, 80, 40), k(1, 2, 150, 40), v(1, 2, 150, 48);
  q.setRandom(), k.setRandom(), v.setRandom();
  attend::Tensor<bool, 2> mask(1, 150);
  mask.setConstant(true);
  mask(0, 5) = mask(0, 70) = false;
  v(0, 0, 5, 3) = v(0, 1, 70, 47) = Half(NAN);
  const attend::Attend<Half> attention{{.dropout = 0.1, .flash = true}};
  const attend::cuda::Tensor<bool, 2> dmask(mask);
  attend::Call<Half> call{.mask = dmask,
                          .causal = attend::Causal::bottom_right,
                          .rng = attend::Rng{1, 2},
                          .path = attend::Path::mem_efficient};
  const attend::cuda::Tensor<Half, 4> dq(q), dk(k), dv(v);
  const auto result = attention.forward(dq, dk, dv, call);
  const auto out = result.out.host();
  const auto lse = result.lse.host();
  call.path = attend::Path::fused;
  call.mask = mask;
  const auto expected = attention.forward(q, k, v, call);
  for (Eigen::Index n = 0; n < out.size(); ++n)
    if (!(std::abs(float(out.data()[n]) - float(expected.out.data()[n])) < 1e-2f)) return false;
  for (Eigen::Index n = 0; n < lse.size(); ++n)
    if (!(std::abs(lse.data()[n] - expected.lse.data()[n]) < 1e-2f)) return false;
  return true;
}

using planted::Mutant;
class Mutants : public planted::Mutants {};

// On 7.5, where flash's kernels cannot run.
TEST_P(Mutants, AreCaught) { expect_caught(right, {7, 5}); }

constexpr const char* kKernel = "TensorCoreEngineINS_3F16ELi64E";
INSTANTIATE_TEST_SUITE_P(
    All, Mutants,
    ::testing::Values(Mutant{"barrier_0", kKernel, "bar\\.sync[^;]*;", 0, ""},
                      Mutant{"barrier_1", kKernel, "bar\\.sync[^;]*;", 1, ""},
                      Mutant{"barrier_2", kKernel, "bar\\.sync[^;]*;", 2, ""},
                      Mutant{"keys_not_transposed", kKernel, "ldmatrix(.*)\\.trans", 0,
                             "ldmatrix$1"},
                      Mutant{"queries_transposed", kKernel, "ldmatrix(.*x4)\\.shared", 0,
                             "ldmatrix$1.trans.shared"},
                      Mutant{"product_left_out", kKernel, "mma\\.sync[^;]*;", 3, ""},
                      Mutant{"exp_of_another", kKernel, "ex2\\.approx", 4, "rcp.approx"},
                      Mutant{"lane_of_another", kKernel, "shfl\\.sync\\.bfly", 0, "shfl.sync.idx"}),
    [](const auto& info) { return info.param.name; });

TEST(NoMutant, IsRight) { EXPECT_TRUE(planted::right_without_mutant(right, {7, 5})); }

}  // namespace
