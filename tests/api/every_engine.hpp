// Everything on the host that computes a call: the math path, and the fused path on each engine.
#pragma once

#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cstdint>
#include <random>

#include "cross/host_paths.hpp"

namespace api_test {

/// Sizes of a call.
struct Sizes {
  std::int64_t batch = 1, heads = 1, heads_kv = 1, len_q = 1, len_k = 1;
};

/// Tensors of a call, normally distributed.
template <class T>
struct Inputs {
  explicit Inputs(const Sizes& n)
      : q(n.batch, n.heads, n.len_q, 16),
        k(n.batch, n.heads_kv, n.len_k, 16),
        v(n.batch, n.heads_kv, n.len_k, 24),
        grad_out(n.batch, n.heads, n.len_q, 24) {
    std::mt19937 bits(7);
    std::normal_distribution<float> draw;
    for (attend::Tensor<T, 4>* tensor : {&q, &k, &v, &grad_out})
      for (std::int64_t at = 0; at < tensor->size(); ++at)
        tensor->data()[at] = static_cast<T>(draw(bits));
  }

  attend::Tensor<T, 4> q, k, v, grad_out;
};

/// What a call gives, forward and backward.
template <class T>
struct Results {
  attend::Forward<T> forward;
  attend::Gradients<T> gradients;
};

template <class T, class... Functions>
Results<T> run(const Inputs<T>& in, const attend::Call<T>& call, const Functions&... functions) {
  const attend::Attend<T> attention;
  const auto r = attention.forward(in.q, in.k, in.v, call, functions...);
  return {r, attention.backward(in.grad_out, r, in.q, in.k, in.v, call, functions...)};
}

/// NaN is near nothing.
template <class Tensor>
void expect_near(const Tensor& a, const Tensor& b, double tolerance, const char* name) {
  ASSERT_EQ(a.dimensions(), b.dimensions()) << name;
  for (std::int64_t n = 0; n < a.size(); ++n)
    ASSERT_NEAR(static_cast<double>(a.data()[n]), static_cast<double>(b.data()[n]), tolerance)
        << name << " " << n;
}

/// Whether two calls gave the same.
template <class T>
void expect_same(const Results<T>& a, const Results<T>& b, double tolerance,
                 double tolerance_of_gradients) {
  expect_near(a.forward.out, b.forward.out, tolerance, "out");
  expect_near(a.gradients.dq, b.gradients.dq, tolerance_of_gradients, "dq");
  expect_near(a.gradients.dk, b.gradients.dk, tolerance_of_gradients, "dk");
  expect_near(a.gradients.dv, b.gradients.dv, tolerance_of_gradients, "dv");
}

/// @copydoc expect_same
template <class T>
void expect_same(const Results<T>& a, const Results<T>& b, double tolerance) {
  expect_same(a, b, tolerance, tolerance);
}

/// Calls `visit(path)` for the math path, and for the fused path on each engine.
template <class T, class Visit>
void on_every_engine(const Visit& visit) {
  {
    SCOPED_TRACE("math");
    visit(attend::Path::math);
  }
  for (const attend::cpu::Engine engine : cross::engines_of<T>()) {
    if (testing::Test::HasFatalFailure()) return;
    SCOPED_TRACE(name(engine));
    const attend::cpu::EngineOverride use(engine);
    visit(attend::Path::fused);
  }
}

}  // namespace api_test
