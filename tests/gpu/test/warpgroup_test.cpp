#include "gpu/test/warpgroup_fixture.hpp"

namespace gpu::test {
namespace {

void expect_text(const Report& report, const std::string& part) {
  EXPECT_NE(report.text().find(part), std::string::npos) << report.text();
}

TEST(Wgmma, EverySwizzleAndMajor) {
  for (const u32 swizzle : {0u, 32u, 64u, 128u}) {
    for (const bool a_k_major : {true, false}) {
      for (const bool b_k_major : {true, false}) {
        SCOPED_TRACE("swizzle " + std::to_string(swizzle) + (a_k_major ? ", A by K" : ", A by M") +
                     (b_k_major ? ", B by K" : ", B by N"));
        Wgmma w(64);
        if (swizzle == 64) w.element = Element::bf16;
        w.a.swizzle = w.b.swizzle = swizzle;
        w.a.k_major = a_k_major;
        w.b.k_major = b_k_major;
        expect_product(w);
      }
    }
  }
}

TEST(Wgmma, EveryWidth) {
  for (u32 n = 8; n <= 256; n += 8) {
    SCOPED_TRACE(n);
    Wgmma w(n);
    w.registers_a = n % 16 == 0;
    w.b.k_major = n % 32 != 0;
    w.b.swizzle = n % 64 == 0 ? 128 : n % 24 == 0 ? 32 : 0;
    expect_product(w);
  }
}

/// A start address within the rows of 128 or 64 bytes: the next 16 along K.
TEST(Wgmma, StepsAlongRows) {
  for (const u32 swizzle : {0u, 64u, 128u}) {
    for (u32 step = 0; step < (swizzle == 64 ? 2u : swizzle == 0 ? 1u : 4u); ++step) {
      SCOPED_TRACE(std::to_string(swizzle) + ", step " + std::to_string(step));
      Wgmma w(72);
      w.a.swizzle = w.b.swizzle = swizzle;
      w.a.step = w.b.step = step;
      expect_product(w);
    }
  }
}

TEST(Wgmma, ScalesAndOrders) {
  for (u64 seed = 0; seed < 8; ++seed) {  // every order of adding: exact here
    for (const Element element : {Element::f16, Element::bf16}) {
      Wgmma w(40, element);
      w.registers_a = seed % 2 == 0;
      w.b.k_major = false;
      w.scale_a = seed % 4 < 2 ? -1 : 1;
      w.scale_b = seed % 3 == 0 ? -1 : 1;
      w.scale_d = seed % 5 == 0 ? 0 : 1;
      expect_product(w, {.seed = seed});
    }
  }
}

/// Products of one shape follow each other in the same accumulators without a fence.
TEST(Wgmma, ProductsFollowEachOther) {
  for (u64 seed = 0; seed < 6; ++seed) {
    Wgmma w(64);
    w.products = 3;
    w.between = seed % 2 == 0 ? "" : kCommit;
    expect_product(w, {.seed = seed});
    w.between = std::string(kCommit) + kWait;
    expect_product(w, {.seed = seed});
    w.between = std::string(kCommit) + "wgmma.wait_group.sync.aligned 1;";
    expect_product(w, {.seed = seed});
  }
}

/// What a loop makes of accumulators in flight: a copy takes their place, and both are right.
TEST(Wgmma, CopiesInFlightTakeTheirPlace) {
  Wgmma w(8);
  w.after = std::string(kCommit) +
            "mov.f32 %f10, %f0; mov.f32 %f11, %f1; mov.f32 %f12, %f2; mov.f32 %f13, %f3;\n"
            "setp.ne.u32 %p2, 1, 0;\n" +
            w.narrow("%f10,%f11,%f12,%f13", "%p2") + kCommit + kWait +
            "sub.f32 %f0, %f10, %f0; sub.f32 %f1, %f11, %f1; sub.f32 %f2, %f12, %f2; sub.f32 %f3, "
            "%f13, %f3;\n";
  w.scale_d = 1;
  // (c + 2 ab) - (c + ab)
  for (u64 seed = 0; seed < 4; ++seed) {
    const WgmmaRun run = run_wgmma(w, {.seed = seed});
    for (const Report& report : run.result.failures) ADD_FAILURE() << report.text();
    EXPECT_EQ(run.d[33 * 8 + 5], static_cast<float>(w.sum_at(33, 5)));
  }
}

TEST(Wgmma, AnyWarpgroup) {
  Wgmma w(16);
  w.threads = 256;
  expect_product(w);
}

TEST(Wgmma, IsCounted) {
  Wgmma w(64);
  w.products = 2;
  const WgmmaRun run = run_wgmma(w);
  ASSERT_TRUE(run.result.ok());
  const Counts& counts = run.result.counts;
  EXPECT_EQ(counts.mma.at("m64n64k16.f32.f16.f16"), 8u);  // a warp counts once
  EXPECT_EQ(counts.by_opcode.at("wgmma"), 4u * 5);
  EXPECT_EQ(counts.product_bytes, 2u * (64 + 64) * 16 * 2);
}

/// What must not be done, with each kind of elements.
class WgmmaChecks : public testing::TestWithParam<Element> {};

TEST_P(WgmmaChecks, Fence) {
  Wgmma w(64, GetParam());
  w.before = "";
  expect_text(wgmma_failure(w, Fault::missing_fence), "first product");
  // the accumulators were written since
  w.before = std::string(kFence) + "add.f32 %f5, %f5, 0f00000000;\n";
  expect_text(wgmma_failure(w, Fault::missing_fence), "accumulator 5");
  // or read, after an earlier product
  w.before = kFence;
  w.products = 2;
  w.between = std::string(kCommit) + kWait + "add.f32 %f150, %f7, %f7;\n";
  expect_text(wgmma_failure(w, Fault::missing_fence), "accumulator 7");
  w.between += kFence;
  EXPECT_TRUE(run_wgmma(w).result.ok());
  // a copy reads the result of a product
  w.between = std::string(kCommit) + kWait + "mov.f32 %f150, %f7; mov.f32 %f7, %f150;\n";
  EXPECT_TRUE(run_wgmma(w).result.ok());  // there and back again
  w.between = std::string(kCommit) + kWait + "mov.f32 %f150, %f7;\n";
  w.at_end = w.narrow("%f150,%f151,%f152,%f153", "0") + kCommit + kWait;
  expect_text(wgmma_failure(w, Fault::missing_fence), "accumulator 7");
  // constants and copies that nvcc puts after the fence are no accesses
  Wgmma c(64, GetParam());
  c.before = "mov.f32 %f1, %f2;\n" + std::string(kFence) +
             "mov.f32 %f3, 0f00000000;\n mov.f32 %f4, %f1;\n";
  EXPECT_TRUE(run_wgmma(c).result.ok());
  // a register of A
  Wgmma r(64, GetParam());
  r.registers_a = true;
  r.before = std::string(kFence) + "add.s32 %r22, %r22, 0;\n";
  expect_text(wgmma_failure(r, Fault::missing_fence), "register 2 of A");
}

TEST_P(WgmmaChecks, RegistersInFlight) {
  Wgmma w(64, GetParam());
  w.after = std::string(kCommit) + "add.f32 %f150, %f3, %f3;\n" + kWait;
  expect_text(wgmma_failure(w, Fault::product_in_flight), "reads a register");
  w.after = std::string(kCommit) + "mov.f32 %f3, 0f00000000;\n" + kWait;
  expect_text(wgmma_failure(w, Fault::product_in_flight), "writes a register");
  w.after = kCommit;  // no wait
  wgmma_failure(w, Fault::product_in_flight);
  w.after = kWait;  // no commit: there is nothing to wait for
  wgmma_failure(w, Fault::product_in_flight);
  w.after = std::string(kCommit) + "wgmma.wait_group.sync.aligned 1;\n";
  wgmma_failure(w, Fault::product_in_flight);
  w.after = std::string(kCommit) + kCommit + "wgmma.wait_group.sync.aligned 1;\n";
  EXPECT_TRUE(run_wgmma(w).result.ok());
  Wgmma r(64, GetParam());
  r.registers_a = true;
  r.after = std::string(kCommit) + "mov.u32 %r21, 0;\n" + kWait;
  expect_text(wgmma_failure(r, Fault::product_in_flight), "part of A");
  r.after = std::string(kCommit) + "add.s32 %r30, %r21, 0;\n" + kWait;  // reading is no harm
  EXPECT_TRUE(run_wgmma(r).result.ok());
  // another shape in the same accumulators
  w.after = w.narrow("%f0,%f1,%f2,%f3", "%p2") + kCommit + kWait;
  wgmma_failure(w, Fault::product_in_flight);
}

TEST_P(WgmmaChecks, EndsInFlight) {
  Wgmma w(64, GetParam());
  w.after += "\n mov.u64 %rd30, 0;\n";
  w.at_end = std::string(kFence) + w.narrow("%f190,%f191,%f192,%f193", "0") + kCommit;
  wgmma_failure(w, Fault::pending_copy);
}

TEST_P(WgmmaChecks, ProxyFence) {
  Wgmma w(64, GetParam());
  w.filled = "bar.sync 0;";
  expect_text(wgmma_failure(w, Fault::missing_fence), "no fence.proxy.async by that thread since");
  w.filled = "fence.proxy.async.global;\n bar.sync 0;";
  wgmma_failure(w, Fault::missing_fence);
  w.filled = "fence.proxy.async;";
  wgmma_failure(w, Fault::shared_race);
  w.filled = "setp.lt.u32 %p3, %r1, 64;\n @%p3 fence.proxy.async;\n bar.sync 0;";
  wgmma_failure(w, Fault::missing_fence);
  w.filled = "fence.proxy.async.shared::cta;\n bar.sync 0;\n fence.proxy.async;";
  EXPECT_TRUE(run_wgmma(w).result.ok());
  // by each warp that reads, when it knows what was written
  w.filled = "bar.sync 0;\n fence.proxy.async;";
  EXPECT_TRUE(run_wgmma(w).result.ok());
  w.filled = "bar.sync 0;\n setp.lt.u32 %p3, %r1, 64;\n @%p3 fence.proxy.async;";
  wgmma_failure(w, Fault::missing_fence);
  w.filled =
      "bar.sync 0;\n and.b32 %r6, %r1, 16; setp.eq.u32 %p3, %r6, 0;\n @%p3 fence.proxy.async;";
  wgmma_failure(w, Fault::missing_fence);
  w.filled += "\n @!%p3 fence.proxy.async;";
  EXPECT_TRUE(run_wgmma(w).result.ok());
  // copies are written when they have been waited for
  w.fill = "cp.async.cg.shared.global [%r4], [%rd8], 16;\n";
  w.filled = "cp.async.wait_all;\n fence.proxy.async;\n bar.sync 0;";
  EXPECT_TRUE(run_wgmma(w).result.ok());
  w.filled = "fence.proxy.async;\n cp.async.wait_all;\n bar.sync 0;";
  wgmma_failure(w, Fault::missing_fence);
  w.filled = "cp.async.commit_group;\n fence.proxy.async;\n bar.sync 0;";
  w.at_end = "cp.async.wait_all;\n";
  wgmma_failure(w, Fault::copy_in_flight);
}

/// Tiles come by copies that an mbarrier tracks; it lies where the last are left out.
TEST_P(WgmmaChecks, ProxyFenceAfterTrackedCopies) {
  Wgmma w(64, GetParam());
  w.fill =
      "setp.lt.u32 %p5, %r2, 47104;\n @%p5 cp.async.cg.shared.global [%r4], [%rd8], 16;\n"
      "setp.eq.u32 %p6, %r1, 0;\n";
  const std::string start =
      "@%p6 mbarrier.init.shared.b64 [%r3+49144], 128;\n"
      "@%p6 mbarrier.init.shared.b64 [%r3+49136], 128;\n bar.sync 0;\n"
      "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%r3+49144];\n";
  const auto wait = [](const std::string& place, const std::string& label) {
    return label + ": mbarrier.try_wait.parity.shared.b64 %p7, [%r3+" + place +
           "], 0;\n @!%p7 bra " + label + ";\n";
  };
  const std::string full = wait("49144", "full_"), fence = "fence.proxy.async.shared::cta;\n";
  const std::string again = "cp.async.ca.shared.global [%r3+16400], [%rd1], 16;\n";
  const std::string once = "setp.eq.u32 %p4, %r1, 77;\n @%p4 " + again + "cp.async.wait_all;\n";
  for (u64 seed = 0; seed < 8; ++seed) {
    const LaunchOptions options{.seed = seed};
    w.after = std::string(kCommit) + kWait;
    w.filled = start + full + fence;
    EXPECT_TRUE(run_wgmma(w, options).result.ok());
    w.filled = start + full;
    expect_text(wgmma_failure(w, Fault::missing_fence, options), "nor by all lanes");
    w.filled = start + fence + full;
    wgmma_failure(w, Fault::missing_fence, options);
    w.filled = start + full + "setp.lt.u32 %p3, %r1, 96;\n @%p3 " + fence;
    wgmma_failure(w, Fault::missing_fence, options);
    // by the threads that copied, as without the mbarrier
    w.filled = start + "cp.async.wait_all;\n" + fence + "bar.sync 0;\n";
    EXPECT_TRUE(run_wgmma(w, options).result.ok());
    w.filled = start + fence + "cp.async.wait_all;\n bar.sync 0;\n";
    wgmma_failure(w, Fault::missing_fence, options);
    // a copy over them waits for those that have read them
    w.filled = start + full + fence;
    w.after += "mbarrier.arrive.shared.b64 _, [%r3+49136];\n";
    const std::string read = w.after;
    w.after = read + wait("49136", "empty_") + once;
    EXPECT_TRUE(run_wgmma(w, options).result.ok());
    w.after = read + once;
    wgmma_failure(w, Fault::shared_race, options);
  }
}

/// A tile is being read until the product has been waited for by all that execute it.
TEST_P(WgmmaChecks, OverwrittenInFlight) {
  for (u64 seed = 0; seed < 4; ++seed) {
    Wgmma w(64, GetParam());
    const std::string again = "st.shared.b32 [%r3+16400], %r1;\n";
    const std::string store = "setp.eq.u32 %p4, %r1, 77;\n @%p4 " + again;
    w.after = std::string(kCommit) + store + kWait;
    expect_text(wgmma_failure(w, Fault::shared_race, {.seed = seed}), "wgmma.wait_group");
    w.after = std::string(kCommit) + kWait + store;  // no barrier: the others may still wait
    wgmma_failure(w, Fault::shared_race, {.seed = seed});
    w.after = std::string(kCommit) + kWait + "bar.sync 0;\n" + store;
    EXPECT_TRUE(run_wgmma(w, {.seed = seed}).result.ok());
    w.after = std::string(kCommit) + "bar.sync 0;\n" +
              "setp.eq.u32 %p4, %r1, 77;\n"
              "@%p4 cp.async.ca.shared.global [%r3+16400], [%rd1], 16;\n" +
              kWait + "cp.async.wait_all;\n";
    wgmma_failure(w, Fault::shared_race, {.seed = seed});
  }
}

TEST_P(WgmmaChecks, Warpgroup) {
  Wgmma w(8, GetParam());
  w.threads = 96;
  wgmma_failure(w, Fault::barrier);
  w.threads = 192;
  wgmma_failure(w, Fault::barrier);
  // one warp goes another way
  w.threads = 128;
  w.before += "\n setp.ge.u32 %p5, %r1, 96;\n @%p5 bra out_;\n";
  w.after += "\n out_:\n";
  expect_text(wgmma_failure(w, Fault::barrier), "four warps");
  // half a warp
  Wgmma half(8, GetParam());
  half.before += "\n setp.ge.u32 %p5, %r1, 112;\n @%p5 bra out_;\n";
  half.after += "\n out_:\n bar.warp.sync -1;\n";
  wgmma_failure(half, Fault::divergence);
  // another product
  Wgmma other(8, GetParam());
  other.before += "\n setp.ge.u32 %p5, %r1, 96;\n @%p5 bra other_;\n";
  other.after = "bra.uni join_;\n other_:\n" + other.product() + "join_:\n" + other.after;
  wgmma_failure(other, Fault::barrier);
}

TEST_P(WgmmaChecks, Operands) {
  Wgmma w(8, GetParam());
  w.before += "\n setp.ge.u32 %p5, %r1, 96;\n @%p5 add.s64 %rd21, %rd21, 2;\n";
  wgmma_failure(w, Fault::divergence);
  w.before = std::string(kFence) + "setp.eq.u32 %p5, %r1, 3;\n @%p5 add.s64 %rd21, %rd21, 2;\n";
  wgmma_failure(w, Fault::divergence);
  w.before = std::string(kFence) + "setp.eq.u32 %p2, %r1, 3;\n";
  wgmma_failure(w, Fault::divergence);
  w.before = std::string(kFence) + "add.s64 %rd21, %rd21, %rd40;\n";
  wgmma_failure(w, Fault::undefined_address);
  w.before = std::string(kFence) + "or.b64 %rd21, %rd21, 16384;\n";  // the address was not cut off
  wgmma_failure(w, Fault::misaligned);
  w.before = kFence;
  w.b.start = kImageBytes - 1024;
  w.b.outer = 8;
  EXPECT_TRUE(run_wgmma(w).result.ok());
  w.before = std::string(kFence) + "add.s64 %rd21, %rd21, 64;\n";
  wgmma_failure(w, Fault::out_of_bounds);
}

/// Undefined elements of A spoil their row, those of B their column.
TEST_P(WgmmaChecks, UndefinedElements) {
  Wgmma w(8, GetParam());
  w.before += "\n setp.eq.u32 %p5, %r1, 37;\n @%p5 mov.u32 %r21, %r45;\n" + std::string(kFence);
  w.registers_a = true;
  const Report report = wgmma_failure(w, Fault::undefined_store);
  EXPECT_EQ(report.thread[0], 36u);  // the first that has a part of the row 16 + 1 + 8
  Wgmma b(8, GetParam());
  b.fill = "setp.ne.u32 %p5, %r2, 16384;\n @%p5 " + b.fill;
  EXPECT_EQ(wgmma_failure(b, Fault::undefined_store).thread[0] % 32, 0u);
}

/// Registers that products use are theirs alone; others still share places.
TEST_P(WgmmaChecks, PlacesAreNotShared) {
  Wgmma w(8, GetParam());
  w.registers_a = true;
  // %r20 to %r23 are dead here for all but the product in flight
  w.after =
      std::string(kCommit) +
      "mov.u32 %r40, 1; add.s32 %r41, %r40, 1; add.s32 %r42, %r41, 1; add.s32 %r43, %r42, 1;\n" +
      kWait;
  expect_product(w);
}

INSTANTIATE_TEST_SUITE_P(Elements, WgmmaChecks, testing::Values(Element::f16, Element::tf32),
                         testing::PrintToStringParamName());

TEST(Setmaxnreg, IsChecked) {
  Wgmma w(8);
  w.before =
      "setmaxnreg.dec.sync.aligned.u32 40;\n setmaxnreg.inc.sync.aligned.u32 240;\n" + w.before;
  EXPECT_TRUE(run_wgmma(w).result.ok());
  w.before =
      "setp.lt.u32 %p5, %r1, 32;\n @%p5 bra one_;\n setmaxnreg.dec.sync.aligned.u32 40;\n"
      "bra.uni join_;\n one_:\n setmaxnreg.dec.sync.aligned.u32 48;\n join_:\n" +
      std::string(kFence);
  wgmma_failure(w, Fault::divergence);
  w.before = std::string("setmaxnreg.dec.sync.aligned.u32 41;\n") + kFence;
  Memory memory(1 << 20);
  EXPECT_EQ(Module::load(w.text(), memory)->kernel("test")->unsupported.size(), 1u);
}

}  // namespace
}  // namespace gpu::test
