// What the kernels on warpgroups cost, exactly, as the emulated GPU counts it.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <map>
#include <string>

#include "gpu/runtime/control.hpp"

namespace {

using Half = Eigen::half;
using There4 = attend::cuda::Tensor<Half, 4>;

struct WarpgroupCounts : ::testing::Test {
  void SetUp() override {
    if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
    before_ = gpu::emulated_control()->options();
    gpu::RuntimeOptions options = before_;
    options.capabilities = {{9, 0}};
    gpu::emulated_control()->restart(options);
  }
  void TearDown() override {
    if (gpu::emulated_control() != nullptr) gpu::emulated_control()->restart(before_);
  }

  static constexpr int kHeads = 2, kLength = 512, kHeadDim = 128;
  static constexpr std::uint64_t kTensorBytes = kHeads * kLength * kHeadDim * sizeof(Half);

  template <class T>
  static attend::Tensor<T, 4> constant() {
    attend::Tensor<T, 4> host(1, kHeads, kLength, kHeadDim);
    host.setConstant(T(0.5f));
    return host;
  }
  // A launch without spills, and without conflicts of copies.
  static gpu::Counts checked(const gpu::LaunchRecord& launch) {
    EXPECT_EQ(launch.counts.local_bytes, 0u) << launch.kernel;
    for (const char* const file : {"cp_async.cuh", "float_parts_tile.cuh", "ldmatrix.cuh"})
      EXPECT_EQ(launch.counts.conflicts_in_lines(0, 10000, file), 0u) << launch.kernel;
    return launch.counts;
  }
  // The launch of one forward pass.
  template <class T = Half>
  static gpu::Counts forward(attend::Call<T> call) {
    call.path = sizeof(T) == 2 ? attend::Path::flash : attend::Path::mem_efficient;
    const attend::cuda::Tensor<T, 4> q(constant<T>());
    attend::cuda::Tensor<T, 4> out(q.extents());
    gpu::emulated_control()->take_launches();
    attend::Attend<T>{{.flash = true}}.forward_into(out, q, q, q, call);
    const auto result = out.host();
    for (Eigen::Index n = 0; n < result.size(); ++n)
      EXPECT_NEAR(float(result.data()[n]), 0.5f, sizeof(T) == 2 ? 0 : 1e-6);
    const auto launches = gpu::emulated_control()->take_launches();
    EXPECT_EQ(launches.size(), call.mask.given() ? 2u : 1u);  // its bits come first
    return launches.empty() ? gpu::Counts{} : checked(launches.back());
  }

  static std::uint64_t products_in(const gpu::Counts& counts) {
    std::uint64_t sum = 0;
    for (const auto& [shape, executed] : counts.mma) sum += executed;
    return sum;
  }
  // Products of 64 x 128 x 16 that four warps begin, in each of which it is counted, in Q K^T and
  // P V of so many tiles of 128 queries and 128 keys.
  static constexpr std::uint64_t products(std::uint64_t tiles) {
    return tiles * 2 * (kHeadDim / 16 + 128 / 16) * 4;
  }
  static constexpr std::uint64_t kTiles = kHeads * (kLength / 128) * (kLength / 128);

 private:
  gpu::RuntimeOptions before_;
};

// Tiles of 128 queries read these once, and all keys and values once.
TEST_F(WarpgroupCounts, AreWhatTheTilingSays) {
  const gpu::Counts plain = forward({});
  EXPECT_EQ(plain.blocks, 8u);
  EXPECT_EQ(products_in(plain), products(kTiles));
  EXPECT_EQ(plain.global_bytes_read, kTensorBytes + 2 * 4 * kTensorBytes);
  EXPECT_EQ(plain.global_bytes_written, kTensorBytes);
  // A power of two for each score, and one in each of the four lanes of a row when its maximum
  // grows.
  EXPECT_EQ(plain.by_opcode.at("ex2"), kHeads * kLength * (kLength + 4) / 32);
  EXPECT_EQ(plain.by_opcode.count("ldmatrix"), 0u);  // tensor cores read shared memory themselves
  RecordProperty("instructions_per_product",
                 std::to_string(double(plain.instructions) / double(products(kTiles))));
}

// The n-th tile of 128 queries, counted from 1, sees a key of n tiles of keys.
TEST_F(WarpgroupCounts, CausalSkipsTiles) {
  const gpu::Counts causal = forward({.causal = attend::Causal::top_left});
  EXPECT_EQ(products_in(causal), products(kHeads * (1 + 2 + 3 + 4)));
  EXPECT_EQ(causal.global_bytes_read, kTensorBytes + 2 * 4 * kTensorBytes * 10 / 16);
}

// The same kernel: the mask's bits are read on top, and whether there are any for each tile. None
// is left out.
TEST_F(WarpgroupCounts, AMaskCostsItsBits) {
  attend::Tensor<bool, 4> mask(1, 1, kLength, kLength);
  mask.setConstant(true);
  const attend::cuda::Tensor<bool, 4> there(mask);
  const gpu::Counts masked = forward({.mask = there});
  EXPECT_EQ(products_in(masked), products(kTiles));
  EXPECT_EQ(masked.global_bytes_read,
            kTensorBytes + 2 * 4 * kTensorBytes + kHeads * kLength * kLength / 8 + kTiles);
}

// Keys that a mask hides from all queries of a tile are neither read nor computed with.
TEST_F(WarpgroupCounts, TilesThatAMaskHidesCostNothing) {
  attend::Tensor<bool, 4> mask(1, 1, kLength, kLength);
  for (int i = 0; i < kLength; ++i)
    for (int j = 0; j < kLength; ++j) mask(0, 0, i, j) = i / 128 == j / 128;
  const attend::cuda::Tensor<bool, 4> there(mask);
  EXPECT_EQ(products_in(forward({.mask = there})), products(kTiles / 4));
}

// Floats: three products of 64 x 64 x 8 for one, in tiles of 64 keys. Keys and values are split
// into parts once for 128 queries: of what a product then takes only queries and weights are.
TEST_F(WarpgroupCounts, OfFloats) {
  constexpr std::uint64_t kProducts = 2 * kTiles * 3 * 2 * (kHeadDim / 8) * 8, kFloats = 2;
  const gpu::Counts plain = forward<float>({});
  EXPECT_EQ(plain.blocks, 8u);
  EXPECT_EQ(plain.mma,
            (std::map<std::string, std::uint64_t>{{"m64n64k8.f32.tf32.tf32", kProducts}}));
  EXPECT_EQ(plain.global_bytes_read, kFloats * (kTensorBytes + 2 * 4 * kTensorBytes));
  EXPECT_EQ(plain.global_bytes_written, kFloats * kTensorBytes);
  EXPECT_EQ(plain.by_opcode.at("ldmatrix"), 2 * kTiles * (kHeadDim / 8) * 8);

  const gpu::Counts causal = forward<float>({.causal = attend::Causal::top_left});
  EXPECT_EQ(products_in(causal), kProducts * 10 / 16);
}

// The backward pass, of tiles of 128 and 64 scores: S and dP, and one product for dq, two for dk
// and dv. As products run on while others begin, a block has one more of zeros: S of what comes
// after the last tile, dq of what was before the first.
TEST_F(WarpgroupCounts, OfTheGradients) {
  const attend::Attend<Half> attention{{.flash = true}};
  const attend::Call<Half> call{.path = attend::Path::flash};
  const There4 q(constant<Half>());
  const auto result = attention.forward(q, q, q, call);
  gpu::emulated_control()->take_launches();
  static_cast<void>(attention.backward(q, result, q, q, q, call).dq.host());
  std::uint64_t of_keys = 0, of_query = 0;
  for (const gpu::LaunchRecord& launch : gpu::emulated_control()->take_launches()) {
    const bool keys = launch.kernel.find("warpgroup_key_gradients") != std::string::npos;
    const bool query = launch.kernel.find("warpgroup_query_gradient") != std::string::npos;
    if (keys || query) (keys ? of_keys : of_query) += products_in(checked(launch));
  }
  constexpr std::uint64_t kGradientTiles = 2 * kTiles, kDots = kHeadDim / 16, kSums = 64 / 16;
  constexpr std::uint64_t kBlocks = kHeads * (kLength / 128);
  EXPECT_EQ(of_keys, (kGradientTiles * (2 * kDots + 2 * kSums) + kBlocks * kDots) * 2 * 4);
  EXPECT_EQ(of_query, (kGradientTiles * (2 * kDots + kSums) + kBlocks * kSums) * 2 * 4);
}

// Of floats a tile has 64 keys or queries by 32 of the others: three products for one, of dots of
// 64 x 32 x 8, of sums of 64 x 64 x 8.
TEST_F(WarpgroupCounts, OfTheGradientsOfFloats) {
  const attend::Attend<float> attention{{.flash = true}};
  const attend::Call<float> call{.path = attend::Path::mem_efficient};
  const attend::cuda::Tensor<float, 4> q(constant<float>());
  const auto result = attention.forward(q, q, q, call);
  gpu::emulated_control()->take_launches();
  static_cast<void>(attention.backward(q, result, q, q, q, call).dq.host());
  constexpr std::uint64_t kTilesOf64 = kHeads * (kLength / 64) * (kLength / 32);
  constexpr std::uint64_t kDots = 2 * 3 * (kHeadDim / 8), kSum = 3 * (32 / 8) * (kHeadDim / 64);
  int kernels = 0;
  for (const gpu::LaunchRecord& launch : gpu::emulated_control()->take_launches()) {
    const bool keys = launch.kernel.find("key_gradients") != std::string::npos;
    if (!keys && launch.kernel.find("query_gradient") == std::string::npos) continue;
    ++kernels;
    const gpu::Counts counts = checked(launch);
    EXPECT_EQ(counts.mma, (std::map<std::string, std::uint64_t>{
                              {"m64n32k8.f32.tf32.tf32", kTilesOf64 * kDots * 4},
                              {"m64n64k8.f32.tf32.tf32", kTilesOf64 * kSum * (keys ? 2 : 1) * 4}}));
  }
  EXPECT_EQ(kernels, 2);
}

}  // namespace
