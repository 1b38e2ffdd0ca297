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

/// Each thread copies its number, and arrives when that has landed.
const std::string kCopy =
    "cvt.u64.u32 %rd30, %r11; add.s64 %rd31, %rd5, %rd30;\n"
    "cp.async.ca.shared.global [%r12], [%rd31], 4;\n";
const std::string kTrack = "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%r10+4088];\n";
const std::string kTrackMore = "cp.async.mbarrier.arrive.shared.b64 [%r10+4088];\n";
const std::string kArrive = "mbarrier.arrive.shared.b64 _, [%r10+4088];\n";
const LaunchOptions kLate{.copies = CopyTiming::late, .perturb = false, .step_limit = 10000};
const LaunchOptions kEarly{.copies = CopyTiming::early, .perturb = false, .step_limit = 10000};

/// All orders and timings do, and each thread has read the other warp's numbers.
void expect_numbers(const std::string& code) {
  for (u64 seed = 0; seed < 8; ++seed) {
    const auto timing = seed == 0   ? CopyTiming::early
                        : seed == 1 ? CopyTiming::late
                                    : CopyTiming::by_seed;
    const auto done = run(code, {}, {.seed = seed, .copies = timing}, 64);
    expect_ok(done);
    for (u32 i = 0; i < 64; ++i) EXPECT_EQ(done.out[i][0], i ^ 32);
  }
}

/// How many threads find the first phase unfinished when they first ask.
u32 refused(const std::string& code, const LaunchOptions& options) {
  const auto done = run(code +
                            "bar.sync 0;\n mbarrier.test_wait.parity.shared.b64 %p1, [%r10+4088], "
                            "0;\n selp.u64 %rd20, 0, 1, %p1;\n" +
                            wait(0, "spin_"),
                        {}, options, 64);
  expect_ok(done);
  u32 count = 0;
  for (const Words& words : done.out) count += static_cast<u32>(words[0]);
  return count;
}

TEST(MBarrier, TracksCopies) {
  expect_numbers(init(64) + kCopy + kTrack + wait(0, "spin_") + kRead);
  // arrivals that the phase does not expect: those of the threads themselves end it
  expect_numbers(init(64) + kCopy + kTrackMore + kArrive + wait(0, "spin_") + kRead);
  failure(init(64) + kCopy + kTrackMore + wait(0, "spin_"), Fault::deadlock, 64, kLate);
  failure(init(64) + kCopy + kTrack + kArrive + "bar.sync 0;\n" + wait(0, "spin_") + kRead,
          Fault::copy_in_flight, 64, kLate);
  // again into the same place, when all have read it
  expect_numbers(init(64) + kCopy + kTrack + wait(0, "one_") + kRead + "bar.sync 0;\n" + kCopy +
                 kTrack + wait(1, "two_") + kRead);
  // by a generic address
  expect_numbers(init(64) + kCopy +
                 "cvt.u64.u32 %rd32, %r10; cvta.shared.u64 %rd33, %rd32;\n"
                 "cp.async.mbarrier.arrive.noinc.b64 [%rd33+4088];\n" +
                 wait(0, "spin_") + kRead);
  // two mbarriers: the later one tracks what the earlier does, too
  const std::string second = "@%p0 mbarrier.init.shared.b64 [%r10+4080], 64;\n bar.sync 0;\n" +
                             kCopy +
                             "cp.async.mbarrier.arrive.noinc.shared.b64 [%r10+4080];\n"
                             "cp.async.ca.shared.global [%r12+1024], [%rd31], 4;\n" +
                             kTrack + wait(0, "later_") + kRead;
  expect_numbers(init(64) + second +
                 "earlier_: mbarrier.try_wait.parity.shared.b64 %p1, [%r10+4080], 0;\n"
                 "@!%p1 bra earlier_;\n");
}

TEST(MBarrier, TrackedCopiesLandLate) {
  EXPECT_EQ(refused(init(64) + kCopy + kTrack, kEarly), 0u);
  EXPECT_EQ(refused(init(64) + kCopy + kTrack, kLate), 2u);  // one asks, the next lets them land
  // there is nothing to track, or no more
  EXPECT_EQ(refused(init(64) + kTrack, kLate), 0u);
  EXPECT_EQ(refused(init(64) + kCopy + "cp.async.wait_all;\n" + kTrack, kLate), 0u);
  // the threads wait for the copies in the other way
  EXPECT_EQ(refused(init(64) + kCopy + kTrack + "cp.async.wait_all;\n", kLate), 0u);
  const std::string commit = "cp.async.commit_group;\n";
  const std::string more = "cp.async.ca.shared.global [%r12+1024], [%rd31], 4;\n";
  const std::string two = init(64) + kCopy + commit + more + kTrack + commit;
  EXPECT_EQ(refused(two + "cp.async.wait_group 0;\n", kLate), 0u);
  EXPECT_EQ(refused(two + "cp.async.wait_group 1; ld.shared.u32 %r14, [%r12];\n", kLate), 2u);
}

TEST(MBarrier, WhoKnowsOfTrackedCopies) {
  const std::string tracked = init(64) + kCopy + kTrack, spin = wait(0, "spin_");
  failure(tracked + "bar.sync 0;\n" + kRead + spin, Fault::copy_in_flight, 64, kLate);
  failure(tracked + "bar.sync 0;\n" + kRead + spin, Fault::shared_race, 64, kEarly);
  failure(tracked + "ld.shared.u32 %r14, [%r12];\n" + spin, Fault::shared_race, 64, kEarly);
  // whoever waits for them by groups knows, and a barrier tells others
  expect_numbers(tracked + "cp.async.wait_all;\n bar.sync 0;\n" + kRead);
  expect_numbers(tracked + "cp.async.commit_group;\n cp.async.wait_group 0;\n" + spin + kRead);
  expect_numbers(init(64) + kCopy + "cp.async.wait_all;\n" + kTrack + spin + kRead);
  // the arrival orders copies alone, no other writes
  const std::string store = "st.shared.u32 [%r12+1024], %r9;\n";
  const std::string load =
      "xor.b32 %r15, %r11, 128; add.s32 %r15, %r10, %r15; ld.shared.u32 %r14, [%r15+1024];\n"
      "cvt.u64.u32 %rd20, %r14;\n";
  for (const auto& options : {kLate, kEarly}) {
    failure(init(64) + store + kCopy + kTrack + spin + load, Fault::shared_race, 64, options);
    failure(init(64) + store + kTrack + spin + load, Fault::shared_race, 64, options);
  }
  expect_numbers(init(64) + store + kCopy + kTrackMore + kArrive + spin + load);
}

/// One warp copies four times 32 numbers into the same place, another adds them up.
TEST(MBarrier, PipelineOfTrackedCopies) {
  const auto code = [](const std::string& release) {
    const auto spin = [](const std::string& place, const std::string& parity) {
      const std::string label = "at_" + place + "_";
      return label + ": mbarrier.try_wait.parity.shared.b64 %p1, [%r10+" + place + "], " + parity +
             ";\n @!%p1 bra " + label + ";\n";
    };
    return init(32) +
           "@%p0 mbarrier.init.shared.b64 [%r10+4080], 32;\n bar.sync 0;\n"
           "mov.u32 %r20, 0; mov.u32 %r21, 0; setp.ge.u32 %p2, %r9, 32;\n@%p2 bra consumer_;\n"
           "producer_: and.b32 %r22, %r20, 1; xor.b32 %r23, %r22, 1;\n" +
           spin("4080", "%r23") +
           "shl.b32 %r24, %r20, 7; add.s32 %r24, %r24, %r11; cvt.u64.u32 %rd30, %r24;\n"
           "add.s64 %rd31, %rd5, %rd30; cp.async.ca.shared.global [%r12], [%rd31], 4;\n" +
           kTrack +
           "add.s32 %r20, %r20, 1; setp.lt.u32 %p3, %r20, 4;\n@%p3 bra producer_;\n"
           "bra.uni out_;\n"
           "consumer_: and.b32 %r22, %r20, 1;\n" +
           spin("4088", "%r22") +
           "xor.b32 %r25, %r11, 192; add.s32 %r25, %r25, %r10; ld.shared.u32 %r26, [%r25];\n" +
           release +
           "add.s32 %r21, %r21, %r26; add.s32 %r20, %r20, 1; setp.lt.u32 %p3, %r20, 4;\n"
           "@%p3 bra consumer_;\nout_: cvt.u64.u32 %rd20, %r21;\n";
  };
  const std::string arrive = "mbarrier.arrive.shared.b64 _, [%r10+4080];\n";
  for (u64 seed = 0; seed < 16; ++seed) {
    const auto done = run(code(arrive), {}, {.seed = seed}, 64);
    expect_ok(done);
    for (u32 i = 32; i < 64; ++i) EXPECT_EQ(done.out[i][0], 4 * ((i - 32) ^ 16) + 32 * 6);
  }
  failure(code(""), Fault::deadlock, 64, kLate);
}

TEST(MBarrier, TrackedCopiesAreChecked) {
  failure(init(64) + kCopy + kTrack, Fault::pending_copy, 64, kLate);
  failure(init(64) + kTrack + kCopy + wait(0, "spin_"), Fault::pending_copy, 64, kLate);
  // a thread may end before its copies have landed, as long as others wait for them
  const auto done = run(init(64) + kCopy + kTrack + "setp.lt.u32 %p2, %r9, 32;\n @%p2 exit;\n" +
                            wait(0, "spin_") + kRead,
                        {}, kLate, 64);
  expect_ok(done);
  for (u32 i = 32; i < 64; ++i) EXPECT_EQ(done.out[i][0], i ^ 32);
  failure("mov.u32 %r10, smem;\n" + kTrack, Fault::barrier, 1);
  const std::string alone = init(1) + "@%p0 cp.async.ca.shared.global [%r10], [%rd5], 4;\n@%p0 ";
  for (const char* end : {"@%p0 mbarrier.inval.shared.b64 [%r10+4088];\n",
                          "@%p0 mbarrier.init.shared.b64 [%r10+4088], 1;\n"}) {
    failure(alone + kTrack + end, Fault::copy_in_flight, 32, kLate);
  }
  std::string text = module_text(kTrack);
  text.replace(text.find("sm_90a"), 6, "sm_75");
  Memory memory(1 << 20);
  EXPECT_EQ(Module::load(text, memory)->kernel("test")->unsupported.size(), 1u);
}

}  // namespace
}  // namespace gpu::test
