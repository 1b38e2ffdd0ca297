// Products of warpgroups in tf32. Elements have lower bits set that must not count.
#include "gpu/test/warpgroup_fixture.hpp"

namespace gpu::test {
namespace {

Wgmma tf32(u32 columns) { return {columns, Element::tf32}; }

TEST(WgmmaTf32, EveryWidth) {
  for (u32 n = 8; n <= 256; n += 8) {
    SCOPED_TRACE(n);
    Wgmma w = tf32(n);
    w.registers_a = n % 16 == 0;
    w.b.swizzle = n % 64 == 0 ? 128 : n % 24 == 0 ? 32 : n % 40 == 0 ? 64 : 0;
    expect_product(w);
  }
}

/// Every swizzle, and start addresses within its rows: the next 8 along K.
TEST(WgmmaTf32, StepsAlongRows) {
  for (const u32 swizzle : {0u, 32u, 64u, 128u}) {
    for (u32 step = 0; step < std::max(swizzle / 32, 1u); ++step) {
      for (const u32 n : {8u, 64u, 128u}) {
        for (const bool registers_a : {false, true}) {
          SCOPED_TRACE(std::to_string(swizzle) + ", step " + std::to_string(step) + ", N " +
                       std::to_string(n) + (registers_a ? ", A in registers" : ""));
          Wgmma w = tf32(n);
          w.registers_a = registers_a;
          w.a.swizzle = w.b.swizzle = swizzle;
          w.a.step = w.b.step = step;
          expect_product(w);
        }
      }
    }
  }
}

TEST(WgmmaTf32, ScalesAndOrders) {
  for (u64 seed = 0; seed < 8; ++seed) {  // every order of adding: exact here
    for (int scales = 0; scales < 8; ++scales) {
      Wgmma w = tf32(40);
      w.registers_a = seed % 2 == 0;
      w.scale_a = (scales & 1) != 0 ? -1 : 1;
      w.scale_b = (scales & 2) != 0 ? -1 : 1;
      w.scale_d = scales / 4;
      expect_product(w, {.seed = seed});
    }
  }
}

/// The lower 13 bits are cut off: nothing is rounded.
TEST(WgmmaTf32, LowBitsAreIgnored) {
  for (const u32 low : {0u, 1u, 0xFFFu, 0x1000u, 0x1001u, 0x1FFFu}) {
    for (const bool registers_a : {false, true}) {
      SCOPED_TRACE(low);
      Wgmma w = tf32(16);
      w.low_bits = low;
      w.registers_a = registers_a;
      expect_product(w);
    }
  }
}

TEST(WgmmaTf32, ProductsFollowEachOther) {
  for (u64 seed = 0; seed < 6; ++seed) {
    Wgmma w = tf32(64);
    w.registers_a = seed % 2 == 0;
    w.products = 3;
    w.between = seed % 3 == 0 ? "" : kCommit;
    expect_product(w, {.seed = seed});
    w.between = std::string(kCommit) + kWait;
    expect_product(w, {.seed = seed});
  }
}

/// As products of 16 bits, which are twice as deep and read as many bytes.
TEST(WgmmaTf32, IsCounted) {
  for (const bool registers_a : {false, true}) {
    Wgmma w = tf32(64);
    w.registers_a = registers_a;
    w.products = 2;
    const WgmmaRun run = run_wgmma(w);
    ASSERT_TRUE(run.result.ok());
    const Counts& counts = run.result.counts;
    EXPECT_EQ(counts.mma.at("m64n64k8.f32.tf32.tf32"), 8u);  // a warp counts once
    EXPECT_EQ(counts.by_opcode.at("wgmma"), 4u * 5);
    EXPECT_EQ(counts.product_bytes, 2u * ((registers_a ? 0 : 64) + 64) * 8 * 4);
  }
}

/// Where %p6 holds, both accumulators get a value that is defined.
std::string define(const std::string& where, const char* first, const char* second) {
  return where + "@%p6 mov.f32 " + first + ", 0f00000000;\n @%p6 mov.f32 " + second +
         ", 0f00000000;\n";
}

/// `defined` replaces all results that `is_spoiled` names, and these alone are undefined.
template <class IsSpoiled>
void expect_spoiled(Wgmma w, const std::string& defined, IsSpoiled is_spoiled) {
  const std::string after = w.after + "\n";
  w.after = after + defined;
  const WgmmaRun run = run_wgmma(w);
  for (const Report& report : run.result.failures) ADD_FAILURE() << report.text();
  for (u32 m = 0; m < 64; ++m) {
    for (u32 n = 0; n < w.columns; ++n) {
      const int expected = is_spoiled(m, n) ? 0 : w.expected_at(m, n);
      EXPECT_EQ(run.d[m * w.columns + n], static_cast<float>(expected)) << m << ", " << n;
    }
  }
  // each of the two accumulators needs it
  for (const std::string start : {"@%p6 mov.f32 %f1", "@%p6 mov.f32 %f2", "@%p6 mov.f32 %f3"}) {
    const std::size_t at = defined.find(start);
    if (at == std::string::npos) continue;
    w.after = after + std::string(defined).erase(at, defined.find('\n', at) - at);
    wgmma_failure(w, Fault::undefined_store);
  }
}

/// Rows 1 + 8 of a warp's 16 are in lanes 4 to 7.
std::string define_row(u32 warp) {
  return define(
      "and.b32 %r6, %r1, 124;\n setp.eq.u32 %p6, %r6, " + std::to_string(32 * warp + 4) + ";\n",
      "%f2", "%f3");
}

/// Stores 16 bytes; where `offset` is, the third element is stored by `third` instead.
std::string fill_but_one(u32 offset, const std::string& third) {
  return "setp.ne.u32 %p5, %r2, " + std::to_string(offset) +
         ";\n @%p5 st.shared.v4.b32 [%r4], {%r10,%r11,%r12,%r13};\n"
         "@!%p5 st.shared.v2.b32 [%r4], {%r10,%r11};\n @!%p5 st.shared.b32 [%r4+12], %r13;\n" +
         third;
}
/// Stores that leave all of it undefined, one byte, one bit.
const std::array<std::string, 3> kThirds = {
    "",
    "shr.u32 %r7, %r12, 16;\n shr.u32 %r8, %r12, 8;\n"
    "@!%p5 st.shared.b16 [%r4+10], %r7;\n @!%p5 st.shared.b8 [%r4+9], %r8;\n",
    "and.b32 %r7, %r45, 1;\n xor.b32 %r8, %r12, %r7;\n @!%p5 st.shared.b32 [%r4+8], %r8;\n"};

TEST(WgmmaTf32, UndefinedElementsOfRegisters) {
  Wgmma w = tf32(8);
  w.registers_a = true;
  w.before += "\n setp.eq.u32 %p5, %r1, 37;\n @%p5 mov.u32 %r21, %r45;\n" + std::string(kFence);
  expect_spoiled(w, define_row(1), [](u32 m, u32) { return m == 16 + 1 + 8; });
}

TEST(WgmmaTf32, UndefinedElementsOfSharedMemory) {
  for (const std::string& third : kThirds) {
    Wgmma a = tf32(8);
    a.fill = fill_but_one(a.a.place(9, 0), third);
    expect_spoiled(a, define_row(0), [](u32 m, u32) { return m == 9; });
    Wgmma b = tf32(8);
    b.fill = fill_but_one(b.b.place(5, 4), third);
    expect_spoiled(b, define("and.b32 %r6, %r1, 3;\n setp.eq.u32 %p6, %r6, 2;\n", "%f1", "%f3"),
                   [](u32, u32 n) { return n == 5; });
  }
}

/// A product of 16 bits is of another shape.
TEST(WgmmaTf32, OtherDepthsNeedFences) {
  const std::string other = Wgmma(8).narrow("%f0,%f1,%f2,%f3", "0");
  Wgmma w = tf32(8);
  w.after = std::string(kCommit) + kWait + other + kCommit + kWait;
  EXPECT_NE(wgmma_failure(w, Fault::missing_fence).text().find("another shape"), std::string::npos);
  w.after = std::string(kCommit) + kWait + kFence + other + kCommit + kWait;
  EXPECT_TRUE(run_wgmma(w).result.ok());
  w.after = std::string(kCommit) + kFence + other + kCommit + kWait;
  wgmma_failure(w, Fault::product_in_flight);
}

TEST(WgmmaTf32, OtherFormsAreUnsupported) {
  const auto refused = [](const std::string& form) {
    Memory memory(1 << 20);
    Wgmma w = tf32(8);
    w.at_end = "wgmma.mma_async.sync.aligned." + form + ";\n";
    return Module::load(w.text(), memory)->kernel("test")->unsupported.size();
  };
  const std::string operands = " {%f0,%f1,%f2,%f3}, %rd20, %rd21, 0, 1, 1";
  EXPECT_EQ(refused("m64n8k8.f32.tf32.tf32" + operands), 0u);
  EXPECT_EQ(refused("m64n8k8.f32.tf32.tf32" + operands + ", 0"), 1u);
  EXPECT_EQ(refused("m64n8k8.f32.tf32.tf32" + operands + ", 0, 0"), 1u);
  EXPECT_EQ(refused("m64n8k16.f32.tf32.tf32" + operands), 1u);
  EXPECT_EQ(refused("m64n8k8.f32.f16.f16" + operands + ", 0, 0"), 1u);
  EXPECT_EQ(refused("m64n8k8.f32.tf32.f16" + operands), 1u);
}

}  // namespace
}  // namespace gpu::test
