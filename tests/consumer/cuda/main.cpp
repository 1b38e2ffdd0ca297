// What a user's first program for a device looks like: plain C++. Queries of zero weigh all keys
// alike, so the output is the mean of v, or of the keys of v that the user's function keeps.
#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>
#include <cstdio>

#include "functions.hpp"

int main() {
  using Tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;
  Tensor4 q(1, 2, 3, 8), k(1, 2, 4, 8), v(1, 2, 4, 4);
  q.setZero();
  k.setRandom();
  v.setConstant(0.25f);
  v(0, 1, 0, 3) = 1.25f;

  const attend::cuda::Tensor<float, 4> dq(q), dk(k), dv(v);
  const attend::Attend<float> attention{{.flash = true}};
  const auto all = attention.forward(dq, dk, dv);
  const auto two = attention.forward(dq, dk, dv, {}, first_keys(2));
  const auto gradients = attention.backward(two.out, two, dq, dk, dv, {}, first_keys(2));
  const float mean = all.out.host()(0, 1, 2, 3), of_two = two.out.host()(0, 1, 2, 3);
  const float excluded = gradients.dv.host()(0, 1, 2, 3), kept = gradients.dv.host()(0, 1, 1, 3);
  std::printf("%s: %g %g, gradients %g %g\n", attend::name(all.path), double{mean}, double{of_two},
              double{kept}, double{excluded});
  const auto near = [](float a, float b) { return std::fabs(a - b) < 1e-6f; };
  return near(mean, 0.5f) && near(of_two, 0.75f) && near(kept, 3 * 0.5f * 0.75f) && excluded == 0
             ? 0
             : 1;
}
