// Bugs planted in the kernels on warpgroups: each must be found, by the machine or by the result.
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
using There4 = attend::cuda::Tensor<Half, 4>;

// Dot products as scores. Tiles of keys go twice around the ring, and the last query alone sees a
// NaN, so that its tile is computed closely too.
bool products_are_right() {
  static const Half4 q = random<Half>(1, 1, 300, 40), k = random<Half>(1, 1, 420, 40), v = [] {
    Half4 values = random<Half>(1, 1, 420, 48);
    values(0, 0, 419, 3) = Half(NAN);
    return values;
  }();
  static const attend::Attend<Half> attention{{.flash = true}};
  attend::Call<Half> call{.causal = attend::Causal::bottom_right};
  static const auto expected = attention.forward(q, k, v, call);
  call.path = attend::Path::flash;
  const auto result = attention.forward(There4(q), There4(k), There4(v), call);
  return close(result.out.host(), expected.out, 1e-2f) &&
         close(result.lse.host(), expected.lse, 1e-2f);
}

// More tiles of queries than there are multiprocessors for: a block has three of them.
bool turns_are_right() {
  static const Half4 q = random<Half>(1, 300, 1, 40), k = random<Half>(1, 300, 3, 40),
                     v = random<Half>(1, 300, 3, 8);
  static const attend::Attend<Half> attention{{.flash = true}};
  static const auto expected = attention.forward(q, k, v).out;
  const auto out =
      attention.forward(There4(q), There4(k), There4(v), {.path = attend::Path::flash}).out.host();
  return close(out, expected, 1e-2f);
}

// Gradients of plain attention, of more than two tiles of queries and of keys.
bool gradients_are_right() {
  static const Half4 q = random<Half>(1, 2, 200, 40), k = random<Half>(1, 2, 330, 40),
                     v = random<Half>(1, 2, 330, 48), grad_out = random<Half>(1, 2, 200, 48);
  static const attend::Attend<Half> attention{{.flash = true}};
  static const auto forward = attention.forward(q, k, v);
  static const auto expected = attention.backward(grad_out, forward, q, k, v);
  const There4 out(forward.out);
  const attend::cuda::Tensor<float, 3> lse(forward.lse);
  const auto g = attention.backward(There4(grad_out), {forward, out, lse}, There4(q), There4(k),
                                    There4(v), {.path = attend::Path::flash});
  const auto near = [](const There4& a, const Half4& b) {
    return device::close_for_scale(a.host(), b, 5e-3f);
  };
  return near(g.dq, expected.dq) && near(g.dk, expected.dk) && near(g.dv, expected.dv);
}

class WarpgroupMutants : public Mutants {};
class TurnMutants : public Mutants {};
class WarpgroupGradientMutants : public Mutants {};

TEST_P(WarpgroupMutants, AreCaught) { expect_caught(products_are_right, kHopper); }
TEST_P(TurnMutants, AreCaught) { expect_caught(turns_are_right, kHopper); }
TEST_P(WarpgroupGradientMutants, AreCaught) { expect_caught(gradients_are_right, kHopper); }

constexpr const char* kForward = "flash_warpgroup.*3F16ELi64E.*FlashScoresE0E.*9NoMaskModE";
constexpr const char* kKeys = "warpgroup_key_gradients.*3F16ELi64E.*FlashScoresE0E.*9NoMaskModE";
constexpr const char* kQuery = "warpgroup_query_gradient.*3F16ELi64E.*FlashScoresE0E.*9NoMaskModE";

constexpr const char* kInit = "(mbarrier\\.init[^,]*), %r\\d+;";
constexpr const char* kComputeBarrier = "barrier\\.cta\\.sync\\.aligned 1[^;]*;";
constexpr const char* kCopied = "cp\\.async\\.mbarrier[^;\\[]*\\[(%r\\d+)\\];";
constexpr const char* kWarpgroupBarrier = "barrier\\.cta\\.sync\\.aligned %r[^;]*;";

INSTANTIATE_TEST_SUITE_P(
    Warpgroups, WarpgroupMutants,
    ::testing::Values(Mutant{"barriers_not_there_yet", kForward, kBarrier, 0, ""},
                      Mutant{"a_producer_too_few", kForward, kInit, 4, "$1, 96;"},
                      Mutant{"a_user_too_few", kForward, kInit, 10, "$1, 11;"},
                      Mutant{"a_user_too_many", kForward, kInit, 10, "$1, 13;"},
                      Mutant{"queries_not_waited_for", kForward, kArrived, 0, "mov.u32 $1, 1;"},
                      Mutant{"first_keys_not_waited_for", kForward, kArrived, 3, "mov.u32 $1, 1;"},
                      Mutant{"last_values_not_waited_for", kForward, kArrived, 8, "mov.u32 $1, 1;"},
                      Mutant{"keys_not_free", kForward, kArrived, 11, "mov.u32 $1, 1;"},
                      Mutant{"values_not_free", kForward, kArrived, 12, "mov.u32 $1, 1;"},
                      Mutant{"keys_never_free", kForward, kArrive, 2, ""},
                      Mutant{"keys_free_too_early", kForward, kDone, 0, ""},
                      Mutant{"values_free_too_early", kForward, kDone, 3,
                             "wgmma.wait_group.sync.aligned 1;"},
                      Mutant{"last_outputs_not_waited_for", kForward, kDone, 5, ""},
                      Mutant{"scores_written_too_early", kForward, kFence, 0, ""},
                      Mutant{"scores_of_no_group", kForward, kGroup, 0, ""},
                      Mutant{"outputs_of_no_group", kForward, kGroup, 5, ""},
                      Mutant{"score_left_out", kForward, kWarpgroupProduct, 1, ""},
                      Mutant{"keys_never_there", kForward, kCopied, 1, ""},
                      Mutant{"values_there_too_early", kForward, kCopied, 2,
                             "{.reg .b64 ignored; mbarrier.arrive.shared::cta.b64 ignored, [$1];}"},
                      Mutant{"keys_not_for_products", kForward, kProxy, 5, ""},
                      Mutant{"queries_still_read", kForward, kWarpgroupBarrier, 0, ""},
                      Mutant{"not_computed_again", kForward, "atom\\.shared\\.or[^;]*;", 0, ""},
                      Mutant{"rows_anew_barrier", kForward, kComputeBarrier, 3, ""},
                      Mutant{"tiles_anew_barrier", kForward, kComputeBarrier, 4, ""},
                      Mutant{"tiles_anew_not_for_products", kForward, kProxy, 7, ""},
                      Mutant{"tiles_anew_not_landed", kForward, kWait, 0, ""}),
    name_of);

INSTANTIATE_TEST_SUITE_P(Warpgroups, TurnMutants,
                         ::testing::Values(Mutant{"queries_not_free", kForward, kArrived, 10,
                                                  "mov.u32 $1, 1;"},
                                           Mutant{"queries_never_free", kForward, kArrive, 8, ""},
                                           Mutant{"producers_rows_barrier", kForward,
                                                  "barrier\\.cta\\.sync\\.aligned 2[^;]*;", 1, ""}),
                         name_of);

INSTANTIATE_TEST_SUITE_P(
    Warpgroups, WarpgroupGradientMutants,
    ::testing::Values(
        Mutant{"keys_rows_barrier", kKeys, kBarrier, 0, ""},
        Mutant{"keys_tiles_barrier", kKeys, kBarrier, 1, ""},
        Mutant{"keys_landed_too_little", kKeys, kWait, 1, "cp.async.wait_group 2;"},
        Mutant{"keys_not_for_products", kKeys, kProxy, 1, ""},
        Mutant{"keys_scores_not_done", kKeys, kDone, 1, "wgmma.wait_group.sync.aligned 2;"},
        Mutant{"keys_dots_not_done", kKeys, kDone, 3, "wgmma.wait_group.sync.aligned 3;"},
        Mutant{"keys_of_no_group", kKeys, kGroup, 0, ""},
        Mutant{"keys_fence", kKeys, kFence, 0, ""},
        Mutant{"keys_product_left_out", kKeys, kWarpgroupProduct, 2, ""},
        Mutant{"query_rows_barrier", kQuery, kBarrier, 0, ""},
        Mutant{"query_tiles_barrier", kQuery, kBarrier, 2, ""},
        Mutant{"query_landed_too_little", kQuery, kWait, 1, "cp.async.wait_group 2;"},
        Mutant{"query_not_for_products", kQuery, kProxy, 1, ""},
        Mutant{"query_scores_not_done", kQuery, kDone, 1, "wgmma.wait_group.sync.aligned 3;"},
        Mutant{"query_sums_not_done", kQuery, kDone, 4, ""},
        Mutant{"query_of_no_group", kQuery, kGroup, 0, ""},
        Mutant{"query_product_left_out", kQuery, kWarpgroupProduct, 6, ""}),
    name_of);

TEST(NoWarpgroupMutant, IsRight) {
  EXPECT_TRUE(right_without_mutant(products_are_right, kHopper));
  EXPECT_TRUE(right_without_mutant(turns_are_right, kHopper));
  EXPECT_TRUE(right_without_mutant(gradients_are_right, kHopper));
}

}  // namespace
}  // namespace planted
