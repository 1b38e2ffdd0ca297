// What the kernels cost, exactly, as the emulated GPU counts it.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>

#include "gpu/runtime/control.hpp"

namespace {

using Half = Eigen::half;

// The launch of one forward pass of two heads, 128 queries, 128 keys, head dim 64, where flash's
// kernels cannot run: on device 1, of capability 7.5.
gpu::Counts counts(const attend::Call<Half>& call) {
  const attend::cuda::CurrentDevice old(1);
  attend::Tensor<Half, 4> host(1, 2, 128, 64);
  host.setConstant(Half(0.5f));
  const attend::cuda::Tensor<Half, 4> q(host), k(host), v(host);
  attend::cuda::Tensor<Half, 4> out(attend::Extents<4>{1, 2, 128, 64});
  gpu::emulated_control()->take_launches();
  attend::Attend<Half>{{.flash = true}}.forward_into(out, q, k, v, call);
  EXPECT_EQ(out.host()(0, 1, 127, 63), Half(0.5f));
  const auto launches = gpu::emulated_control()->take_launches();
  EXPECT_EQ(launches.size(), 1u);
  return launches.empty() ? gpu::Counts{} : launches.front().counts;
}

// Blocks of 64 queries read their queries once, and all keys and values once; a product of 16 x 8 x
// 8 each for scores and outputs.
TEST(Counts, AreWhatTheTilingSays) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  const gpu::Counts plain = counts({.path = attend::Path::mem_efficient});
  constexpr std::uint64_t kTensorBytes = 2 * 128 * 64 * sizeof(Half);
  EXPECT_EQ(plain.blocks, 4u);
  EXPECT_EQ(plain.global_bytes_read, kTensorBytes + 2 * 2 * kTensorBytes);
  EXPECT_EQ(plain.global_bytes_written, kTensorBytes);
  EXPECT_EQ(plain.by_opcode.at("mma"), 2u * (128 / 16) * (128 / 8) * 2 * (64 / 8));
  EXPECT_EQ(plain.local_bytes, 0u);
  EXPECT_EQ(plain.shared_conflicts, 0u);
}

// Key tiles that no query of a block sees are neither read nor multiplied.
TEST(Counts, CausalSkipsTiles) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  const gpu::Counts plain = counts({.path = attend::Path::mem_efficient});
  const gpu::Counts causal =
      counts({.causal = attend::Causal::top_left, .path = attend::Path::mem_efficient});
  EXPECT_EQ(4 * causal.by_opcode.at("mma"), 3 * plain.by_opcode.at("mma"));
  EXPECT_LT(causal.global_bytes_read, plain.global_bytes_read);
  EXPECT_EQ(causal.local_bytes, 0u);
}

}  // namespace
