#include <cmath>

#include "gpu/test/ptx_fixture.hpp"

namespace gpu::test {
namespace {

// Expected values come from whole matrices and the fragment layouts of the PTX manual, written down
// here once more, lane by lane.

u16 half_of(int value) {  // small integers as binary16
  if (value == 0) return 0;
  const int magnitude = std::abs(value);
  const int exponent = static_cast<int>(std::log2(magnitude));
  const int mantissa = (magnitude << (10 - exponent)) & 0x3FF;
  return static_cast<u16>((value < 0 ? 0x8000 : 0) | (exponent + 15) << 10 | mantissa);
}
u16 bf16_of(int value) { return static_cast<u16>(bits(static_cast<float>(value)) >> 16); }

int a_at(u32 row, u32 k) { return static_cast<int>((row * 7 + k * 3) % 11) - 5; }
int b_at(u32 k, u32 n) { return static_cast<int>((k * 5 + n * 2) % 9) - 4; }
int c_at(u32 row, u32 n) { return static_cast<int>(row * 8 + n); }

float product(u32 row, u32 n, u32 depth) {
  int sum = c_at(row, n);
  for (u32 k = 0; k < depth; ++k) sum += a_at(row, k) * b_at(k, n);
  return static_cast<float>(sum);
}

using Element = u16 (*)(int);

u32 pair(Element f, int low, int high) { return u32{f(low)} | u32{f(high)} << 16; }

/// Loads the fragments of A and B that each lane has in its words (two registers each) and C by
/// formula.
std::string load_c() {
  // c0 = 8 (lane / 4) + 2 (lane % 4), c1 = c0 + 1, c2 = c0 + 64, c3 = c0 + 65
  return "shr.u32 %r40, %r9, 2; and.b32 %r41, %r9, 3; shl.b32 %r42, %r40, 3; shl.b32 %r43, %r41, "
         "1;\n"
         "add.s32 %r44, %r42, %r43; cvt.rn.f32.s32 %f30, %r44; add.s32 %r45, %r44, 1;\n"
         "cvt.rn.f32.s32 %f31, %r45; add.s32 %r45, %r44, 64; cvt.rn.f32.s32 %f32, %r45;\n"
         "add.s32 %r45, %r44, 65; cvt.rn.f32.s32 %f33, %r45;\n"
         "mov.b64 {%r10, %r11}, %rd0; mov.b64 {%r12, %r13}, %rd1; mov.b64 {%r14, %r15}, %rd2;\n";
}
std::string store_d() {
  return "\n mov.b32 %r30, %f40; cvt.u64.u32 %rd20, %r30; mov.b32 %r30, %f41; cvt.u64.u32 %rd21, "
         "%r30;\n"
         "mov.b32 %r30, %f42; cvt.u64.u32 %rd22, %r30; mov.b32 %r30, %f43; cvt.u64.u32 %rd23, "
         "%r30;\n";
}

void expect_product(const Warp32& out, u32 depth) {
  for (u32 lane = 0; lane < 32; ++lane) {
    const u32 g = lane / 4, t = lane % 4;
    EXPECT_EQ(as_float(out[lane][0]), product(g, 2 * t, depth)) << lane;
    EXPECT_EQ(as_float(out[lane][1]), product(g, 2 * t + 1, depth)) << lane;
    EXPECT_EQ(as_float(out[lane][2]), product(g + 8, 2 * t, depth)) << lane;
    EXPECT_EQ(as_float(out[lane][3]), product(g + 8, 2 * t + 1, depth)) << lane;
  }
}

u64 both(u32 low, u32 high) { return u64{low} | u64{high} << 32; }

void check_k16(Element f, const std::string& type) {
  const auto in = lanes([&](u32 lane) {
    const u32 g = lane / 4, t = lane % 4;
    const auto a = [&](u32 row, u32 k) { return pair(f, a_at(row, k), a_at(row, k + 1)); };
    const auto b = [&](u32 k) { return pair(f, b_at(k, g), b_at(k + 1, g)); };
    return Words{both(a(g, 2 * t), a(g + 8, 2 * t)), both(a(g, 2 * t + 8), a(g + 8, 2 * t + 8)),
                 both(b(2 * t), b(2 * t + 8))};
  });
  for (u64 seed = 0; seed < 5; ++seed) {  // every order of adding: exact here
    expect_product(results(load_c() + "mma.sync.aligned.m16n8k16.row.col.f32." + type + "." + type +
                               ".f32 {%f40,%f41,%f42,%f43}, {%r10,%r11,%r12,%r13}, {%r14,%r15}, "
                               "{%f30,%f31,%f32,%f33};" +
                               store_d(),
                           in, {.seed = seed}),
                   16);
  }
}

TEST(Mma, M16N8K16) {
  check_k16(half_of, "f16");
  check_k16(bf16_of, "bf16");
}

TEST(Mma, M16N8K8) {
  for (const bool bf16 : {false, true}) {
    const Element f = bf16 ? bf16_of : half_of;
    const std::string type = bf16 ? "bf16" : "f16";
    const auto in = lanes([&](u32 lane) {
      const u32 g = lane / 4, t = lane % 4;
      return Words{both(pair(f, a_at(g, 2 * t), a_at(g, 2 * t + 1)),
                        pair(f, a_at(g + 8, 2 * t), a_at(g + 8, 2 * t + 1))),
                   both(pair(f, b_at(2 * t, g), b_at(2 * t + 1, g)), 0)};
    });
    expect_product(results(load_c() + "mma.sync.aligned.m16n8k8.row.col.f32." + type + "." + type +
                               ".f32 {%f40,%f41,%f42,%f43}, {%r10,%r11}, {%r12}, "
                               "{%f30,%f31,%f32,%f33};" +
                               store_d(),
                           in),
                   8);
  }
}

TEST(Mma, HalfAccumulators) {
  const auto in = lanes([&](u32 lane) {
    const u32 g = lane / 4, t = lane % 4;
    const auto a = [&](u32 row) { return pair(half_of, a_at(row, 2 * t), a_at(row, 2 * t + 1)); };
    const auto c = [&](u32 row) { return pair(half_of, c_at(row, 2 * t), c_at(row, 2 * t + 1)); };
    return Words{both(a(g), a(g + 8)), both(pair(half_of, b_at(2 * t, g), b_at(2 * t + 1, g)), 0),
                 both(c(g), c(g + 8))};
  });
  const auto out = results(
      load_c() +
          "mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {%r20,%r21}, {%r10,%r11}, {%r12}, "
          "{%r14,%r15}; mov.b64 %rd20, {%r20, %r21};",
      in);
  for (u32 lane = 0; lane < 32; ++lane) {
    const u32 g = lane / 4, t = lane % 4;
    const auto d = [&](u32 row) {
      return pair(half_of, static_cast<int>(product(row, 2 * t, 8)),
                  static_cast<int>(product(row, 2 * t + 1, 8)));
    };
    EXPECT_EQ(out[lane][0], both(d(g), d(g + 8))) << lane;
  }
}

TEST(Mma, Tf32) {
  const auto number = [](int x) {  // the lower 13 bits don't count
    return bits(static_cast<float>(x)) | 0x1FFF;
  };
  const auto in = lanes([&](u32 lane) {
    const u32 g = lane / 4, t = lane % 4;
    return Words{both(number(a_at(g, t)), number(a_at(g + 8, t))),
                 both(number(a_at(g, t + 4)), number(a_at(g + 8, t + 4))),
                 both(number(b_at(t, g)), number(b_at(t + 4, g)))};
  });
  expect_product(results(load_c() +
                             "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                             "{%f40,%f41,%f42,%f43}, {%r10,%r11,%r12,%r13}, {%r14,%r15}, "
                             "{%f30,%f31,%f32,%f33};" +
                             store_d(),
                         in),
                 8);
  expect_product(results(load_c() +
                             "mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 "
                             "{%f40,%f41,%f42,%f43}, {%r10,%r11}, {%r14}, "
                             "{%f30,%f31,%f32,%f33};" +
                             store_d(),
                         in),
                 4);
}

TEST(Mma, Doubles) {
  const auto out = results(
      "mov.b64 %d0, %rd0; mov.b64 %d1, %rd1; mov.b64 %d2, %rd2; mov.b64 %d3, %rd3;\n"
      "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%d10, %d11}, {%d0}, {%d1}, {%d2, %d3};\n"
      "mov.b64 %rd20, %d10; mov.b64 %rd21, %d11;",
      lanes([](u32 lane) {
        const u32 g = lane / 4, t = lane % 4;
        const auto number = [](int x) { return bits(static_cast<double>(x)); };
        return Words{number(a_at(g, t)), number(b_at(t, g)), number(c_at(g, 2 * t)),
                     number(c_at(g, 2 * t + 1))};
      }));
  for (u32 lane = 0; lane < 32; ++lane) {
    const u32 g = lane / 4, t = lane % 4;
    EXPECT_EQ(as_double(out[lane][0]), static_cast<double>(product(g, 2 * t, 4)));
    EXPECT_EQ(as_double(out[lane][1]), static_cast<double>(product(g, 2 * t + 1, 4)));
  }
}

/// An undefined element of A spoils its row of D and no other.
TEST(Mma, UndefinedRowsStayApart) {
  const std::string
      spoil =  // a0 of lanes 4 to 7 (row 1) stays undefined: %r16 is never written there
      "setp.eq.u32 %p1, %r40, 1; @!%p1 mov.u32 %r16, 0; mov.u32 %r17, 0;\n"
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%f40,%f41,%f42,%f43}, {%r16,%r17}, "
      "{%r17}, "
      "{%f30,%f31,%f32,%f33};\n";
  const auto out =
      results(load_c() + spoil + "@%p1 mov.f32 %f40, 0f00000000; @%p1 mov.f32 %f41, 0f00000000;" +
              store_d());
  EXPECT_EQ(as_float(out[0][0]), 0.0f);
  EXPECT_EQ(as_float(out[31][3]), 127.0f);
  failure(load_c() + spoil + store_d(), Fault::undefined_store);
}

/// Shared memory holds 0, 1, 2, ... as 16-bit elements; row r of matrix m is at 16 (8 m + r) bytes.
std::string fill_shared() {
  return "mov.u32 %r10, smem; shl.b32 %r11, %r9, 4; add.s32 %r12, %r10, %r11; shl.b32 %r13, %r9, "
         "3;\n"
         "mad.lo.s32 %r14, %r13, 65537, 65536;\n"  // elements 8 lane and 8 lane + 1
         "add.s32 %r15, %r14, 131074; add.s32 %r16, %r15, 131074; add.s32 %r17, %r16, 131074;\n"
         "st.shared.v4.b32 [%r12], {%r14, %r15, %r16, %r17}; bar.warp.sync -1;\n";
}

u32 element(u32 m, u32 row, u32 column) { return 64 * m + 8 * row + column; }

TEST(MatrixMoves, Ldmatrix) {
  for (const u32 count : {1u, 2u, 4u}) {
    for (const bool transposed : {false, true}) {
      const std::string to = count == 1   ? "{%r20}"
                             : count == 2 ? "{%r20,%r21}"
                                          : "{%r20,%r21,%r22,%r23}";
      const auto out =
          results(fill_shared() + "mov.u32 %r21, 0; mov.u32 %r22, 0; mov.u32 %r23, 0;\n" +
                  "ldmatrix.sync.aligned.m8n8.x" + std::to_string(count) +
                  (transposed ? ".trans" : "") + ".shared.b16 " + to +
                  ", [%r12];\n mov.b64 %rd20, {%r20, %r21}; mov.b64 %rd21, {%r22, %r23};");
      for (u32 lane = 0; lane < 32; ++lane) {
        const u32 i = lane / 4, j = 2 * (lane % 4);
        for (u32 m = 0; m < count; ++m) {
          const u32 expected = transposed ? element(m, j, i) | element(m, j + 1, i) << 16
                                          : element(m, i, j) | element(m, i, j + 1) << 16;
          EXPECT_EQ(static_cast<u32>(out[lane][m / 2] >> (32 * (m % 2))), expected)
              << "x" << count << " lane " << lane << " matrix " << m;
        }
      }
    }
  }
}

TEST(MatrixMoves, StmatrixUndoesLdmatrix) {
  for (const char* trans : {"", ".trans"}) {
    const auto out = results(fill_shared() + "ldmatrix.sync.aligned.m8n8.x4" + trans +
                             ".shared.b16 {%r20,%r21,%r22,%r23}, [%r12];\n bar.warp.sync -1;\n"
                             "stmatrix.sync.aligned.m8n8.x4" +
                             trans +
                             ".shared.b16 [%r12+1024], {%r20,%r21,%r22,%r23};\n bar.warp.sync -1;\n"
                             "ld.shared.v2.b64 {%rd20, %rd21}, [%r12+1024];");
    for (u32 lane = 0; lane < 32; ++lane) {
      for (u32 i = 0; i < 8; ++i) {
        EXPECT_EQ(out[lane][i / 4] >> (16 * (i % 4)) & 0xFFFF, 8 * lane + i);
      }
    }
  }
}

/// Fewer matrices leave the rest alone.
TEST(MatrixMoves, StmatrixOfEverySize) {
  for (const u32 count : {1u, 2u, 4u}) {
    const std::string from = count == 1   ? "{%r20}"
                             : count == 2 ? "{%r20,%r21}"
                                          : "{%r20,%r21,%r22,%r23}";
    for (const bool transposed : {false, true}) {
      const auto out = results(fill_shared() +
                               "mov.u32 %r20, %r9; add.s32 %r21, %r9, 100; add.s32 %r22, %r9, "
                               "200; add.s32 %r23, %r9, 300;\n bar.warp.sync -1;\n" +
                               "stmatrix.sync.aligned.m8n8.x" + std::to_string(count) +
                               (transposed ? ".trans" : "") + ".shared::cta.b16 [%r12], " + from +
                               ";\n bar.warp.sync -1;\n ld.shared.v2.b64 {%rd20, %rd21}, [%r12];");
      for (u32 lane = 0; lane < 32; ++lane) {
        for (u32 i = 0; i < 8; ++i) {
          const u32 m = lane / 8, row = lane % 8;
          // the element of lane 4 r + c / 2 (its lower half, or a zero): row r, column c
          const u32 r = transposed ? i : row, c = transposed ? row : i;
          const u32 written = c % 2 == 0 ? 100 * m + 4 * r + c / 2 : 0;
          EXPECT_EQ(out[lane][i / 4] >> (16 * (i % 4)) & 0xFFFF,
                    m < count ? written : 8 * lane + i);
        }
      }
    }
  }
}

TEST(MatrixMoves, Movmatrix) {
  const auto out =
      results(fill_shared() +
              "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r20}, [%r12];\n"
              "movmatrix.sync.aligned.m8n8.trans.b16 %r21, %r20; cvt.u64.u32 %rd20, %r21;");
  for (u32 lane = 0; lane < 32; ++lane) {
    const u32 i = lane / 4, j = 2 * (lane % 4);
    EXPECT_EQ(out[lane][0], element(0, j, i) | element(0, j + 1, i) << 16);
  }
}

}  // namespace
}  // namespace gpu::test
