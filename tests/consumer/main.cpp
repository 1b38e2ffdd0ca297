// What a user's first program looks like, under the warnings that strict projects use. Queries of
// zero weigh all keys alike, so the output is the mean of v, and each value has a fifth of the
// gradient.
#include <attend/attend.hpp>
#include <attend/version.hpp>
#include <cmath>
#include <cstdio>

int main() {
  using Tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;
  Tensor4 q(1, 2, 3, 8), k(1, 2, 5, 8), v(1, 2, 5, 4);
  q.setZero();
  k.setRandom();
  v.setConstant(0.25f);
  v(0, 1, 0, 3) = 1.5f;

  const attend::Attend<float> attention{{.flash = true}};
  const attend::Forward<float> result =
      attention.forward(q, k, v, {.scale = 0.5, .causal = attend::Causal::none});
  const Tensor4& out = result.out;
  std::printf("attend %d.%d: %g %g\n", ATTEND_VERSION_MAJOR, ATTEND_VERSION_MINOR,
              static_cast<double>(out(0, 0, 2, 3)), static_cast<double>(out(0, 1, 2, 3)));
  Tensor4 grad_out(1, 2, 3, 4);
  grad_out.setConstant(1);
  const attend::Gradients<float> gradients = attention.backward(grad_out, result, q, k, v);
  const bool right = std::fabs(out(0, 0, 2, 3) - 0.25f) < 1e-6f &&
                     std::fabs(out(0, 1, 2, 3) - 0.5f) < 1e-6f &&
                     std::fabs(gradients.dv(0, 1, 4, 0) - 0.6f) < 1e-6f;
  return right ? 0 : 1;
}
