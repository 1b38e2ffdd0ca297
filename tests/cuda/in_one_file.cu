// A .cu file may call the library as any other file does, on the host and on devices.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>

namespace {

TEST(InOneFile, HostAndDevice) {
  attend::Tensor<float, 4> q(2, 3, 20, 24), k(2, 3, 30, 24), v(2, 3, 30, 8);
  q.setRandom(), k.setRandom(), v.setRandom();
  const attend::cuda::Tensor<float, 4> there_q(q), there_k(k), there_v(v);
  const attend::Attend<float> attention;
  const auto here = attention.forward(q, k, v);
  const auto there = attention.forward(there_q, there_k, there_v);
  const attend::Tensor<float, 4> out = there.out.host();
  ASSERT_EQ(out.size(), here.out.size());
  for (Eigen::Index n = 0; n < out.size(); ++n)
    ASSERT_NEAR(out.data()[n], here.out.data()[n], 1e-5f) << n;
}

}  // namespace
