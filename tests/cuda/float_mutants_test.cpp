// Bugs planted in the kernels of floats: each must be found, by the machine or by the result.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>
#include <limits>

#include "cuda/planted.hpp"
#include "cuda/tensors.hpp"

namespace planted {
namespace {

using device::close;
using device::random;
using Float4 = attend::Tensor<float, 4>;

// The first 128 queries see no key, and the last one alone sees NaN; tiles go more than once around
// the ring. Few keys weigh much, so that scores matter.
bool floats_are_right() {
  static const Float4 q = random<float>(1, 1, 300, 40) * 16.0f, k = random<float>(1, 1, 170, 40),
                      v = [] {
                        Float4 values = random<float>(1, 1, 170, 48);
                        values(0, 0, 169, 3) = NAN;
                        return values;
                      }();
  static const attend::Attend<float> attention{{.flash = true}};
  attend::Call<float> call{.causal = attend::Causal::bottom_right};
  static const auto expected = attention.forward(q, k, v, call);
  call.path = attend::Path::mem_efficient;
  const attend::cuda::Tensor<float, 4> there_q(q), there_k(k), there_v(v);
  const auto result = attention.forward(there_q, there_k, there_v, call);
  // Nearer than a part of a float that is left out would be.
  return close(result.out.host(), expected.out, 1e-5f) &&
         close(result.lse.host(), expected.lse, 2e-4f);  // numbers of some hundred
}

class FloatMutants : public Mutants {};

TEST_P(FloatMutants, AreCaught) { expect_caught(floats_are_right); }

constexpr const char* kKernel =
    "5flash.*FloatEngineILi64ELNS0_11FlashScoresE0EEENS_7VariantIfNS_10NoScoreModENS_9NoMaskModE";

// Products are 24 each of sums of 16 products of numbers: eight with the left operand's smalls,
// eight with the right one's, eight of bigs. The first two of those are scores, the next outputs.
INSTANTIATE_TEST_SUITE_P(
    Floats, FloatMutants,
    ::testing::Values(
        Mutant{"rows_barrier", kKernel, kBarrier, 1, ""},
        Mutant{"keys_barrier", kKernel, kBarrier, 2, ""},
        Mutant{"values_barrier", kKernel, kBarrier, 3, ""},
        Mutant{"keys_waited_for_too_little", kKernel, kWait, 0, "cp.async.wait_group 3;"},
        Mutant{"values_waited_for_too_little", kKernel, kWait, 1, "cp.async.wait_group 3;"},
        Mutant{"keys_no_group", kKernel, kCommit, 4, ""},
        Mutant{"tile_of_keys_not_copied", kKernel, kCopy, 16, ""},
        Mutant{"ring_too_long", kKernel, "(setp\\.eq\\.s32.*), 4;", 0, "$1, 5;"},
        Mutant{"queries_small_left_out", kKernel, kProduct, 3, ""},
        Mutant{"keys_small_left_out", kKernel, kProduct, 11, ""},
        Mutant{"score_left_out", kKernel, kProduct, 19, ""},
        Mutant{"weights_small_left_out", kKernel, kProduct, 51, ""},
        Mutant{"values_small_left_out", kKernel, kProduct, 59, ""},
        Mutant{"weighted_values_left_out", kKernel, kProduct, 67, ""},
        Mutant{"small_of_the_wrong_sign", kKernel, "sub\\.f32", 0, "add.f32"},
        Mutant{"values_swizzle", kKernel, "xor\\.b32 +\t?(%r\\d+), (%r\\d+), 64;", 0,
               "xor.b32 $1, $2, 32;"},
        Mutant{"values_columns_swapped", kKernel, "ld\\.shared\\.v2\\.f32 \\{(%f\\d+),(%f\\d+)\\}",
               0, "ld.shared.v2.f32 {$2,$1}"},
        Mutant{"no_rescaling", kKernel, kAnyLane, 1, "setp.ne.u32$1, $2, $2;"},
        Mutant{"values_not_looked_at", kKernel, "bar\\.red\\.or", 0, "bar.red.and"}),
    name_of);

// The same on warpgroups, which have 64 keys in a tile and each tile in two parts. Of the sums of
// 16 products of numbers each is six products: two of the left operand's smalls, two of the right
// one's, two of bigs; those of scores are 24, and then come those of outputs.
class FloatWarpgroupMutants : public Mutants {};

TEST_P(FloatWarpgroupMutants, AreCaught) { expect_caught(floats_are_right, kHopper); }

constexpr const char* kWarpgroupKernel =
    "flash_warpgroup.*FloatWarpgroupEngineILi64ELNS0_11FlashScoresE0E.*9NoMaskModE";
constexpr const char* kBigPiece = "(st\\.shared\\.v4\\.u32[^{]*)\\{(%r\\d+), (%r\\d+)([^;]*);";
constexpr const char* kSmallPiece = "st\\.shared\\.v4\\.f32[^;{]*\\+16384\\][^;]*;";

INSTANTIATE_TEST_SUITE_P(
    Floats, FloatWarpgroupMutants,
    ::testing::Values(
        Mutant{"keys_not_waited_for", kWarpgroupKernel, kArrived, 2, "mov.u32 $1, 1;"},
        Mutant{"values_not_waited_for", kWarpgroupKernel, kArrived, 3, "mov.u32 $1, 1;"},
        Mutant{"keys_not_free", kWarpgroupKernel, kArrived, 7, "mov.u32 $1, 1;"},
        Mutant{"values_not_free", kWarpgroupKernel, kArrived, 8, "mov.u32 $1, 1;"},
        Mutant{"keys_never_free", kWarpgroupKernel, kArrive, 2, ""},
        Mutant{"values_never_there", kWarpgroupKernel, kArrive, 7, ""},
        Mutant{"keys_not_for_products", kWarpgroupKernel, kProxy, 3, ""},
        Mutant{"values_not_for_products", kWarpgroupKernel, kProxy, 4, ""},
        Mutant{"registers_written_too_early", kWarpgroupKernel, kFence, 1, ""},
        Mutant{"scores_of_no_group", kWarpgroupKernel, kGroup, 0, ""},
        Mutant{"scores_read_too_early", kWarpgroupKernel, kDone, 3, ""},
        Mutant{"outputs_read_too_early", kWarpgroupKernel, kDone, 7, ""},
        Mutant{"queries_small_left_out", kWarpgroupKernel, kWarpgroupProduct, 1, ""},
        Mutant{"keys_small_left_out", kWarpgroupKernel, kWarpgroupProduct, 2, ""},
        Mutant{"score_left_out", kWarpgroupKernel, kWarpgroupProduct, 5, ""},
        Mutant{"weights_small_left_out", kWarpgroupKernel, kWarpgroupProduct, 25, ""},
        Mutant{"values_small_left_out", kWarpgroupKernel, kWarpgroupProduct, 27, ""},
        Mutant{"weighted_values_left_out", kWarpgroupKernel, kWarpgroupProduct, 29, ""},
        Mutant{"keys_big_not_there", kWarpgroupKernel, kBigPiece, 0, ""},
        Mutant{"keys_small_not_there", kWarpgroupKernel, kSmallPiece, 0, ""},
        Mutant{"keys_columns_swapped", kWarpgroupKernel, kBigPiece, 3, "$1{$3, $2$4;"},
        Mutant{"values_big_not_there", kWarpgroupKernel, kBigPiece, 12, ""},
        Mutant{"values_small_not_there", kWarpgroupKernel, kSmallPiece, 12, ""},
        Mutant{"values_keys_swapped", kWarpgroupKernel, kBigPiece, 15, "$1{$3, $2$4;"}),
    name_of);

// Gradients of more queries and keys than a tile has, also where a query and a key are as great as
// floats can be: that query's output has no gradient, and that key weighs nothing. And where a
// value is, of which gradients are as small.
bool float_gradients_are_right() {
  constexpr float kGreatest = std::numeric_limits<float>::max();
  static const Float4 some_q = random<float>(1, 1, 100, 40) * 8.0f,
                      some_k = random<float>(1, 1, 90, 40), some_v = random<float>(1, 1, 90, 48),
                      some_grad_out = random<float>(1, 1, 100, 48);
  Float4 q = some_q, k = some_k, v = some_v, grad_out = some_grad_out;
  const auto right = [&](attend::Call<float> call) {
    const attend::Attend<float> attention{{.flash = true}};
    const auto forward = attention.forward(q, k, v, call);
    const auto expected = attention.backward(grad_out, forward, q, k, v, call);
    call.path = attend::Path::mem_efficient;
    const attend::cuda::Tensor<float, 4> there_q(q), there_k(k), there_v(v),
        there_grad_out(grad_out), out(forward.out);
    const attend::cuda::Tensor<float, 3> lse(forward.lse);
    const auto g =
        attention.backward(there_grad_out, {forward, out, lse}, there_q, there_k, there_v, call);
    return close(g.dq.host(), expected.dq, 3e-6f) && close(g.dk.host(), expected.dk, 3e-5f) &&
           close(g.dv.host(), expected.dv, 2e-5f);
  };
  if (!right({.causal = attend::Causal::top_left})) return false;
  for (int j = 0; j < 90; ++j) k(0, 0, j, 3) = 0;
  for (int c = 0; c < 48; ++c) grad_out(0, 0, 70, c) = 0;
  q(0, 0, 70, 3) = kGreatest, k(0, 0, 5, 3) = -kGreatest;
  if (!right({})) return false;
  q = some_q, k = some_k, grad_out = some_grad_out;
  for (int i = 0; i < 100; ++i) grad_out(0, 0, i, 7) = 1e-38f;
  v(0, 0, 9, 7) = kGreatest;
  return right({});
}

class FloatBackwardMutants : public Mutants {};

TEST_P(FloatBackwardMutants, AreCaught) { expect_caught(float_gradients_are_right); }

constexpr const char* kKeys = "13key_gradients.*FloatGradientEngineILi64E.*NoScoreModE";
constexpr const char* kQuery = "14query_gradient.*FloatGradientEngineILi64E.*NoScoreModE";
INSTANTIATE_TEST_SUITE_P(
    Floats, FloatBackwardMutants,
    ::testing::Values(
        Mutant{"keys_barrier_0", kKeys, kBarrier, 0, ""},
        Mutant{"keys_rows_not_looked_at", kKeys, "bar\\.red\\.or", 1, "bar.red.and"},
        Mutant{"keys_columns_not_looked_at", kKeys, "bar\\.red\\.or", 2, "bar.red.and"},
        Mutant{"keys_small_left_out", kKeys, kProduct, 3, ""},
        Mutant{"keys_queries_small_left_out", kKeys, kProduct, 11, ""},
        Mutant{"keys_late_product_left_out", kKeys, kProduct, 60, ""},
        Mutant{"keys_exp_of_another", kKeys, "ex2\\.approx", 1, "rcp.approx"},
        Mutant{"keys_columns_swapped", kKeys, "ld\\.shared\\.v2\\.f32 \\{(%f\\d+),(%f\\d+)\\}", 0,
               "ld.shared.v2.f32 {$2,$1}"},
        Mutant{"query_barrier_0", kQuery, kBarrier, 0, ""},
        Mutant{"query_columns_not_looked_at", kQuery, "bar\\.red\\.or", 2, "bar.red.and"},
        Mutant{"query_small_left_out", kQuery, kProduct, 3, ""},
        Mutant{"query_product_left_out", kQuery, kProduct, 67, ""}),
    name_of);

// The same on warpgroups. Of key_gradients the first 24 products each are S^T and dP^T, then dV and
// dK; of query_gradient S, dP and dQ.
class FloatWarpgroupBackwardMutants : public Mutants {};

TEST_P(FloatWarpgroupBackwardMutants, AreCaught) {
  expect_caught(float_gradients_are_right, kHopper);
}

constexpr const char* kWarpgroupKeys =
    "13key_gradients.*FloatWarpgroupGradientEngineILi64E.*NoScoreModE";
constexpr const char* kWarpgroupQuery =
    "14query_gradient.*FloatWarpgroupGradientEngineILi64E.*NoScoreModE";
constexpr const char* kPiece = "st\\.shared\\.v4[^;]*;";
INSTANTIATE_TEST_SUITE_P(
    Floats, FloatWarpgroupBackwardMutants,
    ::testing::Values(
        Mutant{"keys_rows_not_looked_at", kWarpgroupKeys, "bar\\.red\\.or", 1, "bar.red.and"},
        Mutant{"keys_queries_not_for_products", kWarpgroupKeys, kProxy, 0, ""},
        Mutant{"keys_outputs_not_for_products", kWarpgroupKeys, kProxy, 1, ""},
        Mutant{"keys_fence", kWarpgroupKeys, kFence, 0, ""},
        Mutant{"keys_sums_read_too_early", kWarpgroupKeys, kDone, 9, ""},
        Mutant{"keys_small_left_out", kWarpgroupKeys, kWarpgroupProduct, 1, ""},
        Mutant{"keys_queries_small_left_out", kWarpgroupKeys, kWarpgroupProduct, 2, ""},
        Mutant{"keys_late_product_left_out", kWarpgroupKeys, kWarpgroupProduct, 53, ""},
        Mutant{"keys_big_not_there", kWarpgroupKeys, kPiece, 21, ""},
        Mutant{"keys_small_not_there", kWarpgroupKeys, kPiece, 22, ""},
        Mutant{"keys_transposed_big_not_there", kWarpgroupKeys, kPiece, 37, ""},
        Mutant{"keys_transposed_small_not_there", kWarpgroupKeys, kPiece, 38, ""},
        Mutant{"query_tiles_barrier", kWarpgroupQuery, kBarrier, 0, ""},
        Mutant{"query_columns_not_looked_at", kWarpgroupQuery, "bar\\.red\\.or", 4, "bar.red.and"},
        Mutant{"query_fence", kWarpgroupQuery, kFence, 0, ""},
        Mutant{"query_keys_not_for_products", kWarpgroupQuery, kProxy, 0, ""},
        Mutant{"query_small_left_out", kWarpgroupQuery, kWarpgroupProduct, 1, ""},
        Mutant{"query_product_left_out", kWarpgroupQuery, kWarpgroupProduct, 53, ""}),
    name_of);

TEST(NoFloatMutant, IsRight) {
  EXPECT_TRUE(right_without_mutant(floats_are_right));
  EXPECT_TRUE(right_without_mutant(floats_are_right, kHopper));
  EXPECT_TRUE(right_without_mutant(float_gradients_are_right));
  EXPECT_TRUE(right_without_mutant(float_gradients_are_right, kHopper));
}

}  // namespace
}  // namespace planted
