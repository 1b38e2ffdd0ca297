#pragma once

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "gpu/machine/launch.hpp"

namespace gpu::test {

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

/// What a lane gets and gives: four 64-bit words.
using Words = std::array<u64, 4>;
using Warp32 = std::vector<Words>;

/// One warp's worth of inputs from a function of the lane.
inline Warp32 lanes(const std::function<Words(u32)>& f) {
  Warp32 all;
  for (u32 lane = 0; lane < 32; ++lane) all.push_back(f(lane));
  return all;
}

inline u32 bits(float f) { return std::bit_cast<u32>(f); }
inline u64 bits(double f) { return std::bit_cast<u64>(f); }
inline float as_float(u64 word) { return std::bit_cast<float>(static_cast<u32>(word)); }
inline double as_double(u64 word) { return std::bit_cast<double>(word); }

/// Runs PTX text that every thread executes. It finds its four words in %rd0 to %rd3 and %r0 to %r3
/// (lower halves), its lane in %r9, and leaves results in %rd20 to %rd23 (zero before). Registers
/// to use: %p0-9, %h0-19 (16 bits), %r10-49, %rd10-49, %f0-49, %d0-49. Shared memory: 4096 bytes
/// named `smem`; the address of 1 KiB of global memory, its first half initialised to 0, 1, 2...
/// (32-bit words): %rd5.
struct Run {
  LaunchResult result;
  Warp32 out;
};

inline std::string module_text(const std::string& code) {
  return ".version 8.5\n.target sm_90a\n.address_size 64\n"
         ".visible .entry test(.param .u64 in, .param .u64 out, .param .u64 scratch)\n{\n"
         "  .reg .pred %p<10>;\n  .reg .b16 %h<20>;\n  .reg .b32 %r<50>;\n  .reg .b64 %rd<50>;\n"
         "  .reg .f32 %f<50>;\n  .reg .f64 %d<50>;\n"
         "  .shared .align 1024 .b8 smem[4096];\n"
         "  ld.param.u64 %rd6, [in];\n  ld.param.u64 %rd7, [out];\n  ld.param.u64 %rd5, "
         "[scratch];\n"
         "  mov.u32 %r9, %tid.x;\n  mul.wide.u32 %rd8, %r9, 32;\n  add.s64 %rd6, %rd6, %rd8;\n"
         "  add.s64 %rd7, %rd7, %rd8;\n"
         "  ld.global.v2.u64 {%rd0, %rd1}, [%rd6];\n  ld.global.v2.u64 {%rd2, %rd3}, [%rd6+16];\n"
         "  cvt.u32.u64 %r0, %rd0;\n  cvt.u32.u64 %r1, %rd1;\n  cvt.u32.u64 %r2, %rd2;\n"
         "  cvt.u32.u64 %r3, %rd3;\n  mov.u64 %rd20, 0;\n  mov.u64 %rd21, 0;\n  mov.u64 %rd22, 0;\n"
         "  mov.u64 %rd23, 0;\n" +
         code +
         "\n  st.global.v2.u64 [%rd7], {%rd20, %rd21};\n"
         "  st.global.v2.u64 [%rd7+16], {%rd22, %rd23};\n  ret;\n}\n";
}

inline Run run(const std::string& code, const Warp32& in,
               LaunchOptions options = {.perturb = false}, u32 threads = 32) {
  Memory memory(std::size_t{1} << 28);
  const auto module = Module::load(module_text(code), memory);
  const Kernel& kernel = *module->kernel("test");
  EXPECT_TRUE(kernel.unsupported.empty()) << kernel.unsupported.front();
  const std::size_t bytes = threads * sizeof(Words);
  Warp32 padded = in;
  padded.resize(threads);
  const std::array<Address, 3> parameters{memory.allocate(bytes, "in"),
                                          memory.allocate(bytes, "out"),
                                          memory.allocate(1024, "scratch")};
  memory.copy_in(parameters[0], padded.data(), bytes);
  std::array<u32, 128> counting;
  for (u32 i = 0; i < 128; ++i) counting[i] = i;
  memory.copy_in(parameters[2], counting.data(), sizeof counting);
  Run run;
  run.result = launch(device({9, 0}), kernel, {.block = {threads, 1, 1}},
                      std::as_bytes(std::span(parameters)), options);
  run.out.resize(threads);
  memory.copy_out(run.out.data(), parameters[1], bytes);
  return run;
}

/// Runs the code and expects no failure; returns the results.
inline Warp32 results(const std::string& code,
                      const Warp32& in = lanes([](u32) { return Words{}; }),
                      LaunchOptions options = {.perturb = false}) {
  Run done = run(code, in, options);
  for (const Report& report : done.result.failures) ADD_FAILURE() << report.text();
  return done.out;
}

/// Runs the code, expects one failure of that kind.
inline Report failure(const std::string& code, Fault fault, u32 threads = 32,
                      LaunchOptions options = {.perturb = false}) {
  const Run done = run(code, {}, options, threads);
  if (done.result.failures.size() != 1) {
    ADD_FAILURE() << "expected one failure of kind '" << to_string(fault) << "', got "
                  << done.result.failures.size();
    return {};
  }
  EXPECT_EQ(done.result.failures[0].fault, fault) << done.result.failures[0].text();
  return done.result.failures[0];
}

}  // namespace gpu::test
