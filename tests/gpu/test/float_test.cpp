#include <cmath>
#include <limits>

#include "gpu/test/ptx_fixture.hpp"

namespace gpu::test {
namespace {

/// Lane 0's result of f32 code: sources in %f0.. from the words, result in %f20.
float single(const std::string& code, float a, float b = 0, float c = 0,
             LaunchOptions options = {.perturb = false}) {
  return as_float(results("mov.b32 %f0, %r0; mov.b32 %f1, %r1; mov.b32 %f2, %r2;\n" + code +
                              "\n mov.b32 %r20, %f20; cvt.u64.u32 %rd20, %r20;",
                          lanes([&](u32) {
                            return Words{bits(a), bits(b), bits(c)};
                          }),
                          options)[0][0]);
}

/// The same for 32-bit registers.
u32 word(const std::string& code, u32 a, u32 b = 0, u32 c = 0) {
  return static_cast<u32>(results(code + "\n cvt.u64.u32 %rd20, %r20;", lanes([&](u32) {
                                    return Words{a, b, c};
                                  }))[0][0]);
}

TEST(Float, RoundsAsNamed) {
  const float tiny = 0x1p-30f;
  EXPECT_EQ(single("add.rn.f32 %f20, %f0, %f1;", 1, tiny), 1.0f);
  EXPECT_EQ(single("add.rp.f32 %f20, %f0, %f1;", 1, tiny), std::nextafter(1.0f, 2.0f));
  EXPECT_EQ(single("add.rz.f32 %f20, %f0, %f1;", -1, -tiny), -1.0f);
  EXPECT_EQ(single("add.rm.f32 %f20, %f0, %f1;", -1, -tiny), std::nextafter(-1.0f, -2.0f));
  EXPECT_EQ(single("div.rp.f32 %f20, %f0, %f1;", 1, 3),
            std::nextafter(1.0f / 3, 0.0f) < 1.0f / 3 ? 1.0f / 3 : 0);
  EXPECT_EQ(single("fma.rn.f32 %f20, %f0, %f1, %f2;", 1 + 0x1p-12f, 1 + 0x1p-12f, -1),
            0x1p-11f + 0x1p-24f);
  EXPECT_EQ(single("sqrt.rn.f32 %f20, %f0;", 2), std::sqrt(2.0f));
  EXPECT_EQ(single("mul.sat.f32 %f20, %f0, %f1;", 3, 4), 1.0f);
}

TEST(Float, FlushesAndNans) {
  const float subnormal = 0x1p-130f;
  EXPECT_EQ(single("add.f32 %f20, %f0, %f1;", subnormal, 0), subnormal);
  EXPECT_EQ(single("add.ftz.f32 %f20, %f0, %f1;", subnormal, 0), 0.0f);
  EXPECT_EQ(single("min.f32 %f20, %f0, %f1;", std::nanf(""), 2), 2.0f);
  EXPECT_TRUE(std::isnan(single("min.NaN.f32 %f20, %f0, %f1;", std::nanf(""), 2)));
  EXPECT_TRUE(std::signbit(single("min.f32 %f20, %f0, %f1;", 0.0f, -0.0f)));
  EXPECT_FALSE(std::signbit(single("max.f32 %f20, %f0, %f1;", -0.0f, 0.0f)));
  EXPECT_EQ(bits(single("add.f32 %f20, %f0, %f1;", HUGE_VALF, -HUGE_VALF)), 0x7FFFFFFFu);
}

TEST(Float, ComparesUnordered) {
  const auto flag = [](const std::string& relation, float a, float b) {
    return single("setp." + relation +
                      ".f32 %p1, %f0, %f1;\n selp.f32 %f20, 0f3F800000, 0f00000000, %p1;",
                  a, b) == 1;
  };
  const float nan = std::nanf("");
  EXPECT_FALSE(flag("lt", nan, 1));
  EXPECT_TRUE(flag("ltu", nan, 1));
  EXPECT_FALSE(flag("ne", nan, 1));
  EXPECT_TRUE(flag("neu", nan, 1));
  EXPECT_TRUE(flag("nan", nan, 1));
  EXPECT_TRUE(flag("num", 2, 1));
  EXPECT_TRUE(flag("ge", 2, 2));
}

TEST(Float, ApproximationsStayWithinTheirBounds) {
  struct Row {
    const char* code;
    double (*exact)(double);
    double relative, absolute;
  };
  const Row rows[] = {
      {"ex2.approx.ftz.f32 %f20, %f0;", [](double x) { return std::exp2(x); }, 0x1p-21, 0},
      {"lg2.approx.f32 %f20, %f0;", [](double x) { return std::log2(x); }, 0x1p-22, 0x1p-22},
      {"rcp.approx.f32 %f20, %f0;", [](double x) { return 1 / x; }, 0x1p-22, 0},
      {"rsqrt.approx.f32 %f20, %f0;", [](double x) { return 1 / std::sqrt(x); }, 0x1p-21, 0},
      {"sqrt.approx.f32 %f20, %f0;", [](double x) { return std::sqrt(x); }, 0x1p-22, 0},
      {"sin.approx.f32 %f20, %f0;", [](double x) { return std::sin(x); }, 0, 0x1p-20},
      {"cos.approx.f32 %f20, %f0;", [](double x) { return std::cos(x); }, 0, 0x1p-20},
      {"tanh.approx.f32 %f20, %f0;", [](double x) { return std::tanh(x); }, 0x1p-10, 0},
  };
  for (const Row& row : rows) {
    int moved = 0;
    for (u64 seed = 0; seed < 6; ++seed) {
      const float x = 0.37f + 0.31f * static_cast<float>(seed);
      const double exact = row.exact(static_cast<double>(x));
      const double got = static_cast<double>(single(row.code, x, 0, 0, {.seed = seed}));
      EXPECT_NEAR(got, exact, std::fabs(exact) * row.relative + row.absolute) << row.code;
      moved += got != static_cast<double>(static_cast<float>(exact)) ? 1 : 0;
    }
    EXPECT_GT(moved, 0) << row.code << " is never perturbed";
  }
  EXPECT_EQ(single("ex2.approx.f32 %f20, %f0;", -HUGE_VALF), 0.0f);
  EXPECT_EQ(single("rcp.approx.ftz.f32 %f20, %f0;", 0.0f), HUGE_VALF);
}

/// f16 and bf16 have bounds of their own; the halves of a pair are moved apart from each other.
TEST(Half, ApproximationsStayWithinTheirBounds) {
  struct Row {
    const char* code;
    bool bf16;
    double (*exact)(double);
    double relative, absolute;
  };
  const auto exp2 = [](double x) { return std::exp2(x); };
  const auto tanh = [](double x) { return std::tanh(x); };
  const Row rows[] = {
      {"ex2.approx.f16x2 %r20, %r0;", false, exp2, std::exp2(-9.9), 0},
      {"ex2.approx.ftz.bf16x2 %r20, %r0;", true, exp2, std::exp2(-7.0), 0},
      {"tanh.approx.f16x2 %r20, %r0;", false, tanh, 0, std::exp2(-10.987)},
      {"tanh.approx.bf16x2 %r20, %r0;", true, tanh, 0, std::exp2(-8.0)},
      {"mov.b32 {%h0, %h1}, %r0; ex2.approx.f16 %h2, %h0; ex2.approx.f16 %h3, %h1;"
       "mov.b32 %r20, {%h2, %h3};",
       false, exp2, std::exp2(-9.9), 0},
  };
  for (const Row& row : rows) {
    const auto value = [&](u32 half) {  // of f16: normal numbers, that suffices here
      const u32 single =
          row.bf16 ? half << 16 : (half & 0x8000u) << 16 | ((half & 0x7FFFu) + 0x1C000u) << 13;
      return static_cast<double>(std::bit_cast<float>(single));
    };
    const u32 start = row.bf16 ? 0x3E83 : 0x3417;  // 0.256
    u32 previous = 0;
    int moved = 0;
    for (u64 seed = 0; seed < 6; ++seed) {
      const auto out =
          results(std::string(row.code) + "cvt.u64.u32 %rd20, %r20;", lanes([&](u32 lane) {
                    return Words{(start + 7 * lane) << 16 | (start + 5 * lane + 0x80)};
                  }),
                  {.seed = seed});
      u32 all = 0;
      for (u32 lane = 0; lane < 32; ++lane) {
        for (const u32 shift : {0u, 16u}) {
          const u32 in = shift == 0 ? start + 5 * lane + 0x80 : start + 7 * lane;
          const double exact = row.exact(value(in));
          const u32 got = static_cast<u32>(out[lane][0]) >> shift & 0xFFFF;
          EXPECT_NEAR(value(got), exact, std::fabs(exact) * row.relative + row.absolute)
              << row.code;
          all = all * 31 + got;
        }
      }
      moved += seed != 0 && all != previous ? 1 : 0;
      previous = all;
    }
    EXPECT_GT(moved, 0) << row.code << " is never perturbed";
  }
  EXPECT_EQ(word("ex2.approx.f16x2 %r20, %r0;", 0x7C00FC00), 0x7C000000u);
  EXPECT_EQ(word("tanh.approx.f16x2 %r20, %r0;", 0x7C00FC00), 0x3C00BC00u);
}

TEST(Float, Doubles) {
  const auto out = results(
      "mov.b64 %d0, %rd0; mov.b64 %d1, %rd1; fma.rn.f64 %d2, %d0, %d1, %d1; mov.b64 %rd20, %d2;\n"
      "div.rn.f64 %d3, %d0, %d1; mov.b64 %rd21, %d3; cvt.rzi.s64.f64 %rd22, %d3;\n"
      "cvt.rn.f64.s64 %d4, %rd2; mov.b64 %rd23, %d4;",
      lanes([](u32) {
        return Words{bits(10.0), bits(3.0), static_cast<u64>(-7)};
      }));
  EXPECT_EQ(as_double(out[0][0]), 33.0);
  EXPECT_EQ(as_double(out[0][1]), 10.0 / 3);
  EXPECT_EQ(out[0][2], 3u);
  EXPECT_EQ(as_double(out[0][3]), -7.0);
}

TEST(Half, ArithmeticInPairs) {
  // 1.5 and -2 ; 0.25 and 3
  EXPECT_EQ(word("add.f16x2 %r20, %r0, %r1;", 0xC0003E00, 0x42003400), 0x3C003F00u);
  EXPECT_EQ(word("mul.f16x2 %r20, %r0, %r1;", 0xC0003E00, 0x42003400), 0xC6003600u);
  EXPECT_EQ(word("fma.rn.f16x2 %r20, %r0, %r1, %r2;", 0xC0003E00, 0x42003400, 0x3C003C00),
            0xC5003D80u);
  EXPECT_EQ(word("fma.rn.relu.f16x2 %r20, %r0, %r1, %r2;", 0xC0003E00, 0x42003400, 0x3C003C00),
            0x00003D80u);
  EXPECT_EQ(word("max.f16x2 %r20, %r0, %r1;", 0xC0003E00, 0x42003400), 0x42003E00u);
  EXPECT_EQ(word("fma.rn.bf16x2 %r20, %r0, %r1, %r2;", 0x3F803FC0, 0x40004000, 0x3F803F80),
            0x40404080u);
  EXPECT_EQ(word("neg.f16x2 %r20, %r0;", 0x3C00BC00), 0xBC003C00u);
}

TEST(Half, Conversions) {
  EXPECT_EQ(word("mov.b32 %f0, %r0; mov.b32 %f1, %r1; cvt.rn.f16x2.f32 %r20, %f0, %f1;", bits(1.0f),
                 bits(2.0f)),
            0x3C004000u);
  EXPECT_EQ(word("mov.b32 %f0, %r0; mov.b32 %f1, %r1; cvt.rn.bf16x2.f32 %r20, %f0, %f1;",
                 bits(1.0f), bits(-2.0f)),
            0x3F80C000u);
  EXPECT_EQ(
      word("mov.b32 %f0, %r0; cvt.rn.f16.f32 %h1, %f0; cvt.u32.u16 %r20, %h1;", bits(65520.0f)),
      0x7C00u);
  EXPECT_EQ(
      word("mov.b32 %f0, %r0; cvt.rz.f16.f32 %h1, %f0; cvt.u32.u16 %r20, %h1;", bits(65520.0f)),
      0x7BFFu);
  EXPECT_EQ(
      word("mov.b32 %f0, %r0; cvt.rn.f16.f32 %h1, %f0; cvt.u32.u16 %r20, %h1;", bits(0x1p-25f)),
      0x0000u);
  EXPECT_EQ(
      word("mov.b32 %f0, %r0; cvt.rn.f16.f32 %h1, %f0; cvt.u32.u16 %r20, %h1;", bits(0x1.8p-25f)),
      0x0001u);
  EXPECT_EQ(word("mov.b32 %f0, %r0; cvt.rna.tf32.f32 %r20, %f0;", 0x3F801000), 0x3F802000u);
  EXPECT_EQ(word("mov.b32 {%h0, %h1}, %r0; cvt.f32.f16 %f0, %h1; mov.b32 %r20, %f0;", 0x40003C00),
            bits(2.0f));
  EXPECT_EQ(word("mov.b32 %f0, %r0; cvt.rni.s32.f32 %r20, %f0;", bits(2.5f)), 2u);
  EXPECT_EQ(word("mov.b32 %f0, %r0; cvt.rzi.u32.f32 %r20, %f0;", bits(-3.0f)), 0u);
  EXPECT_EQ(word("mov.b32 %f0, %r0; cvt.rpi.s32.f32 %r20, %f0;", bits(3e10f)), 0x7FFFFFFFu);
  EXPECT_EQ(word("cvt.rn.f32.u32 %f0, %r0; mov.b32 %r20, %f0;", 0xFFFFFFFF), bits(0x1p32f));
  EXPECT_EQ(word("mov.b32 %f0, %r0; mov.b32 %f1, %r1; cvt.rn.satfinite.e4m3x2.f32 %h0, %f0, %f1; "
                 "cvt.u32.u16 %r20, %h0;",
                 bits(448.0f), bits(1.0f)),
            0x7E38u);
}

/// Every finite half survives the way to a float and back.
TEST(Half, RoundTrip) {
  for (u32 start = 0; start < 0x10000; start += 32 * 64) {
    const auto out = results(
        "mov.b32 {%h0, %h1}, %r0; cvt.f32.f16 %f0, %h0; cvt.rn.f16.f32 %h1, %f0; cvt.u64.u16 "
        "%rd20, %h1;",
        lanes([&](u32 lane) { return Words{start + 64 * lane}; }));
    for (u32 lane = 0; lane < 32; ++lane) {
      const u32 in = start + 64 * lane;
      if ((in & 0x7FFF) <= 0x7C00) {
        EXPECT_EQ(out[lane][0], in);
      }
    }
  }
}

}  // namespace
}  // namespace gpu::test
