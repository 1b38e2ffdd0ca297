#pragma once

#include <algorithm>
#include <cmath>

#include "gpu/test/ptx_fixture.hpp"

namespace gpu::test {

constexpr const char* kCommit = "wgmma.commit_group.sync.aligned;\n";
constexpr const char* kWait = "wgmma.wait_group.sync.aligned 0;\n";
constexpr const char* kFence = "wgmma.fence.sync.aligned;\n";

/// What A and B are made of.
enum class Element { f16, bf16, tf32 };
inline const char* name_of(Element element) {
  return element == Element::tf32 ? "tf32" : element == Element::bf16 ? "bf16" : "f16";
}
inline void PrintTo(Element element, std::ostream* out) { *out << name_of(element); }

/// One matrix in shared memory. `outer` is M or N. Layouts are written down here once more, by the
/// number of a 16-byte piece within its row instead of address bits.
struct Tile {
  u32 outer = 64;
  bool k_major = true;
  u32 swizzle = 128;  ///< bytes per row; 0: none
  u32 step = 0;       ///< which 32 bytes of a row along K the product reads (K-major)
  u32 start = 0;      ///< offset in shared memory
  u32 bytes = 2;      ///< of an element; 4: K-major

  u32 row() const { return swizzle == 0 ? 16 : swizzle; }
  u32 stride() const {
    if (swizzle == 0) return 256;  // two along K, or along outer, are between
    return k_major ? 8 * row() : 8 * row() * blocks();
  }
  u32 leading() const {
    if (swizzle == 0) return k_major ? 128 : outer / 8 * 256;
    return k_major ? 16 : 8 * row();
  }
  u32 blocks() const { return (2 * outer + row() - 1) / row(); }
  u32 place(u32 i, u32 k) const {
    const u32 per_line = swizzle == 0 ? 8 : 128 / swizzle;  // rows that share 128 bytes
    if (k_major) {
      const u32 at = k * bytes + 32 * step;  // in a row
      if (swizzle == 0)
        return start + i / 8 * stride() + i % 8 * 16 + at / 16 * leading() + at % 16;
      const u32 piece = at / 16 ^ i % 8 / per_line;
      return start + i / 8 * stride() + i % 8 * row() + piece * 16 + at % 16;
    }
    if (swizzle == 0) return start + i / 8 * stride() + k / 8 * leading() + k % 8 * 16 + i % 8 * 2;
    const u32 elements = row() / 2;
    const u32 piece = i % elements / 8 ^ k % 8 / per_line;
    return start + i / elements * leading() + k / 8 * stride() + k % 8 * row() + piece * 16 +
           i % 8 * 2;
  }
  /// Its start counts from the beginning of the kernel's shared memory.
  u64 descriptor() const {
    const u32 advance = swizzle == 0 ? 2 * step * leading() : 32 * step;
    const u64 mode = swizzle == 0 ? 0 : swizzle == 128 ? 1 : swizzle == 64 ? 2 : 3;
    return (start + advance) >> 4 | u64{leading() >> 4} << 16 | u64{stride() >> 4} << 32 |
           mode << 62;
  }
};

struct Wgmma {
  u32 columns = 64;
  Element element = Element::f16;
  u32 low_bits = 0x1FFF;  ///< of each element of tf32: they don't count
  bool registers_a = false;
  Tile a;
  Tile b;
  int scale_a = 1, scale_b = 1;
  int scale_d = 1;
  u32 products = 1;  ///< that follow each other

  /// The steps of the kernel; tests change them.
  std::string fill = "st.shared.v4.b32 [%r4], {%r10,%r11,%r12,%r13};";
  std::string filled = "fence.proxy.async;\n bar.sync 0;";
  std::string before = "wgmma.fence.sync.aligned;";
  std::string guard;
  std::string between;
  std::string after = "wgmma.commit_group.sync.aligned;\n wgmma.wait_group.sync.aligned 0;";
  std::string at_end;
  u32 threads = 128;

  Wgmma(u32 n = 64, Element e = Element::f16) : columns(n), element(e) {
    b.outer = n;
    b.start = 16384;
    if (e == Element::tf32) a.bytes = b.bytes = 4;
  }
  u32 depth() const { return 32 / a.bytes; }
  int a_at(u32 row, u32 k) const;
  u32 encoded(int value) const;
  int sum_at(u32 row, u32 column) const;
  int expected_at(u32 row, u32 column) const;
  std::string instruction(u32 n, const std::string& d, const std::string& fragment_a,
                          const std::string& scales) const;
  std::string product() const;
  std::string narrow(const std::string& d, const std::string& scale) const;
  std::string text() const;
};

constexpr u32 kImageBytes = 49152;

inline int value_a(u32 row, u32 k) { return static_cast<int>((row * 7 + k * 3) % 11) - 5; }
inline int value_b(u32 k, u32 n) { return static_cast<int>((k * 5 + n * 2) % 9) - 4; }
inline int value_c(u32 row, u32 n) { return static_cast<int>(row * 3 + n) - 90; }

/// In tf32 they have all of its 11 significant bits.
inline int Wgmma::a_at(u32 row, u32 k) const {
  return element == Element::tf32 ? value_a(row, k) * 409 + 2 : value_a(row, k);
}

inline u32 Wgmma::encoded(int value) const {
  const u32 single = bits(static_cast<float>(value));
  if (element == Element::tf32) return single | low_bits;
  if (element == Element::bf16) return single >> 16;
  if (value == 0) return 0;
  const int magnitude = std::abs(value);
  const int exponent = static_cast<int>(std::log2(magnitude));
  return static_cast<u32>((value < 0 ? 0x8000 : 0) | (exponent + 15) << 10 |
                          (magnitude << (10 - exponent) & 0x3FF));
}

/// Of A B.
inline int Wgmma::sum_at(u32 row, u32 column) const {
  int sum = 0;
  for (u32 k = 0; k < depth(); ++k) sum += a_at(row, k) * value_b(k, column);
  return sum;
}

/// Of D at the end.
inline int Wgmma::expected_at(u32 row, u32 column) const {
  const int sum = scale_a * scale_b * sum_at(row, column);
  return scale_d != 0 ? value_c(row, column) + static_cast<int>(products) * sum : sum;
}

/// `n`: columns of D; `scales`: scale-d and those of A and B.
inline std::string Wgmma::instruction(u32 n, const std::string& d, const std::string& fragment_a,
                                      const std::string& scales) const {
  const std::string type = name_of(element);
  std::string text = "wgmma.mma_async.sync.aligned.m64n" + std::to_string(n) + "k" +
                     std::to_string(depth()) + ".f32." + type + "." + type + " {" + d + "}, ";
  text += (fragment_a.empty() ? "%rd20" : "{" + fragment_a + "}") + ", %rd21, " + scales;
  if (element == Element::tf32) return text + ";\n";
  if (fragment_a.empty()) text += a.k_major ? ", 0" : ", 1";
  return text + (b.k_major ? ", 0;\n" : ", 1;\n");
}

inline std::string Wgmma::product() const {
  std::string list;
  for (u32 i = 0; i < columns / 2; ++i) list += (i == 0 ? "%f" : ",%f") + std::to_string(i);
  return guard + instruction(columns, list, registers_a ? "%r20,%r21,%r22,%r23" : "",
                             "%p2, " + std::to_string(scale_a) + ", " + std::to_string(scale_b));
}

/// Another product, of 8 columns.
inline std::string Wgmma::narrow(const std::string& d, const std::string& scale) const {
  return instruction(8, d, "", scale + ", 1, 1");
}

/// Parameters: the image of shared memory, A's fragments (4 words a thread), the accumulators
/// before and after.
inline std::string Wgmma::text() const {
  std::string code =
      ".version 8.5\n.target sm_90a\n.address_size 64\n"
      ".visible .entry test(.param .u64 image, .param .u64 a, .param .u64 c, .param .u64 d)\n{\n"
      "  .reg .pred %p<10>;\n  .reg .b32 %r<50>;\n  .reg .b64 %rd<50>;\n  .reg .f32 %f<200>;\n"
      "  .shared .align 1024 .b8 smem[49152];\n"
      "  ld.param.u64 %rd1, [image];\n  ld.param.u64 %rd2, [a];\n  ld.param.u64 %rd3, [c];\n"
      "  ld.param.u64 %rd4, [d];\n  mov.u32 %r1, %tid.x;\n  shl.b32 %r2, %r1, 4;\n"
      "  mov.u32 %r3, smem;\n  mul.wide.u32 %rd6, %r1, 16;\n  add.s64 %rd7, %rd2, %rd6;\n"
      "  ld.global.v4.b32 {%r20,%r21,%r22,%r23}, [%rd7];\n"
      "  setp.ne.u32 %p2, " +
      std::to_string(scale_d) +
      ", 0;\n"
      "loop:\n  cvt.u64.u32 %rd8, %r2;\n  add.s64 %rd8, %rd8, %rd1;\n  add.s32 %r4, %r3, %r2;\n"
      "  ld.global.v4.b32 {%r10,%r11,%r12,%r13}, [%rd8];\n  " +
      fill + "\n  add.s32 %r2, %r2, 2048;\n  setp.lt.u32 %p1, %r2, 49152;\n  @%p1 bra loop;\n" +
      filled + "\n  mul.wide.u32 %rd6, %r1, " + std::to_string(2 * columns) +
      ";\n"
      "  add.s64 %rd7, %rd3, %rd6;\n  add.s64 %rd9, %rd4, %rd6;\n"
      "  shr.u32 %r5, %r3, 4;\n  cvt.u64.u32 %rd10, %r5;\n"
      "  add.s64 %rd20, %rd10, " +
      std::to_string(a.descriptor()) +
      ";\n"
      "  add.s64 %rd21, %rd10, " +
      std::to_string(b.descriptor()) + ";\n";
  for (u32 i = 0; i < columns / 2; ++i) {
    code += "  ld.global.f32 %f" + std::to_string(i) + ", [%rd7+" + std::to_string(4 * i) + "];\n";
  }
  code += before + "\n" + product();
  for (u32 i = 1; i < products; ++i) code += between + "\n" + product();
  code += after + "\n";
  for (u32 i = 0; i < columns / 2; ++i) {
    code += "  st.global.f32 [%rd9+" + std::to_string(4 * i) + "], %f" + std::to_string(i) + ";\n";
  }
  return code + at_end + "  ret;\n}\n";
}

struct WgmmaRun {
  LaunchResult result;
  std::vector<float> d;  ///< 64 x columns
};

inline WgmmaRun run_wgmma(const Wgmma& w, LaunchOptions options = {}) {
  std::vector<u16> image(kImageBytes / 2, 0x7FFF);  // NaN: what no one should read
  const auto put = [&](const Tile& tile, u32 i, u32 k, int value) {
    const u32 at = tile.place(i, k) / 2, word = w.encoded(value);
    image.at(at) = static_cast<u16>(word);
    if (tile.bytes == 4) image.at(at + 1) = static_cast<u16>(word >> 16);
  };
  for (u32 k = 0; k < w.depth(); ++k) {
    for (u32 i = 0; i < 64 && !w.registers_a; ++i) put(w.a, i, k, w.a_at(i, k));
    for (u32 n = 0; n < w.columns; ++n) put(w.b, n, k, value_b(k, n));
  }
  std::vector<std::array<u32, 4>> a(w.threads);
  const std::size_t values = w.columns / 2;
  std::vector<float> c(w.threads * values), d(w.threads * values);
  const auto place = [&](u32 thread, u32 i) {  // row, column of an accumulator
    const u32 lane = thread % 32;
    return std::array<u32, 2>{thread % 128 / 32 * 16 + lane / 4 + (i & 2) * 4,
                              i / 4 * 8 + lane % 4 * 2 + (i & 1)};
  };
  for (u32 thread = 0; thread < w.threads; ++thread) {
    const u32 row = thread % 128 / 32 * 16 + thread % 32 / 4, t = thread % 4;
    for (u32 r = 0; r < 4; ++r) {
      const u32 i = row + (r & 1) * 8, j = 2 * t + (r & 2) * 4;
      a[thread][r] = w.element == Element::tf32
                         ? w.encoded(w.a_at(i, t + (r & 2) * 2))
                         : w.encoded(w.a_at(i, j)) | w.encoded(w.a_at(i, j + 1)) << 16;
    }
    for (u32 i = 0; i < values; ++i) {
      const auto [m, n] = place(thread, i);
      c[thread * values + i] = static_cast<float>(value_c(m, n));
    }
  }
  Memory memory(std::size_t{1} << 28);
  const auto module = Module::load(w.text(), memory);
  const Kernel& kernel = *module->kernel("test");
  EXPECT_TRUE(kernel.unsupported.empty()) << kernel.unsupported.front();
  const std::array<Address, 4> parameters{
      memory.allocate(kImageBytes, "image"), memory.allocate(a.size() * 16, "a"),
      memory.allocate(c.size() * 4, "c"), memory.allocate(d.size() * 4, "d")};
  memory.copy_in(parameters[0], image.data(), kImageBytes);
  memory.copy_in(parameters[1], a.data(), a.size() * 16);
  memory.copy_in(parameters[2], c.data(), c.size() * 4);
  WgmmaRun run;
  run.result = launch(device({9, 0}), kernel, {.block = {w.threads, 1, 1}},
                      std::as_bytes(std::span(parameters)), options);
  memory.copy_out(d.data(), parameters[3], d.size() * 4);
  run.d.resize(std::size_t{64} * w.columns);
  for (u32 thread = 0; thread < std::min(w.threads, 128u); ++thread) {
    for (u32 i = 0; i < values; ++i) {
      const auto [m, n] = place(thread, i);
      run.d[m * w.columns + n] = d[thread * values + i];
    }
  }
  return run;
}

inline void expect_product(const Wgmma& w, LaunchOptions options = {}) {
  const WgmmaRun run = run_wgmma(w, options);
  for (const Report& report : run.result.failures) ADD_FAILURE() << report.text();
  int wrong = 0;
  for (u32 m = 0; m < 64; ++m) {
    for (u32 n = 0; n < w.columns; ++n) {
      const int expected = w.expected_at(m, n);
      if (run.d[m * w.columns + n] == static_cast<float>(expected)) continue;
      if (++wrong < 4) {
        ADD_FAILURE() << "row " << m << ", column " << n << ": " << run.d[m * w.columns + n]
                      << " instead of " << expected;
      }
    }
  }
  EXPECT_EQ(wrong, 0);
}

inline Report wgmma_failure(const Wgmma& w, Fault fault, LaunchOptions options = {}) {
  const WgmmaRun run = run_wgmma(w, options);
  if (run.result.failures.size() != 1) {
    ADD_FAILURE() << "expected one failure of kind '" << to_string(fault) << "', got "
                  << run.result.failures.size();
    return {};
  }
  EXPECT_EQ(run.result.failures[0].fault, fault) << run.result.failures[0].text();
  return run.result.failures[0];
}

}  // namespace gpu::test
