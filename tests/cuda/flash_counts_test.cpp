// What the flash kernels cost, exactly, as the emulated GPU counts it.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <string>

#include "gpu/runtime/control.hpp"

namespace {

using Half = Eigen::half;

struct FlashCounts : ::testing::Test {
  void SetUp() override {
    if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  }

  static constexpr int kHeads = 2, kLength = 256, kHeadDim = 64;
  static constexpr std::uint64_t kTensorBytes = kHeads * kLength * kHeadDim * sizeof(Half);
  // Products of 16 x 8 x 16 in Q K^T and P V, of all scores.
  static constexpr std::uint64_t kProducts =
      2 * kHeads * (kLength / 16) * (kLength / 8) * (kHeadDim / 16);

  // The launch of one forward pass over constant tensors, whatever the mask.
  static gpu::Counts counts(const attend::Extents<4>& q_extents,
                            const attend::Extents<4>& k_extents, attend::Call<Half> call) {
    const auto constant = [](const attend::Extents<4>& extents) {
      attend::Tensor<Half, 4> host(extents[0], extents[1], extents[2], extents[3]);
      host.setConstant(Half(0.5f));
      return attend::cuda::Tensor<Half, 4>(host);
    };
    const auto q = constant(q_extents), k = constant(k_extents), v = constant(k_extents);
    attend::cuda::Tensor<Half, 4> out(q_extents);
    call.path = attend::Path::flash;
    gpu::emulated_control()->take_launches();
    attend::Attend<Half>{{.flash = true}}.forward_into(out, q, k, v, call);
    const auto result = out.host();
    for (Eigen::Index n = 0; n < result.size(); ++n) EXPECT_EQ(result.data()[n], Half(0.5f));
    const auto launches = gpu::emulated_control()->take_launches();
    EXPECT_EQ(launches.size(), 1u);
    if (launches.empty()) return {};
    const gpu::Counts& all = launches.front().counts;
    EXPECT_EQ(all.local_bytes, 0u);
    for (const char* file : {"ldmatrix.cuh", "cp_async.cuh", "fragments.cuh", "mma.cuh"})
      EXPECT_EQ(all.conflicts_in_lines(0, 10000, file), 0u) << file;
    return all;
  }
  static gpu::Counts counts(const attend::Call<Half>& call) {
    const attend::Extents<4> extents{1, kHeads, kLength, kHeadDim};
    return counts(extents, extents, call);
  }
};

// Blocks of 128 queries read these once, and all keys and values once.
TEST_F(FlashCounts, AreWhatTheTilingSays) {
  const gpu::Counts plain = counts({});
  EXPECT_EQ(plain.blocks, 4u);
  EXPECT_EQ(plain.by_opcode.at("mma"), kProducts);
  EXPECT_EQ(plain.global_bytes_read, kTensorBytes + 2 * 2 * kTensorBytes);
  EXPECT_EQ(plain.global_bytes_written, kTensorBytes);
  // A power of two for each score, and one in each of the four lanes of a row when its maximum
  // grows.
  EXPECT_EQ(plain.by_opcode.at("ex2"), kHeads * kLength * (kLength + 4) / 32);
  // Fragments: of the queries once; of 16 keys and 16 columns for 32 queries each time.
  EXPECT_EQ(plain.by_opcode.at("ldmatrix"),
            kHeads * (kLength / 16) * (kHeadDim / 16) * (1 + 2 * kLength / 32));
  RecordProperty("instructions_per_product",
                 std::to_string(double(plain.instructions) / double(kProducts)));
}

// Of a head's 8 bands of 32 queries, numbered n, 1 + n / 2 tiles of 64 keys have a key that one
// sees; of its blocks one reads two of the four tiles and one all.
TEST_F(FlashCounts, CausalSkipsTiles) {
  const gpu::Counts causal = counts({.causal = attend::Causal::top_left});
  EXPECT_EQ(causal.by_opcode.at("mma"), kProducts * 20 / 32);
  EXPECT_EQ(causal.global_bytes_read, kTensorBytes + 2 * 2 * kTensorBytes * 6 / 8);
}

// The other kernel: the mask is read on top, a byte per score and head. No tile is left out.
TEST_F(FlashCounts, AMaskCostsItsBytes) {
  attend::Tensor<bool, 4> mask(1, 1, kLength, kLength);
  mask.setConstant(true);
  const attend::cuda::Tensor<bool, 4> there(mask);
  const gpu::Counts masked = counts({.mask = there});
  EXPECT_EQ(masked.by_opcode.at("mma"), kProducts);
  EXPECT_EQ(masked.global_bytes_read,
            kTensorBytes + 2 * 2 * kTensorBytes + kHeads * kLength * kLength);
}

// Query heads that share keys share a tile, which reads them once.
TEST_F(FlashCounts, AGroupOfHeadsReadsItsKeysOnce) {
  const gpu::Counts decode = counts({1, 8, 1, kHeadDim}, {1, 1, kLength, kHeadDim}, {});
  EXPECT_EQ(decode.blocks, 1u);
  EXPECT_EQ(decode.global_bytes_read, (8 + 2 * kLength) * kHeadDim * sizeof(Half));
}

}  // namespace
