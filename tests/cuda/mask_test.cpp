// Masks of device tensors, forward and backward, beyond what the shared cases have: bytes that are
// no bools, many keys, strides.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <vector>

#include "cuda/tensors.hpp"
#include "gpu/runtime/control.hpp"

namespace {

using attend::Path;
using device::expect_near;
using device::random;
using Half = Eigen::half;
using Half4 = attend::Tensor<Half, 4>;
using There4 = attend::cuda::Tensor<Half, 4>;
using ThereMask = attend::cuda::Tensor<bool, 4>;

bool runs(Path path) {
  return path != Path::flash || !(attend::cuda::capability(0) < attend::kCapabilityA100);
}

// Whoever wrote them: what is not 0 keeps a key.
TEST(Mask, OfAnyBytes) {
  Half4 q(1, 1, 64, 16), k(1, 1, 140, 16), v(1, 1, 140, 16);
  q.setZero(), k.setZero();
  for (int j = 0; j < 140; ++j)
    for (int c = 0; c < 16; ++c) v(0, 0, j, c) = Half(static_cast<float>(j));
  const There4 there_q(q), there_k(k), there_v(v);
  for (const int byte : {1, 2, 128, 255})
    for (const int key : {4, 133})
      for (const Path path : {Path::flash, Path::mem_efficient}) {
        if (!runs(path)) continue;
        ThereMask mask(attend::Extents<4>{1, 1, 1, 140});
        ASSERT_EQ(cudaMemset(mask.data(), 0, 140), cudaSuccess);
        ASSERT_EQ(cudaMemset(mask.data() + key, byte, 1), cudaSuccess);
        const auto out =
            attend::Attend<Half>{}.forward(there_q, there_k, there_v, {.mask = mask, .path = path});
        EXPECT_EQ(float(out.out.host()(0, 0, 0, 0)), static_cast<float>(key))
            << attend::name(path) << ", byte " << byte;
      }
}

constexpr int kQueries = 70, kKeys = 260;

// Of (1 2 kKeys+3 kQueries+5) bools: transposed, both ways backwards, overlapping.
template <class View>
std::vector<View> odd_views(const bool* first) {
  constexpr std::int64_t kRow = kQueries + 5, kHead = (kKeys + 3) * kRow;
  const attend::Extents<4> extents{1, 2, kQueries, kKeys};
  return {View(first + 1, extents, {0, kHead, 1, kRow}),
          View(first + kHead - 1 - 2 * kRow, extents, {0, kHead, -1, -kRow}),
          View(first + 5, extents, {0, 0, 2, 3})};
}

TEST(Mask, OfAnyStrides) {
  const Half4 q = random<Half>(1, 2, kQueries, 40), k = random<Half>(1, 2, kKeys, 40),
              v = random<Half>(1, 2, kKeys, 24), grad_out = random<Half>(1, 2, kQueries, 24);
  const There4 there_q(q), there_k(k), there_v(v), there_grad_out(grad_out);
  attend::Tensor<bool, 4> large(1, 2, kKeys + 3, kQueries + 5);
  for (Eigen::Index n = 0; n < large.size(); ++n) large.data()[n] = n * 7 % 11 < 6;
  const ThereMask there(large);
  const auto here = odd_views<attend::View<const bool, 4>>(large.data());
  const auto on_device = odd_views<attend::cuda::View<const bool, 4>>(there.data());
  const attend::Attend<Half> attention{{.flash = true}};
  for (std::size_t n = 0; n < here.size(); ++n) {
    SCOPED_TRACE(n);
    const attend::Call<Half> call{.mask = here[n], .path = Path::math};
    const auto expected = attention.forward(q, k, v, call);
    const auto gradients = attention.backward(grad_out, expected, q, k, v, call);
    for (const Path path : {Path::flash, Path::mem_efficient}) {
      if (!runs(path)) continue;
      const attend::Call<Half> call_there{.mask = on_device[n], .path = path};
      const auto result = attention.forward(there_q, there_k, there_v, call_there);
      expect_near(result.out.host(), expected.out, 3e-3f, "out");
      const auto g =
          attention.backward(there_grad_out, result, there_q, there_k, there_v, call_there);
      expect_near(g.dq.host(), gradients.dq, 3e-3f, "dq");
      expect_near(g.dk.host(), gradients.dk, 3e-3f, "dk");
      expect_near(g.dv.host(), gradients.dv, 3e-3f, "dv");
    }
  }
}

// A mask that says the same of all keys stays as small as it is.
TEST(Mask, OfWholeRowsIsNotSpreadOut) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  if (!runs(Path::flash)) GTEST_SKIP() << "not on this device";
  const There4 q(random<Half>(1, 1, kQueries, 40)), k(random<Half>(1, 1, kKeys, 40));
  attend::Tensor<bool, 4> rows(1, 1, kQueries, 1);
  for (int i = 0; i < kQueries; ++i) rows(0, 0, i, 0) = i % 3 != 0;
  const ThereMask mask(rows);
  gpu::emulated_control()->take_launches();
  const auto result = attend::Attend<Half>{{.flash = true}}.forward(q, k, k, {.mask = mask});
  const auto lse = result.lse.host();
  for (int i = 0; i < kQueries; ++i)
    EXPECT_EQ(lse(0, 0, i) == -attend::kInfinity<float>, i % 3 == 0) << i;
  const auto launches = gpu::emulated_control()->take_launches();
  ASSERT_FALSE(launches.empty());
  EXPECT_EQ(launches[0].counts.global_bytes_written,
            kQueries * 4u * 4u + 2u);  // four words a row, two tiles
}

// More keys than a block keeps notes of; what lies beyond is looked at all the same.
TEST(Mask, OfVeryManyKeys) {
  if (!runs(Path::flash)) GTEST_SKIP() << "not on this device";
  constexpr int kNotedKeys = 1024 * 128, kMany = kNotedKeys + 700;
  const Half4 q = random<Half>(1, 1, 2, 8), k = random<Half>(1, 1, kMany, 8),
              v = random<Half>(1, 1, kMany, 8);
  attend::Tensor<bool, 4> mask(1, 1, 2, kMany);
  for (int j = 0; j < kMany; ++j) {
    mask(0, 0, 0, j) = j < 9 || j > kMany - 500;
    mask(0, 0, 1, j) = j == kNotedKeys + 1;
  }
  const ThereMask there(mask);
  // A mean for rows without keys keeps the keys of one block together.
  const attend::Attend<Half> attention{{.flash = true, .empty_row = attend::EmptyRow::uniform}};
  const auto expected = attention.forward(q, k, v, {.mask = mask});
  const auto result = attention.forward(There4(q), There4(k), There4(v), {.mask = there});
  expect_near(result.out.host(), expected.out, 3e-3f, "out");
}

}  // namespace
