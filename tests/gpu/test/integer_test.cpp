#include "gpu/test/ptx_fixture.hpp"

namespace gpu::test {
namespace {

/// Lane 0's first result, 32 bits.
u32 first(const std::string& code, Words in = {}) {
  return static_cast<u32>(
      results(code + "\n cvt.u64.u32 %rd20, %r20;", lanes([&](u32) { return in; }))[0][0]);
}

TEST(Integer, SumsAndProducts) {
  EXPECT_EQ(first("add.s32 %r20, %r0, %r1;", {7, 0xFFFFFFFF}), 6u);
  EXPECT_EQ(first("add.sat.s32 %r20, %r0, %r1;", {0x7FFFFFFF, 5}), 0x7FFFFFFFu);
  EXPECT_EQ(first("sub.s32 %r20, %r0, %r1;", {3, 5}), 0xFFFFFFFEu);
  EXPECT_EQ(first("mul.lo.s32 %r20, %r0, %r1;", {0x10001, 0x10001}), 0x20001u);
  EXPECT_EQ(first("mul.hi.u32 %r20, %r0, %r1;", {0xFFFFFFFF, 0xFFFFFFFF}), 0xFFFFFFFEu);
  EXPECT_EQ(first("mul.hi.s32 %r20, %r0, %r1;", {0xFFFFFFFF, 0xFFFFFFFF}), 0u);
  EXPECT_EQ(first("mad.lo.s32 %r20, %r0, %r1, %r2;", {6, 7, 8}), 50u);
  EXPECT_EQ(first("div.s32 %r20, %r0, %r1;", {0xFFFFFFF9, 2}), 0xFFFFFFFDu);
  EXPECT_EQ(first("rem.s32 %r20, %r0, %r1;", {0xFFFFFFF9, 2}), 0xFFFFFFFFu);
  EXPECT_EQ(first("div.u32 %r20, %r0, 0;", {5}), 0xFFFFFFFFu);
  EXPECT_EQ(first("min.s32 %r20, %r0, %r1;", {0xFFFFFFFF, 1}), 0xFFFFFFFFu);
  EXPECT_EQ(first("min.u32 %r20, %r0, %r1;", {0xFFFFFFFF, 1}), 1u);
  EXPECT_EQ(first("abs.s32 %r20, %r0;", {0xFFFFFFFB}), 5u);
  EXPECT_EQ(first("sad.u32 %r20, %r0, %r1, %r2;", {3, 10, 100}), 107u);
  EXPECT_EQ(first("mul24.lo.u32 %r20, %r0, %r1;", {0xFF000002, 3}), 6u);
  EXPECT_EQ(first("dp4a.u32.u32 %r20, %r0, %r1, %r2;", {0x01020304, 0x05060708, 10}), 80u);
  EXPECT_EQ(first("dp4a.s32.s32 %r20, %r0, %r1, 0;", {0xFF, 2}), 0xFFFFFFFEu);
}

TEST(Integer, CarriesPassOn) {
  const auto out = results(
      "add.cc.u32 %r20, %r0, %r1;\n addc.u32 %r21, %r2, %r3;\n cvt.u64.u32 %rd20, %r20;\n"
      "cvt.u64.u32 %rd21, %r21;\n sub.cc.u32 %r22, %r1, %r0;\n subc.u32 %r23, 10, 0;\n"
      "cvt.u64.u32 %rd22, %r23;",
      lanes([](u32 lane) {
        return Words{0xFFFFFFFF, lane == 3 ? 0u : 1u, 5, 6};
      }));
  EXPECT_EQ(out[0][0], 0u);
  EXPECT_EQ(out[0][1], 12u);
  EXPECT_EQ(out[3][1], 11u);
  EXPECT_EQ(out[0][2], 9u);
}

TEST(Integer, Wide) {
  const auto out = results(
      "mul.wide.s32 %rd20, %r0, %r1;\n mad.wide.u32 %rd21, %r0, %r1, %rd2;\n"
      "mul.hi.u64 %rd22, %rd2, %rd2;\n shr.s64 %rd23, %rd3, 60;",
      lanes([](u32) {
        return Words{0xFFFFFFFF, 2, ~u64{0}, u64{1} << 63};
      }));
  EXPECT_EQ(out[0][0], static_cast<u64>(-2));
  EXPECT_EQ(out[0][1], u64{0x1FFFFFFFE} - 1);
  EXPECT_EQ(out[0][2], ~u64{0} - 1);
  EXPECT_EQ(out[0][3], ~u64{0} << 3);
}

TEST(Integer, Bits) {
  EXPECT_EQ(first("popc.b32 %r20, %r0;", {0xF0F}), 8u);
  EXPECT_EQ(first("clz.b32 %r20, %r0;", {1}), 31u);
  EXPECT_EQ(first("clz.b64 %r20, %rd0;", {1}), 63u);
  EXPECT_EQ(first("bfind.s32 %r20, %r0;", {0xFFFFFFF0}), 3u);
  EXPECT_EQ(first("bfind.shiftamt.u32 %r20, %r0;", {1}), 31u);
  EXPECT_EQ(first("brev.b32 %r20, %r0;", {0x00000001}), 0x80000000u);
  EXPECT_EQ(first("bfe.u32 %r20, %r0, 4, 8;", {0xABCD}), 0xBCu);
  EXPECT_EQ(first("bfe.s32 %r20, %r0, 4, 8;", {0xABCD}), 0xFFFFFFBCu);
  EXPECT_EQ(first("bfi.b32 %r20, %r0, %r1, 8, 4;", {0x5, 0xFFFF}), 0xF5FFu);
  EXPECT_EQ(first("lop3.b32 %r20, %r0, %r1, %r2, 0x96;", {0xF0, 0xCC, 0xAA}), 0xF0u ^ 0xCC ^ 0xAA);
  EXPECT_EQ(first("lop3.b32 %r20, %r0, %r1, %r2, 0xE8;", {0xF0, 0xCC, 0xAA}), 0xE8u);
  EXPECT_EQ(first("shl.b32 %r20, %r0, 32;", {1}), 0u);
  EXPECT_EQ(first("shr.s32 %r20, %r0, 40;", {0x80000000}), 0xFFFFFFFFu);
  EXPECT_EQ(first("shf.l.wrap.b32 %r20, %r0, %r1, 8;", {0xAB000000, 0x1}), 0x1ABu);
  EXPECT_EQ(first("shf.r.clamp.b32 %r20, %r0, %r1, 40;", {1, 0x77}), 0x77u);
  EXPECT_EQ(first("prmt.b32 %r20, %r0, %r1, 0x5410;", {0x11112222, 0x33334444}), 0x44442222u);
  EXPECT_EQ(first("prmt.b32 %r20, %r0, %r1, 0x0008;", {0x80, 0}), 0x808080FFu);
  EXPECT_EQ(first("fns.b32 %r20, %r0, 0, 2;", {0x12}), 4u);
  EXPECT_EQ(first("cnot.b32 %r20, %r0;", {0}), 1u);
}

TEST(Integer, ComparesAndSelects) {
  const auto out = results(
      "setp.lt.s32 %p1, %r0, %r1;\n selp.u64 %rd20, 1, 2, %p1;\n"
      "setp.lo.and.u32 %p2|%p3, %r0, %r1, %p1;\n selp.u64 %rd21, 1, 2, %p2;\n"
      "selp.u64 %rd22, 1, 2, %p3;\n slct.u64.s32 %rd23, 1, 2, %r0;",
      lanes([](u32) {
        return Words{0xFFFFFFFF, 1};
      }));
  EXPECT_EQ(out[0], (Words{1, 2, 1, 2}));
}

TEST(Integer, Conversions) {
  EXPECT_EQ(first("cvt.s32.s8 %r20, %r0;", {0x80}), 0xFFFFFF80u);
  EXPECT_EQ(first("cvt.u32.u8 %r20, %r0;", {0x1FF}), 0xFFu);
  EXPECT_EQ(first("cvt.sat.u8.s32 %r20, %r0;", {300}), 255u);
  EXPECT_EQ(first("cvt.sat.s8.s32 %r20, %r0;", {0xFFFFFF00}), 0xFFFFFF80u);
  EXPECT_EQ(first("cvt.u16.u32 %h1, %r0; cvt.u32.u16 %r20, %h1;", {0x12345678}), 0x5678u);
  EXPECT_EQ(first("cvt.u16.u32 %h1, %r0; cvt.s32.s16 %r20, %h1;", {0x8000}), 0xFFFF8000u);
}

TEST(Integer, PackedHalves) {
  EXPECT_EQ(first("add.u16x2 %r20, %r0, %r1;", {0xFFFF0001, 0x00010002}), 0x00000003u);
  EXPECT_EQ(first("add.s16x2 %r20, %r0, %r1;", {0x7FFF0001, 0x0001FFFF}), 0x80000000u);
  EXPECT_EQ(first("min.s16x2 %r20, %r0, %r1;", {0xFFFF0001, 0x00010002}), 0xFFFF0001u);
  EXPECT_EQ(first("min.u16x2 %r20, %r0, %r1;", {0xFFFF0001, 0x00010002}), 0x00010001u);
  EXPECT_EQ(first("max.s16x2 %r20, %r0, %r1;", {0xFFFF0001, 0x00010002}), 0x00010002u);
  EXPECT_EQ(first("max.u16x2 %r20, %r0, %r1;", {0xFFFF0001, 0x00010002}), 0xFFFF0002u);
  EXPECT_EQ(first("min.relu.s16x2 %r20, %r0, %r1;", {0xFFFF0001, 0x00010002}), 0x00000001u);
  EXPECT_EQ(first("max.relu.s16x2 %r20, %r0, %r1;", {0xFFFF8000, 0xFFFE0002}), 0x00000002u);
  EXPECT_EQ(first("min.relu.s32 %r20, %r0, %r1;", {0xFFFFFFFB, 3}), 0u);
  EXPECT_EQ(first("max.relu.s32 %r20, %r0, %r1;", {0xFFFFFFFB, 3}), 3u);
}

TEST(Integer, PacksWithSaturation) {
  const auto negative = [](int x) { return static_cast<u64>(static_cast<u32>(-x)); };
  EXPECT_EQ(first("cvt.pack.sat.u16.s32 %r20, %r0, %r1;", {70000, negative(3)}), 0xFFFF0000u);
  EXPECT_EQ(first("cvt.pack.sat.s16.s32 %r20, %r0, %r1;", {negative(40000), 40000}), 0x80007FFFu);
  EXPECT_EQ(first("cvt.pack.sat.u8.s32.b32 %r20, %r0, %r1, %r2;", {300, negative(1), 0x12345678}),
            0x5678FF00u);
  EXPECT_EQ(first("cvt.pack.sat.s8.s32.b32 %r20, %r0, %r1, %r2;", {negative(129), 127, 0xAAAABBBB}),
            0xBBBB807Fu);
  EXPECT_EQ(first("cvt.pack.sat.u4.s32.b32 %r20, %r0, %r1, %r2;", {17, 3, 0x00ABCDEF}),
            0xABCDEFF3u);
  EXPECT_EQ(first("cvt.pack.sat.s2.s32.b32 %r20, %r0, %r1, %r2;", {5, negative(7), 1}), 0x16u);
}

TEST(Integer, LogicThatSetsAPredicateToo) {
  const auto out = results(
      "setp.ge.u32 %p2, %r9, 16;\n"
      "lop3.and.b32 %r20|%p1, %r0, %r1, %r2, 0x80, %p2;\n selp.b64 %rd20, 1, 0, %p1;\n"
      "lop3.or.b32 _|%p1, %r0, %r1, %r2, 0x80, !%p2;\n selp.b64 %rd21, 1, 0, %p1;\n"
      "cvt.u64.u32 %rd22, %r20;",
      lanes([](u32 lane) {
        return Words{lane, 7, 3};
      }));
  for (u32 lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(out[lane][0], (lane & 3) != 0 && lane >= 16 ? 1u : 0u);
    EXPECT_EQ(out[lane][1], (lane & 3) != 0 || lane < 16 ? 1u : 0u);
    EXPECT_EQ(out[lane][2], lane & 3);
  }
}

TEST(Moves, OneHundredAndTwentyEightBits) {
  const auto out = results(
      ".reg .b128 %q<3>;\n mov.b128 %q0, {%rd0, %rd1};\n mov.b128 %q1, %q0;\n"
      "mul.wide.u32 %rd10, %r9, 16;\n mov.u64 %rd11, smem;\n add.s64 %rd10, %rd10, %rd11;\n"
      "st.shared.b128 [%rd10], %q1;\n ld.shared.b128 %q2, [%rd10];\n"
      "mov.b128 {%rd20, %rd21}, %q2;\n"
      "ld.global.b128 %q0, [%rd5+16];\n mov.b128 {%rd22, %rd23}, %q0;",
      lanes([](u32 lane) {
        return Words{u64{lane} << 40, ~u64{lane}};
      }));
  for (u32 lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(out[lane][0], u64{lane} << 40);
    EXPECT_EQ(out[lane][1], ~u64{lane});
    EXPECT_EQ(out[lane][2], u64{5} << 32 | 4);
    EXPECT_EQ(out[lane][3], u64{7} << 32 | 6);
  }
  failure(".reg .b128 %q<3>;\n ld.global.b128 %q0, [%rd5+8];", Fault::misaligned);
}

}  // namespace
}  // namespace gpu::test
