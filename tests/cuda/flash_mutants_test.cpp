// Bugs planted in the flash kernels: each must be found, by the machine or by the result.
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
using Half4 = attend::Tensor<Half, 4>;

using Result = decltype(attend::Attend<Half>().forward(Half4(), Half4(), Half4()));

// The host's results are computed once.
Result on_the_host(const attend::Attend<Half>& attention, const Half4& q, const Half4& k,
                   const Half4& v, attend::Call<Half> call) {
  call.rng = attend::Rng{1, 2};
  return attention.forward(q, k, v, call);
}

bool right(const attend::Attend<Half>& attention, const Half4& q, const Half4& k, const Half4& v,
           attend::Call<Half> call, const Result& expected) {
  call.rng = attend::Rng{1, 2};
  call.path = attend::Path::flash;
  const attend::cuda::Tensor<Half, 4> there_q(q), there_k(k), there_v(v);
  const auto result = attention.forward(there_q, there_k, there_v, call);
  return close(result.out.host(), expected.out, 1e-2f) &&
         close(result.lse.host(), expected.lse, 1e-2f);
}

// Dot products as scores. The first 128 queries see no key, and the last one alone sees NaN; tiles
// go once around the ring.
bool products_are_right() {
  static const Half4 q = random<Half>(1, 1, 300, 40), k = random<Half>(1, 1, 170, 40), v = [] {
    Half4 values = random<Half>(1, 1, 170, 48);
    values(0, 0, 169, 3) = Half(NAN);
    return values;
  }();
  static const attend::Attend<Half> attention{{.flash = true}};
  const attend::Call<Half> call{.causal = attend::Causal::bottom_right};
  static const auto expected = on_the_host(attention, q, k, v, call);
  return right(attention, q, k, v, call, expected);
}

// Everything at once. Two heads share keys; what is masked is NaN. The first block sees no key.
bool any_variant_is_right() {
  static const Half4 q = random<Half>(1, 2, 200, 64), k = random<Half>(1, 1, 104, 64), v = [] {
    Half4 values = random<Half>(1, 1, 104, 64);
    values(0, 0, 5, 3) = Half(NAN);
    return values;
  }();
  static const auto mask = [] {
    attend::Tensor<bool, 4> keeps(1, 1, 200, 104);
    for (Eigen::Index n = 0; n < keeps.size(); ++n) keeps.data()[n] = n % 104 != 5 && n % 7 != 3;
    return keeps;
  }();
  static const auto bias = [] {
    auto values = random<float>(1, 2, 1, 104);
    values(0, 1, 0, 9) = -INFINITY;
    return values;
  }();
  static const auto slopes = [] {
    attend::Tensor<float, 1> values(2);
    values.setValues({0.1f, 0.02f});
    return values;
  }();
  static const attend::Attend<Half> attention{{.dropout = 0.2, .flash = true}};
  attend::Call<Half> call{.softcap = 2,
                          .bias = bias,
                          .alibi = slopes,
                          .mask = mask,
                          .causal = attend::Causal::bottom_right,
                          .sink = slopes};
  static const auto expected = on_the_host(attention, q, k, v, call);
  const attend::cuda::Tensor<bool, 4> there_mask(mask);
  const attend::cuda::Tensor<float, 4> there_bias(bias);
  const attend::cuda::Tensor<float, 1> there_slopes(slopes);
  call.bias = there_bias, call.alibi = there_slopes, call.mask = there_mask;
  call.sink = there_slopes;
  return right(attention, q, k, v, call, expected);
}

// A mask of each head's own, which hides whole tiles from some queries.
bool masked_products_are_right() {
  static const Half4 q = random<Half>(1, 2, 200, 40), k = random<Half>(1, 1, 300, 40),
                     v = random<Half>(1, 1, 300, 40);
  static const auto mask = [] {
    attend::Tensor<bool, 4> keeps(1, 2, 200, 300);
    for (int h = 0; h < 2; ++h)
      for (int i = 0; i < 200; ++i)
        for (int j = 0; j < 300; ++j)
          keeps(0, h, i, j) = i / 100 == j / 150 && (i * 7 + j * 5 + h) % 11 != 3;
    return keeps;
  }();
  static const attend::Attend<Half> attention{{.flash = true}};
  attend::Call<Half> call{.mask = mask};
  static const auto expected = on_the_host(attention, q, k, v, call);
  const attend::cuda::Tensor<bool, 4> there_mask(mask);
  call.mask = there_mask;
  return right(attention, q, k, v, call, expected);
}

// Parts of the keys, merged; the greatest score is in the first.
bool split_keys_are_right() {
  static const Half4 q = random<Half>(1, 1, 1, 40), v = random<Half>(1, 1, 2100, 16), k = [] {
    Half4 keys = random<Half>(1, 1, 2100, 40);
    for (int d = 0; d < 40; ++d) keys(0, 0, 7, d) = q(0, 0, 0, d) * Half(2);
    return keys;
  }();
  static const attend::Attend<Half> attention{{.flash = true}};
  static const auto expected = on_the_host(attention, q, k, v, {});
  return right(attention, q, k, v, {}, expected);
}

class ProductsMutants : public Mutants {};
class AnyVariantMutants : public Mutants {};
class MaskMutants : public Mutants {};
class MergeMutants : public Mutants {};

TEST_P(ProductsMutants, AreCaught) { expect_caught(products_are_right); }
TEST_P(AnyVariantMutants, AreCaught) { expect_caught(any_variant_is_right); }
TEST_P(MaskMutants, AreCaught) { expect_caught(masked_products_are_right); }
TEST_P(MergeMutants, AreCaught) { expect_caught(split_keys_are_right); }

constexpr const char* kProducts =
    "5flash.*3F16ELi64ELNS0_11FlashScoresE0EEENS_7VariantIfNS_10NoScoreModENS_9NoMaskModE";
constexpr const char* kAny =
    "5flash.*3F16ELi64ELNS0_11FlashScoresE1EEENS_7VariantIfNS_10NoScoreModENS_9NoMaskModE";
constexpr const char* kPack = "9pack_maskINS_7VariantIfNS_10NoScoreModENS_9NoMaskModE";
constexpr const char* kMerge = "12merge_splitsINS_3F16E.*NoScoreModENS_9NoMaskModE";
constexpr const char* kFour = "\\{(%r\\d+),(%r\\d+),(%r\\d+),(%r\\d+)\\}";
constexpr const char* kXor = "xor\\.b32 +\t?(%r\\d+), (%r\\d+), ";

INSTANTIATE_TEST_SUITE_P(
    Flash, ProductsMutants,
    ::testing::Values(
        Mutant{"tile_barrier", kProducts, kBarrier, 0, ""},
        Mutant{"rows_barrier", kProducts, kBarrier, 1, ""},
        Mutant{"queries_barrier", kProducts, kBarrier, 2, ""},
        Mutant{"keys_barrier", kProducts, kBarrier, 3, ""},
        Mutant{"values_barrier", kProducts, kBarrier, 4, ""},
        Mutant{"queries_not_waited_for", kProducts, kWait, 0, ""},
        Mutant{"keys_waited_for_too_little", kProducts, kWait, 1, "cp.async.wait_group 3;"},
        Mutant{"values_waited_for_too_little", kProducts, kWait, 2, "cp.async.wait_group 3;"},
        Mutant{"past_the_last_key", kProducts,
               "setp\\.eq\\.u32 ignored, (%r\\d+), 0;(.*cp\\.async\\.cg)", 27,
               "setp.ne.u32 ignored, $1, $1;$2"},
        Mutant{"queries_no_group", kProducts, kCommit, 0, ""},
        Mutant{"keys_no_group", kProducts, kCommit, 4, ""},
        Mutant{"tile_of_keys_not_copied", kProducts, kCopy, 8, ""},
        Mutant{"ring_too_long", kProducts, "(setp\\.eq\\.s32.*), 4;", 4, "$1, 5;"},
        Mutant{"queries_swizzle", kProducts, std::string(kXor) + "32;", 0, "xor.b32 $1, $2, 16;"},
        Mutant{"keys_swizzle", kProducts, std::string(kXor) + "32;", 1, "xor.b32 $1, $2, 16;"},
        Mutant{"values_swizzle", kProducts, std::string(kXor) + "64;", 2, "xor.b32 $1, $2, 96;"},
        Mutant{"keys_fragments_swapped", kProducts, std::string("(ldmatrix.*shared.b16 )") + kFour,
               9, "$1{$2,$4,$3,$5}"},
        Mutant{"values_not_transposed", kProducts, kTransposed, 0, "ldmatrix$1"},
        Mutant{"score_left_out", kProducts, kProduct, 3, ""},
        Mutant{"weights_swapped", kProducts, std::string("(mma\\.sync.*), ") + kFour, 70,
               "$1, {$3,$2,$4,$5}"},
        Mutant{"mask_off_by_one", kProducts, "(min\\.s32 .*), 4;", 0, "$1, 3;"},
        Mutant{"mask_of_other_keys", kProducts, "(and\\.b32 .*), 28;", 0, "$1, 24;"},
        Mutant{"tile_skipped", kProducts, "(add\\.s32 .*), 64;", 12, "$1, 128;"},
        Mutant{"scale", kProducts, "(mul\\.f32 .*), 0f3FB8AA3B;", 0, "$1, 0f3F800000;"},
        Mutant{"maximum_of_one_lane", kProducts, "shfl\\.sync\\.bfly", 20, "shfl.sync.idx"},
        Mutant{"exp", kProducts, "ex2\\.approx\\.ftz", 1, "rcp.approx.ftz"},
        Mutant{"no_rescaling", kProducts, kAnyLane, 1, "setp.ne.u32$1, $2, $2;"},
        Mutant{"sum_of_one_lane", kProducts, "shfl\\.sync\\.bfly", 36, "shfl.sync.idx"},
        Mutant{"values_not_looked_at", kProducts, "bar\\.red\\.or", 1, "bar.red.and"},
        Mutant{"outputs_warp_barrier", kProducts, "bar\\.warp\\.sync[^;]*;", 3, ""}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Flash, AnyVariantMutants,
    ::testing::Values(Mutant{"keys_barrier", kAny, kBarrier, 2, ""},
                      Mutant{"values_barrier", kAny, kBarrier, 3, ""},
                      Mutant{"queries_fragments_swapped", kAny,
                             std::string("(ldmatrix.*shared.b16 )") + kFour, 0, "$1{$3,$2,$4,$5}"},
                      Mutant{"exit_without_waiting", kAny, kWait, 2, ""},
                      Mutant{"bias_of_other_keys", kAny, "(ld\\.global\\.v4\\.f32.*)\\+64\\]", 0,
                             "$1+80]"},
                      Mutant{"cap", kAny, "ex2\\.approx\\.ftz", 0, "rcp.approx.ftz"},
                      Mutant{"dropout_round", kAny, "(mul.*), 3528531795;", 3, "$1, 3528531793;"},
                      Mutant{"dropout_threshold", kAny, "setp\\.gt\\.u32", 1, "setp.le.u32"},
                      Mutant{"weights_warp_barrier", kAny, "bar\\.warp\\.sync[^;]*;", 4, ""}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Flash, MaskMutants,
    ::testing::Values(
        Mutant{"bytes_of_other_keys", kPack, "(ld\\.global\\.u32.*)\\+16\\]", 0, "$1+20]"},
        Mutant{"bits_swapped", kPack, "134480385", 0, "134480130"},  // 0x08040201
        Mutant{"bits_of_other_keys", kPack, "(shl\\.b32 .*), 12;", 0, "$1, 8;"},
        Mutant{"tile_of_each_word", kPack, "bar\\.red\\.or", 0, "bar.red.and"},
        Mutant{"words_of_other_rows", kProducts, "(shr\\.u64 .*), 2;", 0, "$1, 3;"},
        Mutant{"words_of_other_keys", kProducts, "(shr\\.s32 .*), 7;", 4, "$1, 8;"},
        Mutant{"other_tile_hidden", kProducts, "(shr\\.s32 .*), 7;", 2, "$1, 8;"},
        Mutant{"tiles_of_one_lane", kProducts, "vote\\.sync\\.ballot[^;]*, (%p\\d+), [^;]*;", 0,
               "selp.b32 $1, 1, 0, $1;"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Flash, MergeMutants,
    ::testing::Values(
        Mutant{"sum_not_rescaled", kMerge, "ex2\\.approx\\.ftz", 9, "rcp.approx.ftz"},
        Mutant{"output_not_rescaled", kMerge, "ex2\\.approx\\.ftz", 18, "rcp.approx.ftz"},
        Mutant{"part_forgotten", kMerge, "fma\\.rn\\.f32 +\t?(%f\\d+), (%f\\d+), (%f\\d+), \\1;", 1,
               "mul.f32 $1, $2, $3;"}),
    name_of);

TEST(NoFlashMutant, IsRight) {
  EXPECT_TRUE(right_without_mutant(products_are_right));
  EXPECT_TRUE(right_without_mutant(any_variant_is_right));
  EXPECT_TRUE(right_without_mutant(masked_products_are_right));
  EXPECT_TRUE(right_without_mutant(split_keys_are_right));
}

}  // namespace
}  // namespace planted
