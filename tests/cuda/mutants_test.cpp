// Bugs planted in the kernels' PTX: each must be found, by the machine or by the result.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>

#include "cuda/planted.hpp"
#include "cuda/tensors.hpp"

namespace planted {
namespace {

using device::close;
using device::random;
using Half = Eigen::half;

// Whether a pass with every part in it gives what the host gives.
bool right() {
  const auto q = random<Half>(1, 2, 80, 40), k = random<Half>(1, 2, 150, 40);
  auto v = random<Half>(1, 2, 150, 48);
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
  call.path = attend::Path::fused;
  call.mask = mask;
  const auto expected = attention.forward(q, k, v, call);
  if (!close(result.out.host(), expected.out, 1e-2f) ||
      !close(result.lse.host(), expected.lse, 1e-2f))
    return false;
  // Without a tile of keys nothing but a row's end is left.
  const auto nothing = attention.forward(
      dq, dk, dv, {.causal = attend::Causal::offset(-80), .path = attend::Path::mem_efficient});
  const auto zeros = nothing.out.host();
  for (Eigen::Index n = 0; n < zeros.size(); ++n)
    if (float(zeros.data()[n]) != 0) return false;
  return true;
}

// On 7.5, where flash's kernels cannot run.
TEST_P(Mutants, AreCaught) { expect_caught(right, {7, 5}); }

constexpr const char* kKernel = "TensorCoreEngineINS_3F16ELi64E";
INSTANTIATE_TEST_SUITE_P(
    All, Mutants,
    ::testing::Values(Mutant{"barrier_0", kKernel, kBarrier, 0, ""},
                      Mutant{"barrier_1", kKernel, kBarrier, 1, ""},
                      Mutant{"barrier_2", kKernel, kBarrier, 2, ""},
                      Mutant{"keys_not_transposed", kKernel, kTransposed, 0, "ldmatrix$1"},
                      Mutant{"queries_transposed", kKernel, kNotTransposed, 0,
                             "ldmatrix$1.trans.shared"},
                      Mutant{"product_left_out", kKernel, kProduct, 3, ""},
                      Mutant{"exp_of_another", kKernel, "ex2\\.approx", 4, "rcp.approx"},
                      Mutant{"lane_of_another", kKernel, "shfl\\.sync\\.bfly", 0, "shfl.sync.idx"}),
    name_of);

TEST(NoMutant, IsRight) { EXPECT_TRUE(right_without_mutant(right, {7, 5})); }

}  // namespace
}  // namespace planted
