// A key that is infinite, so that all queries' logits of it are -infinity, has no weight and no
// gradients, whatever engines compute in lanes that are no queries.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <limits>

#include "every_engine.hpp"

namespace {

template <class T>
void check() {
  for (const int len_q : {1, 15, 33}) {
    SCOPED_TRACE(testing::Message() << len_q << " queries");
    attend::Tensor<T, 4> q(1, 1, len_q, 8), k(1, 1, 40, 8), v(1, 1, 40, 8),
        grad_out(1, 1, len_q, 8);
    q.setConstant(T(-0.5f)), k.setConstant(T(0.25f)), v.setConstant(T(1)),
        grad_out.setConstant(T(1));
    k(0, 0, 7, 3) = std::numeric_limits<T>::infinity();
    const attend::Attend<T> attention;
    api_test::on_every_engine<T>([&](attend::Path path) {
      const auto forward = attention.forward(q, k, v, {.path = path});
      const auto gradients = attention.backward(grad_out, forward, q, k, v, {.path = path});
      for (int j = 0; j < 40; ++j)
        for (int c = 0; c < 8; ++c) {
          ASSERT_NEAR(static_cast<float>(gradients.dk(0, 0, j, c)), 0, 1e-2f) << j;
          ASSERT_NEAR(static_cast<float>(gradients.dv(0, 0, j, c)),
                      j == 7 ? 0.f : static_cast<float>(len_q) / 39, 1e-2f)
              << j;
        }
    });
  }
}

TEST(InfiniteKey, Float) { check<float>(); }
TEST(InfiniteKey, Double) { check<double>(); }
TEST(InfiniteKey, Half) { check<Eigen::half>(); }
TEST(InfiniteKey, Bfloat16) { check<Eigen::bfloat16>(); }

}  // namespace
