// Results of two parts of the keys merged on the device: what all keys give, with gradients; and
// what the host makes of the same.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <limits>
#include <string>
#include <vector>

#include "cuda/answers.hpp"

namespace {

template <class T>
class MergeOnDevice : public ::testing::Test {
 protected:
  using Host4 = attend::Tensor<T, 4>;
  using Device4 = attend::cuda::Tensor<T, 4>;
  using Forward = attend::Forward<T, attend::Device::cuda>;
  using Real = attend::RealOf<T>;

  static Host4 random(int length, int width) {
    Host4 tensor(2, 3, length, width);
    tensor.setRandom();
    return tensor;
  }
  static Host4 slice(const Host4& all, int begin, int end) {
    return all.slice(attend::Offsets<4>{0, 0, begin, 0},
                     attend::Extents<4>{2, 3, end - begin, all.dimension(3)});
  }
  template <int Rank, class E>
  static void expect_near(const attend::cuda::Tensor<E, Rank>& there,
                          const attend::Tensor<E, Rank>& host, double tolerance, const char* what) {
    const attend::Tensor<E, Rank> copy = there.host();
    ASSERT_EQ(copy.dimensions(), host.dimensions()) << what;
    for (Eigen::Index n = 0; n < host.size(); ++n)
      ASSERT_NEAR(double(copy.data()[n]), double(host.data()[n]), tolerance) << what << " " << n;
  }

  const double tolerance = 40 * double(Eigen::NumTraits<T>::epsilon());
  const attend::Attend<T> attention{{.flash = true}};
  const Host4 q = random(7, 16), k = random(50, 16), v = random(50, 37), grad_out = random(7, 37);
  const Device4 there_q{q}, there_grad_out{grad_out};
};
using Elements = ::testing::Types<float, double, Eigen::half, Eigen::bfloat16>;
TYPED_TEST_SUITE(MergeOnDevice, Elements);

TYPED_TEST(MergeOnDevice, PartsGiveTheWholeAndItsGradients) {
  using T = TypeParam;
  using Fixture = MergeOnDevice<T>;
  using Device4 = typename Fixture::Device4;
  const auto whole = this->attention.forward(this->q, this->k, this->v);
  const auto gradients = this->attention.backward(this->grad_out, whole, this->q, this->k, this->v);
  const int ends[] = {0, 19, 50};
  std::vector<Device4> ks, vs;
  std::vector<typename Fixture::Forward> parts;
  for (int n = 0; n < 2; ++n) {
    ks.emplace_back(Fixture::slice(this->k, ends[n], ends[n + 1]));
    vs.emplace_back(Fixture::slice(this->v, ends[n], ends[n + 1]));
    parts.push_back(this->attention.forward(this->there_q, ks.back(), vs.back()));
  }
  const auto merged = attend::merge(parts[0], parts[1]);
  Fixture::expect_near(merged.out, whole.out, this->tolerance, "out");
  Fixture::expect_near(merged.lse, whole.lse, 1e-5, "lse");
  const auto g = attend::merge_backward<T>(this->there_grad_out, merged, parts[0], parts[1]);
  const auto one =
      this->attention.backward({g.grad_out1, g.grad_lse1}, parts[0], this->there_q, ks[0], vs[0]);
  const auto two =
      this->attention.backward({g.grad_out2, g.grad_lse2}, parts[1], this->there_q, ks[1], vs[1]);
  Fixture::expect_near(one.dk, Fixture::slice(gradients.dk, 0, 19), this->tolerance, "dk");
  Fixture::expect_near(two.dk, Fixture::slice(gradients.dk, 19, 50), this->tolerance, "dk");
  Fixture::expect_near(one.dv, Fixture::slice(gradients.dv, 0, 19), this->tolerance, "dv");
  Fixture::expect_near(two.dv, Fixture::slice(gradients.dv, 19, 50), this->tolerance, "dv");
  const typename Fixture::Host4 sum = one.dq.host() + two.dq.host();
  for (Eigen::Index n = 0; n < sum.size(); ++n)
    ASSERT_NEAR(double(sum.data()[n]), double(gradients.dq.data()[n]), this->tolerance) << n;
}

// A row without keys is neutral whatever lies in its output; so are log-sum-exps of any size.
TYPED_TEST(MergeOnDevice, IsWhatTheHostMakesOfTheSame) {
  using T = TypeParam;
  using Fixture = MergeOnDevice<T>;
  using Real = typename Fixture::Real;
  constexpr Real kNone = -std::numeric_limits<Real>::infinity();
  attend::Forward<T> one, two;
  one.out = Fixture::random(7, 37), two.out = Fixture::random(7, 37);
  one.lse = attend::Tensor<Real, 3>(2, 3, 7), two.lse = one.lse;
  one.lse.setRandom(), two.lse.setRandom();
  attend::Tensor<Real, 3> grad_lse = two.lse;
  one.lse(0, 0, 0) = two.lse(0, 0, 1) = one.lse(1, 2, 6) = two.lse(1, 2, 6) = kNone;
  one.lse(0, 1, 2) = two.lse(0, 1, 2) = Real(1e30);
  one.lse(0, 1, 3) = Real(-1e30);
  for (int c = 0; c < 37; ++c) {
    one.out(0, 0, 0, c) = std::numeric_limits<T>::quiet_NaN();
    two.out(1, 2, 6, c) = std::numeric_limits<T>::infinity();
  }
  const auto expected = attend::merge(one, two);
  using Device4 = typename Fixture::Device4;
  using Device3 = attend::cuda::Tensor<Real, 3>;
  typename Fixture::Forward there_one, there_two;
  there_one.out = Device4(one.out), there_two.out = Device4(two.out);
  there_one.lse = Device3(one.lse), there_two.lse = Device3(two.lse);
  const auto merged = attend::merge(there_one, there_two);
  Fixture::expect_near(merged.out, expected.out, this->tolerance, "out");
  EXPECT_EQ(merged.lse.host()(1, 2, 6), kNone);
  const auto lse = merged.lse.host();
  for (Eigen::Index n = 0; n < lse.size(); ++n)
    if (lse.data()[n] != kNone) {
      EXPECT_NEAR(lse.data()[n] / expected.lse.data()[n], 1, 1e-5) << n;
    }

  const Device3 there_grad_lse(grad_lse);
  const auto g = attend::merge_backward<T>({this->grad_out, grad_lse}, expected, one, two);
  const auto there = attend::merge_backward<T>({this->there_grad_out, there_grad_lse}, merged,
                                               there_one, there_two);
  Fixture::expect_near(there.grad_out1, g.grad_out1, this->tolerance, "grad_out1");
  Fixture::expect_near(there.grad_out2, g.grad_out2, this->tolerance, "grad_out2");
  const double of_sums = 37 * this->tolerance;
  Fixture::expect_near(there.grad_lse1, g.grad_lse1, of_sums, "grad_lse1");
  Fixture::expect_near(there.grad_lse2, g.grad_lse2, of_sums, "grad_lse2");
}

TEST(MergeOnDeviceErrors, RefusesWhatLiesElsewhere) {
  const attend::Tensor<float, 4> host(1, 1, 2, 3);
  const attend::cuda::Tensor<float, 4> out(attend::Extents<4>{1, 1, 2, 3});
  const attend::cuda::Tensor<float, 3> lse(attend::Extents<3>{1, 1, 2});
  const auto wrong = attend::cuda::view(host.data(), attend::Extents<4>{1, 1, 2, 3});
  EXPECT_NE(device::refusal([&] { attend::merge(wrong, lse, out, lse); }).find("out1's address"),
            std::string::npos);
  EXPECT_NE(device::refusal([&] { attend::merge(out, lse, wrong, lse); }).find("out2's address"),
            std::string::npos);
  EXPECT_THROW(attend::merge(out, lse, attend::cuda::Tensor<float, 4>(attend::Extents<4>{}), lse),
               attend::error);
}

}  // namespace
