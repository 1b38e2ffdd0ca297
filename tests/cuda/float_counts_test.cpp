// What the kernels of floats cost, exactly, as the emulated GPU counts it.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <string>

#include "gpu/runtime/control.hpp"

namespace {

struct FloatCounts : ::testing::Test {
  void SetUp() override {
    if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  }

  static constexpr int kHeads = 2, kLength = 256, kHeadDim = 64;
  static constexpr std::uint64_t kTensorBytes = kHeads * kLength * kHeadDim * sizeof(float);
  // Products of 16 x 8 x 8 in Q K^T and P V, of all scores; three of each, as operands have two
  // parts and the smalls are not multiplied.
  static constexpr std::uint64_t kProducts =
      3 * 2 * kHeads * (kLength / 16) * (kLength / 8) * (kHeadDim / 8);

  // The launch of one forward pass over constant tensors, whatever the mask.
  static gpu::Counts counts(const attend::Extents<4>& q_extents,
                            const attend::Extents<4>& k_extents, attend::Call<float> call) {
    const auto constant = [](const attend::Extents<4>& extents) {
      attend::Tensor<float, 4> host(extents[0], extents[1], extents[2], extents[3]);
      host.setConstant(0.5f);
      return attend::cuda::Tensor<float, 4>(host);
    };
    const auto q = constant(q_extents), k = constant(k_extents), v = constant(k_extents);
    attend::cuda::Tensor<float, 4> out(q_extents);
    call.path = attend::Path::mem_efficient;
    gpu::emulated_control()->take_launches();
    attend::Attend<float>{{.flash = true}}.forward_into(out, q, k, v, call);
    const auto result = out.host();
    for (Eigen::Index n = 0; n < result.size(); ++n) EXPECT_FLOAT_EQ(result.data()[n], 0.5f);
    const auto launches = gpu::emulated_control()->take_launches();
    EXPECT_EQ(launches.size(), 1u);
    if (launches.empty()) return {};
    const gpu::Counts& all = launches.front().counts;
    EXPECT_EQ(all.local_bytes, 0u);
    for (const char* file : {"ldmatrix.cuh", "cp_async.cuh", "shared_memory.cuh", "fragments.cuh",
                             "float_tile.cuh", "mma.cuh"})
      EXPECT_EQ(all.conflicts_in_lines(0, 10000, file), 0u) << file;
    return all;
  }
  static gpu::Counts counts(const attend::Call<float>& call) {
    const attend::Extents<4> extents{1, kHeads, kLength, kHeadDim};
    return counts(extents, extents, call);
  }
};

// Blocks of 128 queries read these once, and all keys and values once.
TEST_F(FloatCounts, AreWhatTheTilingSays) {
  const gpu::Counts plain = counts({});
  EXPECT_EQ(plain.blocks, 4u);
  EXPECT_EQ(plain.by_opcode.at("mma"), kProducts);
  EXPECT_EQ(plain.global_bytes_read, kTensorBytes + 2 * 2 * kTensorBytes);
  EXPECT_EQ(plain.global_bytes_written, kTensorBytes);
  // A power of two for each score, and one in each of the four lanes of a row when its maximum
  // grows.
  EXPECT_EQ(plain.by_opcode.at("ex2"), kHeads * kLength * (kLength + 4) / 32);
  // Fragments of 8 columns for 32 queries and a tile of 32 keys: two of each.
  EXPECT_EQ(plain.by_opcode.at("ldmatrix"),
            kHeads * (kLength / 32) * (kLength / 32) * (kHeadDim / 8) * (2 + 2));
  RecordProperty("instructions_per_product",
                 std::to_string(double(plain.instructions) / double(kProducts)));
}

// Of a head's 8 bands of 32 queries, numbered n, n + 1 tiles of 32 keys have a key that one sees;
// of its blocks one reads half of the tiles and one all.
TEST_F(FloatCounts, CausalSkipsTiles) {
  const gpu::Counts causal = counts({.causal = attend::Causal::top_left});
  EXPECT_EQ(causal.by_opcode.at("mma"), kProducts * 36 / 64);
  EXPECT_EQ(causal.global_bytes_read, kTensorBytes + 2 * 2 * kTensorBytes * 6 / 8);
}

// The other kernel: the mask is read on top, a byte per score and head. No tile is left out.
TEST_F(FloatCounts, AMaskCostsItsBytes) {
  attend::Tensor<bool, 4> mask(1, 1, kLength, kLength);
  mask.setConstant(true);
  const attend::cuda::Tensor<bool, 4> there(mask);
  const gpu::Counts masked = counts({.mask = there});
  EXPECT_EQ(masked.by_opcode.at("mma"), kProducts);
  EXPECT_EQ(masked.global_bytes_read,
            kTensorBytes + 2 * 2 * kTensorBytes + kHeads * kLength * kLength);
}

// Query heads that share keys share a tile, which reads them once.
TEST_F(FloatCounts, AGroupOfHeadsReadsItsKeysOnce) {
  const gpu::Counts decode = counts({1, 8, 1, kHeadDim}, {1, 1, kLength, kHeadDim}, {});
  EXPECT_EQ(decode.blocks, 1u);
  EXPECT_EQ(decode.global_bytes_read, (8 + 2 * kLength) * kHeadDim * sizeof(float));
}

// Greater head dims have blocks of 64 queries, 16 for a warp: of keys and 8 columns it reads two
// fragments, of its queries one.
TEST_F(FloatCounts, OfTheOtherTiling) {
  const attend::Extents<4> extents{1, 1, 128, 128};
  const gpu::Counts wide = counts(extents, extents, {});
  EXPECT_EQ(wide.blocks, 2u);
  EXPECT_EQ(wide.by_opcode.at("mma"), 3u * 2 * (128 / 16) * (128 / 8) * (128 / 8));
  EXPECT_EQ(wide.global_bytes_read, (1u + 2 * 2) * 128 * 128 * sizeof(float));
  EXPECT_EQ(wide.by_opcode.at("ldmatrix"), (128u / 16) * (128 / 32) * (128 / 8) * (2 + 1));
}

}  // namespace
