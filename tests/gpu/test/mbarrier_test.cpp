#include "gpu/test/ptx_fixture.hpp"

namespace gpu::test {
namespace {

/// The object is at smem + 4088; %r10 is smem.
std::string init(u32 count) {
  return "mov.u32 %r10, smem; setp.eq.u32 %p0, %r9, 0; shl.b32 %r11, %r9, 2; add.s32 %r12, %r10, "
         "%r11;\n"
         "@%p0 mbarrier.init.shared::cta.b64 [%r10+4088], " +
         std::to_string(count) + ";\n @%p0 fence.mbarrier_init.release.cluster;\n bar.sync 0;\n";
}
std::string wait(u32 parity, const std::string& label) {
  return label + ": mbarrier.try_wait.parity.shared::cta.b64 %p1, [%r10+4088], " +
         std::to_string(parity) + ";\n @!%p1 bra " + label + ";\n";
}
/// Thread 0 fetches 256 bytes, 0, 1, 2... as 32-bit words.
const std::string kExpect = "@%p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r10+4088], 256;\n";
const std::string kFetch =
    "@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r10], [%rd5], 256, "
    "[%r10+4088];\n";
const std::string kRead =
    "xor.b32 %r13, %r11, 128; add.s32 %r13, %r10, %r13; ld.shared.u32 %r14, [%r13];\n"
    "cvt.u64.u32 %rd20, %r14;\n";

void expect_ok(const Run& done) {
  for (const Report& report : done.result.failures) ADD_FAILURE() << report.text();
}

TEST(MBarrier, OrdersWhatThreadsWrote) {
  const std::string write = "st.shared.u32 [%r12], %r9;\n";
  const std::string arrive = "mbarrier.arrive.release.cta.shared::cta.b64 %rd30, [%r10+4088];\n";
  for (u64 seed = 0; seed < 4; ++seed) {
    const auto done =
        run(init(64) + write + arrive + wait(0, "spin_") + kRead, {}, {.seed = seed}, 64);
    expect_ok(done);
    for (u32 i = 0; i < 64; ++i) EXPECT_EQ(done.out[i][0], i ^ 32);
    // by the state that the arrival gave; two phases
    expect_ok(run(init(64) + write + arrive + wait(0, "one_") +
                      "mbarrier.arrive.shared.b64 %rd30, [%r10+4088];\n"
                      "two_: mbarrier.test_wait.shared.b64 %p1, [%r10+4088], %rd30;\n"
                      "@!%p1 bra two_;\n" +
                      wait(1, "three_") + kRead,
                  {}, {.seed = seed}, 64));
  }
  failure(init(64) + write + arrive + kRead + wait(0, "spin_"), Fault::shared_race, 64);
  failure(init(64) + arrive + write + wait(0, "spin_") + kRead, Fault::shared_race, 64);
  failure(init(65) + write + arrive + wait(0, "spin_"), Fault::deadlock, 64, {.step_limit = 10000});
  failure(init(64) + "mbarrier.arrive.shared.b64 _, [%r10+4088], 65;\n", Fault::barrier, 64);
  failure("mov.u32 %r10, smem;\n" + arrive, Fault::barrier, 1);
  failure(
      "mov.u32 %r10, smem; setp.eq.u32 %p0, %r9, 0;\n"
      "@%p0 mbarrier.init.shared.b64 [%r10+4088], 64;\n" +
          arrive,
      Fault::shared_race, 32, {.shuffle = false, .perturb = false});
}

TEST(MBarrier, BulkCopies) {
  for (u64 seed = 0; seed < 6; ++seed) {
    const auto done =
        run(init(1) + kExpect + kFetch + wait(0, "spin_") + kRead, {}, {.seed = seed}, 64);
    expect_ok(done);
    for (u32 i = 0; i < 64; ++i) EXPECT_EQ(done.out[i][0], i ^ 32);
    // the bytes may come before they are expected
    expect_ok(run(init(1) + kFetch + kExpect + wait(0, "spin_") + kRead, {}, {.seed = seed}, 64));
    // and again into the same place, when all have read it
    expect_ok(run(init(1) + kExpect + kFetch + wait(0, "one_") + kRead + "bar.sync 0;\n" + kExpect +
                      kFetch + wait(1, "two_") + kRead,
                  {}, {.seed = seed}, 64));
  }
}

TEST(MBarrier, BulkCopiesAreChecked) {
  const LaunchOptions late{.copies = CopyTiming::late, .step_limit = 10000};
  failure(init(1) + kExpect + kFetch + "bar.sync 0;\n" + kRead + wait(0, "spin_"),
          Fault::copy_in_flight, 64, late);
  failure(init(1) + kExpect + kFetch, Fault::pending_copy, 64, late);
  failure(init(1) + kExpect + kFetch + wait(0, "one_") + kRead + kExpect + kFetch +
              wait(1, "two_") + kRead,
          Fault::shared_race, 64, late);
  failure(init(1) + kExpect + wait(0, "spin_"), Fault::deadlock, 64, late);
  failure(
      "mov.u32 %r10, smem; setp.eq.u32 %p0, %r9, 0;\n"
      "@%p0 mbarrier.init.shared.b64 [%r10+4088], 1;\n bar.sync 0;\n" +
          kExpect + kFetch,
      Fault::missing_fence, 64, late);
  failure(init(1) + kExpect +
              "@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r10], "
              "[%rd5], 40, [%r10+4088];\n",
          Fault::misaligned, 64, late);
  failure(init(1) + kExpect +
              "@%p0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r10], "
              "[%rd5], 2048, [%r10+4088];\n",
          Fault::out_of_bounds, 64, late);
}

}  // namespace
}  // namespace gpu::test
