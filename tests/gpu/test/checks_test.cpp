#include "gpu/test/ptx_fixture.hpp"

namespace gpu::test {
namespace {

const std::string kMine = "mov.u32 %r10, smem; shl.b32 %r11, %r9, 2; add.s32 %r12, %r10, %r11;\n";

TEST(Memory, SharedGlobalAndLocal) {
  const auto out = results(
      kMine +
      "st.shared.u32 [%r12], %r9; bar.sync 0; xor.b32 %r13, %r11, 124; add.s32 %r13, %r10, %r13;\n"
      "ld.shared.u32 %r14, [%r13]; cvt.u64.u32 %rd20, %r14;\n"
      "mul.wide.u32 %rd30, %r9, 4; add.s64 %rd31, %rd5, %rd30; ld.global.u32 %r15, [%rd31+16];\n"
      "cvt.u64.u32 %rd21, %r15; ld.global.s8 %r16, [%rd31]; cvt.u64.u32 %rd22, %r16;\n"
      "{ .local .align 8 .b8 depot[16]; mov.u64 %rd32, depot; st.local.u32 [%rd32+8], %r9;\n"
      "cvta.local.u64 %rd33, %rd32; ld.u32 %r17, [%rd33+8]; cvt.u64.u32 %rd23, %r17; }");
  for (u32 lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(out[lane], (Words{31 - lane, lane + 4, lane, lane}));
  }
}

TEST(Memory, Atomics) {
  const auto out = results(
      kMine +
          "mov.u32 %r20, 0; setp.eq.u32 %p1, %r9, 0; @%p1 st.shared.u32 [%r10], %r20; bar.sync 0;\n"
          "atom.shared.add.u32 %r21, [%r10], 3; red.shared.max.u32 [%r10], 1; bar.sync 0;\n"
          "ld.shared.u32 %r22, [%r10]; cvt.u64.u32 %rd20, %r22;\n"
          "atom.global.add.f32 %f1, [%rd5], 0f3F800000; red.global.add.noftz.f16x2 [%rd5+4], "
          "%r20;\n"
          "atom.global.cas.b32 %r23, [%rd5+8], 2, 77; bar.sync 0; ld.global.u32 %r24, [%rd5+8];\n"
          "cvt.u64.u32 %rd21, %r24; ld.global.u32 %r25, [%rd5]; cvt.u64.u32 %rd22, %r25;\n"
          "red.global.add.v2.f32 [%rd5+16], {%f20, %f20};",
      lanes([](u32) { return Words{}; }),
      {.undefined_stores = UndefinedStores::mark, .perturb = false});
  EXPECT_EQ(out[5][0], 96u);
  EXPECT_EQ(out[5][1], 77u);
  EXPECT_EQ(as_float(out[5][2]), 32.0f);
}

TEST(WarpWide, ShufflesVotesMatchesReductions) {
  const auto out = results(
      "shfl.sync.down.b32 %r10|%p1, %r9, 1, 31, -1; cvt.u64.u32 %rd20, %r10;\n"
      "shfl.sync.bfly.b32 %r11, %r9, 16, 31, -1; shl.b32 %r11, %r11, 8; cvt.u64.u32 %rd30, %r11; "
      "or.b64 %rd20, %rd20, %rd30;\n"
      "selp.u64 %rd21, 1, 0, %p1; setp.lt.u32 %p2, %r9, 8; vote.sync.ballot.b32 %r12, %p2, -1;\n"
      "cvt.u64.u32 %rd22, %r12; and.b32 %r13, %r9, 1; match.any.sync.b32 %r14, %r13, -1;\n"
      "redux.sync.add.s32 %r15, %r9, -1; mov.b64 %rd23, {%r14, %r15};");
  for (u32 lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(out[lane][0], (lane == 31 ? 31 : lane + 1) | u64{lane ^ 16} << 8);
    EXPECT_EQ(out[lane][1], lane == 31 ? 0u : 1u);
    EXPECT_EQ(out[lane][2], 0xFFu);
    EXPECT_EQ(out[lane][3], (lane % 2 == 0 ? 0x55555555u : 0xAAAAAAAAu) | u64{496} << 32);
  }
}

TEST(Control, LanesPartAndMeet) {
  const auto out = results(
      "mov.u32 %r20, 0; mov.u32 %r21, 0;\nloop:\n add.s32 %r20, %r20, %r21; add.s32 %r21, %r21, "
      "1;\n"
      "setp.le.u32 %p1, %r21, %r9; @%p1 bra loop;\n activemask.b32 %r22; cvt.u64.u32 %rd20, %r20;\n"
      "cvt.u64.u32 %rd21, %r22; and.b32 %r23, %r9, 3;\n"
      "ways: .branchtargets zero, one, two, three;\n brx.idx %r23, ways;\n"
      "zero: mov.u64 %rd22, 10; bra.uni out_;\none: mov.u64 %rd22, 11; bra.uni out_;\n"
      "two: mov.u64 %rd22, 12; bra.uni out_;\nthree: mov.u64 %rd22, 13;\nout_:\n");
  for (u32 lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(out[lane][0], lane * (lane + 1) / 2);
    EXPECT_EQ(out[lane][1], 0xFFFFFFFFu);
    EXPECT_EQ(out[lane][2], 10 + lane % 4);
  }
}

TEST(Async, CopiesLandLateOrEarly) {
  for (const CopyTiming timing : {CopyTiming::late, CopyTiming::early}) {
    const auto out = results(
        "mov.u32 %r10, smem; shl.b32 %r11, %r9, 4; add.s32 %r12, %r10, %r11; cvt.u64.u32 %rd30, "
        "%r11;\n"
        "add.s64 %rd31, %rd5, %rd30; cp.async.cg.shared.global [%r12], [%rd31], 16;\n"
        "cp.async.commit_group; cp.async.ca.shared.global [%r12+512], [%rd31], 8, 4;\n"
        "cp.async.commit_group; cp.async.wait_group 1; bar.sync 0; ld.shared.u32 %r13, [%r12+4];\n"
        "cp.async.wait_all; bar.sync 0; ld.shared.v2.u32 {%r14, %r15}, [%r12+512];\n"
        "cvt.u64.u32 %rd20, %r13; mov.b64 %rd21, {%r14, %r15};",
        lanes([](u32) { return Words{}; }), {.copies = timing});
    for (u32 lane = 0; lane < 32; ++lane) {
      EXPECT_EQ(out[lane][0], 4 * lane + 1);
      EXPECT_EQ(out[lane][1], 4 * lane);
    }
  }
}

TEST(Checks, Bounds) {
  EXPECT_NE(
      failure("ld.global.u32 %r10, [%rd5+1024];", Fault::out_of_bounds).message.find("scratch"),
      std::string::npos);
  failure("ld.global.u32 %r10, [%rd5+-4];", Fault::out_of_bounds);
  failure("mov.u32 %r10, smem; st.shared.u32 [%r10+4096], %r9;", Fault::out_of_bounds);
  failure("mov.u32 %r10, 0; ld.shared.u32 %r11, [%r10];", Fault::out_of_bounds);
  failure("ld.global.v2.u32 {%r10, %r11}, [%rd5+4];", Fault::misaligned);
}

TEST(Checks, UndefinedBits) {
  failure("add.u64 %rd20, %rd40, 1;", Fault::undefined_store);
  failure("setp.eq.u32 %p1, %r40, 0; @%p1 bra end_; mov.u64 %rd20, 1;\nend_:",
          Fault::undefined_branch);
  failure("ld.global.u32 %r10, [%rd40];", Fault::undefined_address);
  failure("ld.global.u32 %r10, [%rd5+800]; cvt.u64.u32 %rd20, %r10;", Fault::undefined_store);
  // what can't depend on them is defined
  const auto out = results(
      "or.b32 %r10, %r40, -1; cvt.u64.u32 %rd20, %r10; and.b32 %r11, %r41, 0; cvt.u64.u32 %rd21, "
      "%r11;\n"
      "shl.b32 %r12, %r42, 16; or.b32 %r13, %r12, 5; and.b32 %r14, %r13, 255; cvt.u64.u32 %rd22, "
      "%r14;\n"
      "or.b32 %r15, %r43, 256; setp.eq.u32 %p1, %r15, 0; selp.u64 %rd23, 1, 2, %p1;");
  EXPECT_EQ(out[0], (Words{0xFFFFFFFF, 0, 5, 2}));
}

TEST(Checks, Races) {
  const std::string read_other =
      "xor.b32 %r13, %r11, 64; add.s32 %r13, %r10, %r13; ld.shared.u32 %r14, [%r13];";
  const Report report =
      failure(kMine + "st.shared.u32 [%r12], %r9;" + read_other, Fault::shared_race);
  EXPECT_NE(report.message.find("wrote"), std::string::npos) << report.message;
  failure(
      kMine + "st.shared.u32 [%r12], %r9; bar.sync 0;" + read_other + "st.shared.u32 [%r12], %r11;",
      Fault::shared_race);
  // bar.warp.sync orders a warp, not a block
  const std::string far =
      "xor.b32 %r13, %r11, 128; add.s32 %r13, %r10, %r13; ld.shared.u32 %r14, [%r13];";
  failure(kMine + "st.shared.u32 [%r12], %r9; bar.warp.sync -1;" + far, Fault::shared_race, 64);
  EXPECT_TRUE(
      run(kMine + "st.shared.u32 [%r12], %r9; bar.sync 1, 64;" + far, {}, {}, 64).result.ok());
  // neighbouring bytes are no race
  EXPECT_TRUE(run("mov.u32 %r10, smem; add.s32 %r12, %r10, %r9; st.shared.u8 [%r12], %r9;\n"
                  "ld.shared.u8 %r13, [%r12];",
                  {})
                  .result.ok());
}

TEST(Checks, WarpsAndBarriers) {
  failure(
      "setp.lt.u32 %p1, %r9, 16; @%p1 bra one;\n bar.sync 0; bra.uni out_;\none: bar.sync "
      "0;\nout_:",
      Fault::divergence);
  failure(
      "setp.lt.u32 %p1, %r9, 16; @%p1 bra out_;\n shfl.sync.idx.b32 %r10, %r9, 0, 31, -1;\nout_: "
      "mov.u32 %r11, 0; bar.warp.sync -1;",
      Fault::divergence);
  failure("setp.lt.u32 %p1, %r9, 32; @%p1 bra out_;\n bar.sync 1, 64;\nout_:", Fault::barrier, 64);
  failure("mov.u32 %r10, smem; cp.async.ca.shared.global [%r10], [%rd5], 4;", Fault::pending_copy,
          1);
  failure(
      "mov.u32 %r10, smem; cp.async.ca.shared.global [%r10], [%rd5], 4; cp.async.commit_group;\n"
      "cp.async.wait_group 1; ld.shared.u32 %r11, [%r10]; cp.async.wait_all;",
      Fault::copy_in_flight, 1);
  failure("spin_: bra spin_;", Fault::deadlock, 32, {.step_limit = 10000});
  failure("trap;", Fault::trap);
}

TEST(Counts, SectorsAndConflicts) {
  const auto done =
      run("mul.wide.u32 %rd30, %r9, 4; add.s64 %rd31, %rd5, %rd30; ld.global.u32 %r10, [%rd31];\n"
          "mov.u32 %r11, smem; shl.b32 %r12, %r9, 7; and.b32 %r12, %r12, 4095; add.s32 %r12, %r11, "
          "%r12;\n"
          "st.shared.u32 [%r12], %r9;",
          {});
  ASSERT_TRUE(done.result.ok());
  for (const SiteCounts& site : done.result.counts.sites) {
    if (site.instruction.starts_with("ld.global.u32")) {
      EXPECT_EQ(site.global_bytes, 128u);
      EXPECT_EQ(site.global_sectors, 4u);
    }
    if (site.instruction.starts_with("st.shared")) {
      EXPECT_EQ(site.shared_phases, 32u);
      EXPECT_EQ(site.shared_conflicts, 31u);
    }
  }
  EXPECT_EQ(done.result.counts.local_bytes, 0u);
}

TEST(FrontEnd, NamesTheLine) {
  Memory memory(1 << 20);
  try {
    Module::load(
        ".version 8.0\n.target sm_80\n.address_size 64\n.entry k()\n{\n add.s32 %r1, %r2, 1;\n}",
        memory)
        ->kernel("k");
    FAIL() << "an undeclared register was accepted";
  } catch (const ParseError& e) {
    EXPECT_EQ(e.line(), 6);
  }
  const auto module = Module::load(
      ".version 8.0\n.target sm_80\n.address_size 64\n.entry k()\n{\n frobnicate.b32 1;\n ret;\n}",
      memory);
  ASSERT_EQ(module->kernel("k")->unsupported.size(), 1u);
  EXPECT_NE(module->kernel("k")->unsupported[0].find("line 6"), std::string::npos);
  const LaunchResult result = launch(device({8, 0}), *module->kernel("k"), {}, {});
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_EQ(result.failures[0].fault, Fault::unsupported);
}

// Static shared memory of a module is a kernel's if it can reach it, if only through a function.
TEST(FrontEnd, SharedMemoryOfAKernel) {
  Memory memory(1 << 20);
  const auto module = Module::load(R"(
.version 8.0
.target sm_80
.address_size 64
.shared .align 4 .b8 table[1000];
.extern .shared .align 16 .b8 dynamic[];
.func touches() { .reg .b32 %r<2>; mov.u32 %r1, table; st.shared.u32 [%r1], %r1; ret; }
.func idles() { ret; }
.entry own() { .reg .b32 %r<2>; mov.u32 %r1, table; st.shared.u32 [%r1], %r1; ret; }
.entry calls() { call.uni touches; ret; }
.entry calls_idly() { .reg .b32 %r<2>; mov.u32 %r1, dynamic; call.uni idles; ret; }
)",
                                   memory);
  EXPECT_EQ(module->kernel("own")->static_shared_bytes, 1000u);
  EXPECT_EQ(module->kernel("calls")->static_shared_bytes, 1000u);
  EXPECT_EQ(module->kernel("calls_idly")->static_shared_bytes, 0u);
}

}  // namespace
}  // namespace gpu::test
