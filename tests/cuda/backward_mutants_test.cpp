// Bugs planted in the kernels of the backward pass: each must be found, by the machine or by the
// result.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>

#include "cuda/planted.hpp"
#include "cuda/tensors.hpp"

namespace planted {
namespace {

using device::random;
using Half = Eigen::half;

// Whether the gradients of a path's call are what the host's are.
bool right(attend::Path path, attend::Call<Half> call, attend::Call<Half> host_call,
           double dropout) {
  auto q = random<Half>(1, 2, 80, 40), k = random<Half>(1, 2, 150, 40),
       v = random<Half>(1, 2, 150, 48), grad_out = random<Half>(1, 2, 80, 48);
  if (call.mask.given()) v(0, 0, 5, 3) = k(0, 1, 70, 39) = Half(NAN);  // of keys that are masked
  const attend::Attend<Half> attention{{.dropout = dropout, .flash = true}};
  host_call.rng = attend::Rng{1, 2};
  const auto forward = attention.forward(q, k, v, host_call);
  const auto expected = attention.backward(grad_out, forward, q, k, v, host_call);

  const attend::cuda::Tensor<Half, 4> there_q(q), there_k(k), there_v(v), there_grad_out(grad_out);
  const attend::cuda::Tensor<Half, 4> out(forward.out);
  const attend::cuda::Tensor<float, 3> lse(forward.lse);
  call.path = path;
  const auto g =
      attention.backward(there_grad_out, {forward, out, lse}, there_q, there_k, there_v, call);
  // No element is off by more than rounding to half can be.
  const auto close = [](const auto& a, const auto& b) {
    return device::close_for_scale(a.host(), b, 5e-3f);
  };
  return close(g.dq, expected.dq) && close(g.dk, expected.dk) && close(g.dv, expected.dv) &&
         close(g.dbias, expected.dbias);
}

// Whether a plain pass is right, and one with every part in it.
bool both_right(attend::Path path) {
  attend::Tensor<bool, 2> mask(1, 150);
  mask.setConstant(true);
  mask(0, 5) = mask(0, 70) = false;
  const auto bias = random<float>(1, 1, 80, 1);
  attend::Tensor<float, 1> slopes(2);
  slopes.setValues({0.1f, 0.02f});
  const attend::cuda::Tensor<bool, 2> there_mask(mask);
  const attend::cuda::Tensor<float, 4> there_bias(bias);
  const attend::cuda::Tensor<float, 1> there_slopes(slopes);
  attend::Call<Half> call{.softcap = 0.5,
                          .bias = bias,
                          .alibi = slopes,
                          .mask = mask,
                          .causal = attend::Causal::bottom_right};
  attend::Call<Half> there_call = call;
  there_call.bias = there_bias, there_call.alibi = there_slopes, there_call.mask = there_mask;
  return right(path, {}, {}, 0) && right(path, there_call, call, 0.1);
}

class BackwardMutants : public Mutants {};
class FlashBackwardMutants : public Mutants {};

// On 7.5, where flash's kernels cannot run.
TEST_P(BackwardMutants, AreCaught) {
  expect_caught([] { return both_right(attend::Path::mem_efficient); }, {7, 5});
}
TEST_P(FlashBackwardMutants, AreCaught) {
  expect_caught([] { return both_right(attend::Path::flash); });
}

constexpr const char* kKeys = "key_gradients.*TensorCoreGradientEngineINS_3F16ELi64E";
constexpr const char* kQuery = "query_gradient.*TensorCoreGradientEngineINS_3F16ELi64E";
constexpr const char* kBias = "bias_gradient.*TensorCoreGradientEngineINS_3F16ELi64E";
constexpr const char* kRows = "13row_gradientsINS_3F16E";
constexpr const char* kExclude = "selp\\.f32 (%f\\d+), 0f80000000, (%f\\d+), %p\\d+";
constexpr const char* kSeen = "setp\\.lt\\.u32 (%p\\d+), (%r\\d+), (%r\\d+);";
constexpr const char* kMasked = "ld\\.u8 (%rs\\d+), \\[(%rd\\d+)\\]";
constexpr const char* kDropped = "setp\\.gt\\.u64";
constexpr const char* kDropLane = "shfl\\.sync\\.idx";
INSTANTIATE_TEST_SUITE_P(
    All, BackwardMutants,
    ::testing::Values(
        Mutant{"keys_barrier_0", kKeys, kBarrier, 0, ""},
        Mutant{"keys_tile_not_transposed", kKeys, kTransposed, 0, "ldmatrix$1"},
        Mutant{"keys_tile_transposed", kKeys, kNotTransposed, 0, "ldmatrix$1.trans.shared"},
        Mutant{"keys_product_left_out", kKeys, kProduct, 3, ""},
        Mutant{"keys_exp_of_another", kKeys, "ex2\\.approx", 1, "rcp.approx"},
        Mutant{"keys_exp_within_of_another", kKeys, "ex2\\.approx", 3, "rcp.approx"},
        Mutant{"keys_delta_added", kKeys, "sub\\.f32", 4, "add.f32"},
        Mutant{"keys_delta_within_added", kKeys, "sub\\.f32", 6, "add.f32"},
        Mutant{"keys_excluded", kKeys, kExclude, 40, "mov.f32 $1, $2"},
        Mutant{"keys_seen_one_too_many", kKeys, kSeen, 3, "setp.le.u32 $1, $2, $3;"},
        Mutant{"keys_mask_of_another", kKeys, kMasked, 4, "ld.u8 $1, [$2+1]"},
        Mutant{"keys_dropped_are_kept", kKeys, kDropped, 1, "setp.lt.u64"},
        Mutant{"keys_dropout_lane_of_another", kKeys, kDropLane, 1, "shfl.sync.bfly"},
        Mutant{"query_barrier_0", kQuery, kBarrier, 0, ""},
        Mutant{"query_tile_not_transposed", kQuery, kTransposed, 0, "ldmatrix$1"},
        Mutant{"query_product_left_out", kQuery, kProduct, 0, ""},
        Mutant{"bias_barrier_0", kBias, kBarrier, 0, ""},
        Mutant{"bias_sum_left_out", kBias, kProduct, 5, ""},
        Mutant{"rows_lane_of_another", kRows, "shfl\\.sync\\.bfly", 0, "shfl.sync.idx"},
        Mutant{"rows_products_not_summed", kRows,
               "fma\\.rn\\.f32 (%f\\d+), (%f\\d+), (%f\\d+), %f\\d+;", 0, "mul.f32 $1, $2, $3;"}),
    name_of);

constexpr const char* kFlashKeys = "flash_key_gradients.*EngineINS_3F16ELi64E";
constexpr const char* kFlashQuery = "flash_query_gradient.*EngineINS_3F16ELi64E";
INSTANTIATE_TEST_SUITE_P(
    All, FlashBackwardMutants,
    ::testing::Values(
        Mutant{"keys_wait", kFlashKeys, kWait, 0, ""},
        Mutant{"keys_first_commit", kFlashKeys, kCommit, 0, ""},
        Mutant{"keys_copy_0", kFlashKeys, kCopy, 0, ""},
        Mutant{"keys_copy_next", kFlashKeys, kCopy, 9, ""},
        Mutant{"keys_copy_shifted", kFlashKeys, "cp\\.async\\.cg\\.shared\\.global \\[(%r\\d+)\\]",
               4, "cp.async.cg.shared.global [$1+16]"},
        Mutant{"keys_barrier_0", kFlashKeys, kBarrier, 0, ""},
        Mutant{"keys_barrier_1", kFlashKeys, kBarrier, 1, ""},
        Mutant{"keys_not_transposed", kFlashKeys, kTransposed, 1, "ldmatrix$1"},
        Mutant{"keys_transposed", kFlashKeys, kNotTransposed, 3, "ldmatrix$1.trans.shared"},
        Mutant{"keys_product_left_out", kFlashKeys, kProduct, 7, ""},
        Mutant{"keys_late_product_left_out", kFlashKeys, kProduct, 120, ""},
        Mutant{"keys_registers_swapped", kFlashKeys, "\\}, \\{(%r\\d+),(%r\\d+),(%r\\d+),", 5,
               "}, {$2,$1,$3,"},
        Mutant{"keys_weights_rounded_twice", kFlashKeys,
               "cvt\\.rn\\.f16x2\\.f32 (%r\\d+), (%f\\d+), %f\\d+", 2,
               "cvt.rn.f16x2.f32 $1, $2, $2"},
        Mutant{"keys_excluded", kFlashKeys, kExclude, 90, "mov.f32 $1, $2"},
        Mutant{"keys_seen_one_too_many", kFlashKeys, kSeen, 6, "setp.le.u32 $1, $2, $3;"},
        Mutant{"keys_mask_of_another", kFlashKeys, kMasked, 4, "ld.u8 $1, [$2+1]"},
        Mutant{"keys_cap_of_another", kFlashKeys, "ex2\\.approx", 34, "rcp.approx"},
        Mutant{"keys_dropped_are_kept", kFlashKeys, kDropped, 1, "setp.lt.u64"},
        Mutant{"keys_dropout_lane_of_another", kFlashKeys, kDropLane, 1, "shfl.sync.bfly"},
        Mutant{"query_excluded", kFlashQuery, kExclude, 44, "mov.f32 $1, $2"},
        Mutant{"query_mask_of_another", kFlashQuery, kMasked, 9, "ld.u8 $1, [$2+1]"},
        Mutant{"query_dropout_lane_of_another", kFlashQuery, kDropLane, 1, "shfl.sync.bfly"},
        Mutant{"query_wait", kFlashQuery, kWait, 0, ""},
        Mutant{"query_commit_ahead", kFlashQuery, kCommit, 1, ""},
        Mutant{"query_copy_0", kFlashQuery, kCopy, 0, ""},
        Mutant{"query_barrier_0", kFlashQuery, kBarrier, 0, ""},
        Mutant{"query_not_transposed", kFlashQuery, kTransposed, 0, "ldmatrix$1"},
        Mutant{"query_transposed", kFlashQuery, kNotTransposed, 0, "ldmatrix$1.trans.shared"},
        Mutant{"query_product_left_out", kFlashQuery, kProduct, 40, ""},
        Mutant{"query_registers_swapped", kFlashQuery, "\\}, \\{(%r\\d+),(%r\\d+),(%r\\d+),", 70,
               "}, {$2,$1,$3,"}),
    name_of);

TEST(NoBackwardMutant, IsRight) {
  const auto right_on = [](attend::Path path) { return [=] { return both_right(path); }; };
  EXPECT_TRUE(right_without_mutant(right_on(attend::Path::mem_efficient), {7, 5}));
  EXPECT_TRUE(right_without_mutant(right_on(attend::Path::flash)));
}

}  // namespace
}  // namespace planted
