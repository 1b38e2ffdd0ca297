// What may be passed as a tensor: layouts, maps, views, results where the caller wants them, sizes
// of zero and sizes past 2^31.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <attend/attend.hpp>
#include <cmath>
#include <vector>

namespace {

using Row = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using Column = Eigen::Tensor<float, 4>;
using Scalar = Eigen::Tensor<float, 0, Eigen::RowMajor>;

Row random(int b, int h, int n, int d) {
  Row x(b, h, n, d);
  x.setRandom();
  return x;
}

Column column_major(const Row& x) {
  Column y(x.dimensions());
  for (int b = 0; b < x.dimension(0); ++b)
    for (int h = 0; h < x.dimension(1); ++h)
      for (int n = 0; n < x.dimension(2); ++n)
        for (int d = 0; d < x.dimension(3); ++d) y(b, h, n, d) = x(b, h, n, d);
  return y;
}

float greatest_difference(const Row& a, const Row& b) {
  EXPECT_EQ(a.dimensions(), b.dimensions());
  float worst = 0;
  for (Eigen::Index n = 0; n < a.size(); ++n) {
    const float here = std::abs(a.data()[n] - b.data()[n]);
    if (!(here <= worst)) worst = here;
  }
  return worst;
}

class Tensors : public ::testing::TestWithParam<bool> {
 protected:
  const attend::Attend<float> attention{{.flash = GetParam()}};
  const Row q = random(2, 4, 9, 16), k = random(2, 2, 13, 16), v = random(2, 2, 13, 8);
};
INSTANTIATE_TEST_SUITE_P(, Tensors, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "fused" : "math"; });

TEST_P(Tensors, ColumnMajorMapsAndViewsGiveTheSame) {
  const Row expected = attention(q, k, v);
  EXPECT_EQ(greatest_difference(attention(column_major(q), k, column_major(v)), expected), 0);
  const Eigen::TensorMap<const Row> q_map(q.data(), q.dimensions());
  EXPECT_EQ(greatest_difference(attention(q_map, column_major(k), v), expected), 0);
  const attend::View<const float, 4> q_view(q.data(), {2, 4, 9, 16});
  EXPECT_EQ(greatest_difference(attention(q_view, k, attend::as_view(v)), expected), 0);
}

TEST_P(Tensors, DefaultViewsAreNotGiven) {
  const auto expected = attention.forward(q, k, v);
  const attend::Call<float> call{.bias = attend::View<const float, 4>(),
                                 .alibi = attend::View<const float, 1>(),
                                 .mask = attend::View<const bool, 2>(),
                                 .key_lengths = attend::View<const std::int32_t, 1>(),
                                 .sink = attend::View<const float, 2>()};
  EXPECT_EQ(greatest_difference(attention.forward(q, k, v, call).out, expected.out), 0);
  const Row grad_out = random(2, 4, 9, 8);
  const attend::View<const float, 3> no_grad_lse;
  const auto g = attention.backward({grad_out, no_grad_lse}, expected, q, k, v, call);
  EXPECT_EQ(greatest_difference(g.dq, attention.backward(grad_out, expected, q, k, v).dq), 0);
  EXPECT_EQ(g.dbias.size(), 0);
  Row dq = random(2, 4, 9, 16), dk = random(2, 2, 13, 16), dv = random(2, 2, 13, 8);
  attention.backward_into({.dq = dq, .dk = dk, .dv = dv, .dbias = attend::View<float, 4>()},
                          grad_out, expected, q, k, v);
  EXPECT_EQ(greatest_difference(dq, g.dq), 0);
}

TEST_P(Tensors, ForwardIntoAnyOutput) {
  const attend::Forward<float> expected = attention.forward(q, k, v);
  Row out(2, 4, 9, 8);
  Eigen::Tensor<float, 3> lse(2, 4, 9);  // column-major
  const attend::Run run = attention.forward_into(out, lse, q, k, v);
  EXPECT_EQ(run.path, GetParam() ? attend::Path::fused : attend::Path::math);
  EXPECT_EQ(greatest_difference(out, expected.out), 0);
  EXPECT_EQ(lse(1, 3, 8), expected.lse(1, 3, 8));

  Column other(2, 4, 9, 8);
  attention.forward_into(other, q, k, v);
  EXPECT_EQ(greatest_difference(other.swap_layout().shuffle(Eigen::array<int, 4>{3, 2, 1, 0}),
                                expected.out),
            0);

  std::vector<float> memory(2 * 9 * 4 * 8, -7);  // (b n (h e))
  attention.forward_into(attend::split_heads(memory.data(), 2, 9, 4, 8), q, k, v);
  EXPECT_EQ(memory[((1 * 9 + 5) * 4 + 2) * 8 + 3], expected.out(1, 2, 5, 3));
}

TEST_P(Tensors, OneBufferForAll) {
  const std::int64_t b = 2, n = 7, h = 3, d = 8;
  std::vector<float> qkvo(static_cast<std::size_t>(b * n * 4 * h * d));
  for (std::size_t x = 0; x < qkvo.size(); ++x) qkvo[x] = std::sin(static_cast<float>(x));
  const attend::Extents<4> extents{b, h, n, d};
  const attend::Strides<4> strides{n * 4 * h * d, d, 4 * h * d, 1};
  const auto part = [&](std::int64_t which) {
    return attend::View<float, 4>(qkvo.data() + which * h * d, extents, strides);
  };
  const attend::View<const float, 4> qs = part(0), ks = part(1), vs = part(2);
  const Row expected = attention(qs, ks, vs);
  const std::vector<float> before = qkvo;
  attention.forward_into(part(3), qs, ks, vs);
  for (std::int64_t x = 0; x < b * n * 4 * h * d; ++x) {
    const auto at = static_cast<std::size_t>(x);
    ASSERT_TRUE(x / (h * d) % 4 == 3 || qkvo[at] == before[at]);
  }
  EXPECT_EQ(part(3)(1, 2, 6, 7), expected(1, 2, 6, 7));
}

TEST_P(Tensors, ZeroSizes) {
  const auto run = [&](int b, int h, int i, int j, int e) {
    const auto r = attention.forward(random(b, h, i, 4), random(b, h, j, 4), random(b, h, j, e));
    EXPECT_EQ(r.out.dimensions(), Row(b, h, i, e).dimensions());
    EXPECT_EQ(r.lse.size(), b * h * i);
    return r;
  };
  run(0, 2, 3, 4, 5);
  run(2, 0, 3, 4, 5);
  run(2, 2, 0, 4, 5);
  const auto no_values = run(2, 2, 3, 4, 0);
  EXPECT_TRUE(std::isfinite(no_values.lse(1, 1, 2)));
  const auto no_keys = run(2, 2, 3, 0, 5);
  for (Eigen::Index n = 0; n < no_keys.out.size(); ++n) EXPECT_EQ(no_keys.out.data()[n], 0);
  EXPECT_EQ(no_keys.lse(1, 1, 2), -std::numeric_limits<float>::infinity());
}

// Indices past 2^31 elements, over pages that are mostly never touched.
TEST_P(Tensors, StridesPast32Bits) {
  constexpr std::int64_t kFar = (std::int64_t{1} << 31) + 12345;
  constexpr std::size_t kBytes = (3 * kFar + 64) * sizeof(float);
  void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) GTEST_SKIP() << "no 26 GB of addresses";
  auto* const data = static_cast<float*>(memory);
  const attend::Strides<4> far{0, 0, kFar, 1};
  const attend::View<float, 4> fk(data, {1, 1, 4, 8}, far), fv(data + 8, {1, 1, 4, 8}, far);
  const attend::View<float, 4> fout(data + 16, {1, 1, 4, 8}, far);
  const Row q1 = random(1, 1, 4, 8), k1 = random(1, 1, 4, 8), v1 = random(1, 1, 4, 8);
  for (int n = 0; n < 4; ++n)
    for (int d = 0; d < 8; ++d) fk(0, 0, n, d) = k1(0, 0, n, d), fv(0, 0, n, d) = v1(0, 0, n, d);
  const Row expected = attention(q1, k1, v1);
  attention.forward_into(fout, q1, fk, fv);
  for (int n = 0; n < 4; ++n)
    for (int d = 0; d < 8; ++d) EXPECT_EQ(fout(0, 0, n, d), expected(0, 0, n, d));
  munmap(memory, kBytes);
}

// A key tensor of 2^40 elements, all of them one: only the window's keys are read.
TEST(TensorsFused, CountsPast32Bits) {
  const attend::Attend<float> fused{{.flash = true}};
  const std::int64_t len_k = std::int64_t{1} << 38;
  const std::vector<float> one = {1, 2, 3, 4};
  const attend::View<const float, 4> qs(one.data(), {1, 1, 200, 4}, {0, 0, 0, 1});
  const attend::View<const float, 4> ks(one.data(), {1, 1, len_k, 4}, {0, 0, 0, 1});
  const auto r =
      fused.forward(qs, ks, ks, {.causal = attend::Causal::bottom_right, .window = {.left = 99}});
  EXPECT_NEAR(r.out(0, 0, 199, 2), 3, 1e-6);
  EXPECT_NEAR(r.lse(0, 0, 0), 30 / 2. + std::log(100.), 1e-5);
}

}  // namespace
