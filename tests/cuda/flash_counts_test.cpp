// What the flash kernels cost, exactly, as the emulated GPU counts it: those of halves, and those
// of floats, which are the memory-efficient path's.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <string>
#include <type_traits>

#include "gpu/runtime/control.hpp"

namespace {

using attend::Extents;
using attend::Path;

// Elements, and how many products are a sum of 16 numbers.
struct Halves {
  using Element = Eigen::half;
  static constexpr Path kPath = Path::flash;
  static constexpr int kProductsOf16 = 1;
};
struct Floats {
  using Element = float;
  static constexpr Path kPath = Path::mem_efficient;
  // Two, of 8 each; and three of those, as operands have two parts and the smalls are not
  // multiplied.
  static constexpr int kProductsOf16 = 3 * 2;
};

template <class Kind>
struct ForwardCounts : ::testing::Test {
  void SetUp() override {
    if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  }

  using T = typename Kind::Element;
  static constexpr int kHeads = 2, kLength = 256, kHeadDim = 64;
  static constexpr std::uint64_t kRowBytes = kHeadDim * sizeof(T);
  static constexpr std::uint64_t kTensorBytes = kHeads * kLength * kRowBytes;
  // For 16 x 8 elements each, in Q K^T and P V of all scores.
  static constexpr std::uint64_t kProducts =
      2 * kHeads * (kLength / 16) * (kLength / 8) * (kHeadDim / 16) * Kind::kProductsOf16;

  // The launch of one forward pass over constant tensors, whatever the mask; the first `hidden`
  // queries of each head see nothing.
  static gpu::Counts counts(const Extents<4>& q_extents, const Extents<4>& k_extents,
                            attend::Call<T> call, Eigen::Index hidden = 0) {
    const auto constant = [](const Extents<4>& extents) {
      attend::Tensor<T, 4> host(extents[0], extents[1], extents[2], extents[3]);
      host.setConstant(T(0.5f));
      return attend::cuda::Tensor<T, 4>(host);
    };
    const auto q = constant(q_extents), k = constant(k_extents), v = constant(k_extents);
    attend::cuda::Tensor<T, 4> out(q_extents);
    call.path = Kind::kPath;
    gpu::emulated_control()->take_launches();
    attend::Attend<T>{{.flash = true}}.forward_into(out, q, k, v, call);
    const auto result = out.host();
    for (Eigen::Index n = 0; n < result.size(); ++n)
      EXPECT_FLOAT_EQ(float(result.data()[n]), n / kHeadDim % q_extents[2] < hidden ? 0 : 0.5f);
    const auto launches = gpu::emulated_control()->take_launches();
    EXPECT_EQ(launches.size(), call.mask.given() ? 2u : 1u);  // its bits come first
    if (launches.empty()) return {};
    const gpu::Counts& all = launches.back().counts;
    EXPECT_EQ(all.local_bytes, 0u);
    for (const char* file : {"ldmatrix.cuh", "cp_async.cuh", "shared_memory.cuh", "fragments.cuh",
                             "float_tile.cuh", "mma.cuh"})
      EXPECT_EQ(all.conflicts_in_lines(0, 10000, file), 0u) << file;
    return all;
  }
  static gpu::Counts counts(const attend::Call<T>& call, Eigen::Index hidden = 0) {
    const Extents<4> extents{1, kHeads, kLength, kHeadDim};
    return counts(extents, extents, call, hidden);
  }
};

using FlashCounts = ForwardCounts<Halves>;
using FloatCounts = ForwardCounts<Floats>;
using Kinds = ::testing::Types<Halves, Floats>;
TYPED_TEST_SUITE(ForwardCounts, Kinds);

// Blocks of 128 queries read these once, and all keys and values once.
TYPED_TEST(ForwardCounts, AreWhatTheTilingSays) {
  using Counts = TestFixture;
  const gpu::Counts plain = Counts::counts({});
  EXPECT_EQ(plain.blocks, 4u);
  EXPECT_EQ(plain.by_opcode.at("mma"), Counts::kProducts);
  EXPECT_EQ(plain.global_bytes_read, (1 + 2 * 2) * Counts::kTensorBytes);
  EXPECT_EQ(plain.global_bytes_written, Counts::kTensorBytes);
  // A power of two for each score, and one in each of the four lanes of a row when its maximum
  // grows.
  EXPECT_EQ(plain.by_opcode.at("ex2"),
            Counts::kHeads * Counts::kLength * (Counts::kLength + 4) / 32);
  this->RecordProperty("instructions_per_product",
                       std::to_string(double(plain.instructions) / double(Counts::kProducts)));
}

// The mask's bits are read on top, and whether there are any for 128 keys each. No tile is left
// out.
TYPED_TEST(ForwardCounts, AMaskCostsItsBits) {
  using Counts = TestFixture;
  attend::Tensor<bool, 4> mask(1, 1, Counts::kLength, Counts::kLength);
  mask.setConstant(true);
  const attend::cuda::Tensor<bool, 4> there(mask);
  const gpu::Counts masked = Counts::counts({.mask = there});
  EXPECT_EQ(masked.by_opcode.at("mma"), Counts::kProducts);
  const auto tiles_of_keys = Counts::kLength / (std::is_same_v<TypeParam, Halves> ? 64 : 32);
  const auto words = Counts::kHeads * Counts::kLength * tiles_of_keys * 4;
  EXPECT_EQ(masked.global_bytes_read, (1 + 2 * 2) * Counts::kTensorBytes + words * 4 + 4 * 2);
}

// Keys that a mask hides from all queries of a block are neither read nor computed with.
TYPED_TEST(ForwardCounts, TilesThatAMaskHidesCostNothing) {
  using Counts = TestFixture;
  attend::Tensor<bool, 4> mask(1, 1, Counts::kLength, Counts::kLength);
  for (int i = 0; i < Counts::kLength; ++i)
    for (int j = 0; j < Counts::kLength; ++j) mask(0, 0, i, j) = i / 128 == j / 128;
  const attend::cuda::Tensor<bool, 4> there(mask);
  EXPECT_EQ(Counts::counts({.mask = there}).by_opcode.at("mma"), Counts::kProducts / 2);
  attend::Tensor<bool, 2> padding(1, Counts::kLength);
  for (int j = 0; j < Counts::kLength; ++j) padding(0, j) = j < 100;
  const attend::cuda::Tensor<bool, 2> of_keys(padding);
  EXPECT_EQ(Counts::counts({.mask = of_keys}).by_opcode.at("mma"), Counts::kProducts / 2);
}

// Their greatest score is -inf, but nothing is computed again for them.
TYPED_TEST(ForwardCounts, QueriesThatSeeNothingCostNoMore) {
  using Counts = TestFixture;
  attend::Tensor<bool, 4> mask(1, 1, Counts::kLength, Counts::kLength);
  for (int i = 0; i < Counts::kLength; ++i)
    for (int j = 0; j < Counts::kLength; ++j) mask(0, 0, i, j) = i >= 40;
  const attend::cuda::Tensor<bool, 4> there(mask);
  EXPECT_EQ(Counts::counts({.mask = there}, 40).by_opcode.at("mma"), Counts::kProducts);
}

// Query heads that share keys share a tile, which reads them once.
TYPED_TEST(ForwardCounts, AGroupOfHeadsReadsItsKeysOnce) {
  using Counts = TestFixture;
  const gpu::Counts decode =
      Counts::counts({1, 8, 1, Counts::kHeadDim}, {1, 1, Counts::kLength, Counts::kHeadDim}, {});
  EXPECT_EQ(decode.blocks, 1u);
  EXPECT_EQ(decode.global_bytes_read, (8 + 2 * Counts::kLength) * Counts::kRowBytes);
}

// Of the queries once; of 16 keys and 16 columns for 32 queries each time.
TEST_F(FlashCounts, OfFragments) {
  EXPECT_EQ(counts({}).by_opcode.at("ldmatrix"),
            kHeads * (kLength / 16) * (kHeadDim / 16) * (1 + 2 * kLength / 32));
}

// Of 8 columns for 32 queries and a tile of 32 keys: two of each.
TEST_F(FloatCounts, OfFragments) {
  EXPECT_EQ(counts({}).by_opcode.at("ldmatrix"),
            kHeads * (kLength / 32) * (kLength / 32) * (kHeadDim / 8) * (2 + 2));
}

// Of a head's 8 bands of 32 queries, numbered n, 1 + n / 2 tiles of 64 keys have a key that one
// sees; of its blocks one reads two of the four tiles and one all.
TEST_F(FlashCounts, CausalSkipsTiles) {
  const gpu::Counts causal = counts({.causal = attend::Causal::top_left});
  EXPECT_EQ(causal.by_opcode.at("mma"), kProducts * 20 / 32);
  EXPECT_EQ(causal.global_bytes_read, kTensorBytes + 2 * 2 * kTensorBytes * 6 / 8);
}

// The same of tiles of 32 keys, of which n + 1 have a key that is seen.
TEST_F(FloatCounts, CausalSkipsTiles) {
  const gpu::Counts causal = counts({.causal = attend::Causal::top_left});
  EXPECT_EQ(causal.by_opcode.at("mma"), kProducts * 36 / 64);
  EXPECT_EQ(causal.global_bytes_read, kTensorBytes + 2 * 2 * kTensorBytes * 6 / 8);
}

// Greater head dims have blocks of 64 queries, 16 for a warp: of keys and 8 columns it reads two
// fragments, of its queries one.
TEST_F(FloatCounts, OfTheOtherTiling) {
  const Extents<4> extents{1, 1, 128, 128};
  const gpu::Counts wide = counts(extents, extents, {});
  EXPECT_EQ(wide.blocks, 2u);
  EXPECT_EQ(wide.by_opcode.at("mma"), 3u * 2 * (128 / 16) * (128 / 8) * (128 / 8));
  EXPECT_EQ(wide.global_bytes_read, (1u + 2 * 2) * 128 * 128 * sizeof(float));
  EXPECT_EQ(wide.by_opcode.at("ldmatrix"), (128u / 16) * (128 / 32) * (128 / 8) * (2 + 1));
}

}  // namespace
