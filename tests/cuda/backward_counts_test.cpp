// What a backward pass costs, exactly, as the emulated GPU counts it.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <string>
#include <vector>

#include "gpu/runtime/control.hpp"

namespace {

using attend::Path;
using Half = Eigen::half;

template <class T>
struct BackwardCountsOf : ::testing::Test {
  void SetUp() override {
    if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  }

  static constexpr std::uint64_t kTensorBytes = 2 * 128 * 64 * sizeof(T);
  static constexpr std::uint64_t kStateBytes = 2 * 128 * 16;
  static constexpr std::uint64_t kRunBytes = 2 * 128 / 16;  // whether 16 rows have a distrusted one
  // Products of 16 x 8 x 16 in a product of 128 x 128 x 64 for each of two heads.
  static constexpr std::uint64_t kProducts = 2 * (128 / 16) * (128 / 8) * (64 / 16);

  // The launches of one backward pass of two heads, 128 queries, 128 keys, head dim 64: the rows'
  // states, the gradients of k and v, the gradient of q. Device 1 has capability 7.5.
  static std::vector<gpu::LaunchRecord> launches(attend::Path path, attend::Call<T> call,
                                                 int device = 0) {
    const attend::cuda::CurrentDevice current(device);
    attend::Tensor<T, 4> host(1, 2, 128, 64);
    host.setConstant(T(0.5f));
    const attend::cuda::Tensor<T, 4> q(host), k(host), v(host), grad_out(host);
    const attend::Extents<4> extents{1, 2, 128, 64};
    attend::cuda::Tensor<T, 4> dq(extents), dk(extents), dv(extents);
    call.path = path;
    const attend::Attend<T> attention{{.flash = true}};
    const auto forward = attention.forward(q, k, v, call);
    static_cast<void>(forward.out.host());
    gpu::emulated_control()->take_launches();
    attention.backward_into({.dq = dq, .dk = dk, .dv = dv}, grad_out, forward, q, k, v, call);
    const auto gradient = dq.host();  // no key differs from another
    for (Eigen::Index n = 0; n < gradient.size(); ++n)
      EXPECT_NEAR(float(gradient.data()[n]), 0, 1e-3f);
    auto records = gpu::emulated_control()->take_launches();
    if (call.mask.given() && !records.empty()) {
      EXPECT_NE(records[0].kernel.find("pack_mask"), std::string::npos);
      records.erase(records.begin());
    }
    std::vector<std::string> kernels = {"row_gradients", "key_gradients", "query_gradient"};
    if (sizeof(T) == 2) kernels.push_back("distrusted_gradients");
    EXPECT_EQ(records.size(), kernels.size());
    records.resize(kernels.size());
    for (std::size_t n = 0; n < kernels.size(); ++n)
      EXPECT_NE(records[n].kernel.find(kernels[n]), std::string::npos) << n;
    if (sizeof(T) == 2) {  // there is no such row
      EXPECT_EQ(records[3].counts.global_bytes_read, records[3].counts.blocks * kRunBytes);
      EXPECT_EQ(records[3].counts.global_bytes_written, 0u);
    }
    for (const gpu::LaunchRecord& record : records) {
      EXPECT_EQ(record.counts.local_bytes, 0u);
      for (const char* file :
           {"tensor_core_product.cuh", "float_product.cuh", "half_tile.cuh", "float_tile.cuh",
            "ldmatrix.cuh", "cp_async.cuh", "tile_gradients.cuh", "score_gradient.hpp"})
        EXPECT_EQ(record.counts.conflicts_in_lines(0, 10000, file), 0u) << file;
    }
    return records;
  }
};

// Of 128 queries half see all of 128 keys, and half none.
attend::cuda::Tensor<bool, 4> half_a_mask() {
  attend::Tensor<bool, 4> mask(1, 1, 128, 128);
  for (Eigen::Index n = 0; n < mask.size(); ++n) mask.data()[n] = n < mask.size() / 2;
  return attend::cuda::Tensor<bool, 4>(mask);
}

using BackwardCounts = BackwardCountsOf<Half>;
using FloatBackwardCounts = BackwardCountsOf<float>;

// The memory-efficient kernels run where flash's cannot, here on 7.5, whose products are half as
// large.
constexpr int kOldDevice = 1;

TEST_F(BackwardCounts, AreWhatTheTilingSays) {
  const auto records = launches(Path::mem_efficient, {}, kOldDevice);
  const gpu::Counts &rows = records[0].counts, &keys = records[1].counts,
                    &queries = records[2].counts;
  // The output and its gradient once, and the log-sum-exp by each of the eight lanes of a row.
  EXPECT_EQ(rows.global_bytes_read, 2 * kTensorBytes + 8 * 2 * 128 * sizeof(float));
  EXPECT_EQ(rows.global_bytes_written, kStateBytes + kRunBytes);
  // Blocks of 64 keys read these once, and all queries: S, dP, dV, dK.
  EXPECT_EQ(keys.blocks, 4u);
  EXPECT_EQ(keys.by_opcode.at("mma"), 2 * 4 * kProducts);
  EXPECT_EQ(keys.global_bytes_read, 2 * kTensorBytes + 2 * (2 * kTensorBytes + kStateBytes));
  EXPECT_EQ(keys.global_bytes_written, 2 * kTensorBytes);
  // Blocks of 64 queries read these once, and all keys: S, dP, dQ.
  EXPECT_EQ(queries.blocks, 4u);
  EXPECT_EQ(queries.by_opcode.at("mma"), 2 * 3 * kProducts);
  EXPECT_EQ(queries.global_bytes_read, 2 * kTensorBytes + kStateBytes + 2 * 2 * kTensorBytes);
  EXPECT_EQ(queries.global_bytes_written, kTensorBytes);
}

// Of the 8 tiles of 64 x 32 scores of a head, 6 have a key that a query sees.
TEST_F(BackwardCounts, CausalSkipsTiles) {
  const auto records =
      launches(Path::mem_efficient, {.causal = attend::Causal::top_left}, kOldDevice);
  EXPECT_EQ(records[1].counts.by_opcode.at("mma"), 2 * 4 * kProducts * 6 / 8);
  EXPECT_EQ(records[2].counts.by_opcode.at("mma"), 2 * 3 * kProducts * 6 / 8);
  EXPECT_EQ(records[1].counts.global_bytes_read,
            2 * kTensorBytes + 2 * (2 * kTensorBytes + kStateBytes) * 6 / 8);
}

TEST_F(BackwardCounts, OfTheFlashPathAreWhatTheTilingSays) {
  const auto records = launches(Path::flash, {});
  const gpu::Counts &keys = records[1].counts, &queries = records[2].counts;
  // Blocks of 64 keys read these once, and all queries.
  EXPECT_EQ(keys.blocks, 4u);
  EXPECT_EQ(keys.by_opcode.at("mma"), 4 * kProducts);
  EXPECT_EQ(keys.global_bytes_read, 2 * kTensorBytes + 2 * (2 * kTensorBytes + kStateBytes));
  EXPECT_EQ(keys.global_bytes_written, 2 * kTensorBytes);
  // Blocks of 128 queries read these once, and all keys.
  EXPECT_EQ(queries.blocks, 2u);
  EXPECT_EQ(queries.by_opcode.at("mma"), 3 * kProducts);
  EXPECT_EQ(queries.global_bytes_read, 2 * kTensorBytes + kStateBytes + 2 * kTensorBytes);
  EXPECT_EQ(queries.global_bytes_written, kTensorBytes);
  // Fragments are read for as few products as registers allow: of 64 queries for 16 keys, of 32
  // keys for 32 queries.
  EXPECT_EQ(keys.by_opcode.at("ldmatrix"), 4 * kProducts * 9 / 16);
  EXPECT_EQ(queries.by_opcode.at("ldmatrix"), 3 * kProducts * 5 / 12);
}

// Of the 4 tiles of 64 keys and 64 queries of a head, 3 have a key that a query sees; of 16 tiles
// of 32 queries and 32 keys 10.
TEST_F(BackwardCounts, OfTheFlashPathSkipTiles) {
  const auto records = launches(Path::flash, {.causal = attend::Causal::top_left});
  EXPECT_EQ(records[1].counts.by_opcode.at("mma"), 4 * kProducts * 3 / 4);
  EXPECT_EQ(records[2].counts.by_opcode.at("mma"), 3 * kProducts * 10 / 16);
}

// Of the mask's tiles of 64 queries one is empty, which leaves half of the work; but flash's blocks
// of 128 queries have the other one, too.
TEST_F(BackwardCounts, TilesThatAMaskHidesCostNothing) {
  const auto there = half_a_mask();
  const auto records = launches(Path::flash, {.mask = there});
  EXPECT_EQ(records[1].counts.by_opcode.at("mma"), 4 * kProducts / 2);
  EXPECT_EQ(records[2].counts.by_opcode.at("mma"), 3 * kProducts);
}
TEST_F(FloatBackwardCounts, TilesThatAMaskHidesCostNothing) {
  const auto there = half_a_mask();
  const auto records = launches(Path::mem_efficient, {.mask = there});
  EXPECT_EQ(records[1].counts.by_opcode.at("mma"), 2 * 3 * 4 * kProducts / 2);
  EXPECT_EQ(records[2].counts.by_opcode.at("mma"), 2 * 3 * 3 * kProducts / 2);
}

// Products are half as large as those of half types, and three each.
TEST_F(FloatBackwardCounts, AreWhatTheTilingSays) {
  const auto records = launches(Path::mem_efficient, {});
  const gpu::Counts &keys = records[1].counts, &queries = records[2].counts;
  EXPECT_EQ(keys.blocks, 4u);
  EXPECT_EQ(keys.by_opcode.at("mma"), 2 * 3 * 4 * kProducts);
  EXPECT_EQ(keys.global_bytes_read, 2 * kTensorBytes + 2 * (2 * kTensorBytes + kStateBytes));
  EXPECT_EQ(keys.global_bytes_written, 2 * kTensorBytes);
  EXPECT_EQ(queries.blocks, 4u);
  EXPECT_EQ(queries.by_opcode.at("mma"), 2 * 3 * 3 * kProducts);
  EXPECT_EQ(queries.global_bytes_read, 2 * kTensorBytes + kStateBytes + 2 * 2 * kTensorBytes);
  EXPECT_EQ(queries.global_bytes_written, kTensorBytes);
}

// No part of a variant costs as much as all the rest.
TEST_F(BackwardCounts, OfAnyVariantAreLessThanTwiceThePlain) {
  attend::Tensor<bool, 4> mask(1, 1, 128, 128);
  mask.setConstant(true);
  attend::Tensor<float, 4> bias(1, 2, 128, 128);
  bias.setZero();
  attend::Tensor<float, 1> slopes(2);
  slopes.setConstant(0.5f);
  const attend::cuda::Tensor<bool, 4> there_mask(mask);
  const attend::cuda::Tensor<float, 4> there_bias(bias);
  const attend::cuda::Tensor<float, 1> there_slopes(slopes);
  for (const Path path : {Path::flash, Path::mem_efficient}) {
    SCOPED_TRACE(attend::name(path));
    const auto instructions = [&](const attend::Call<Half>& call) {
      const auto records = launches(path, call);
      return records[1].counts.instructions + records[2].counts.instructions;
    };
    const std::uint64_t plain = instructions({});
    EXPECT_GT(plain, 0u);
    EXPECT_LT(instructions({.mask = there_mask}), 2 * plain) << "mask";
    EXPECT_LT(instructions({.bias = there_bias}), 2 * plain) << "bias";
    EXPECT_LT(instructions({.alibi = there_slopes}), 2 * plain) << "alibi";
    EXPECT_LT(instructions({.softcap = 20}), 2 * plain) << "softcap";
  }
}

}  // namespace
