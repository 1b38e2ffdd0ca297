// Tensors on the host: random ones, and whether two are close.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <attend/attend.hpp>
#include <cmath>

namespace device {

/// Numbers from 0 to 1.
template <class T, class... Sizes>
attend::Tensor<T, sizeof...(Sizes)> random(Sizes... sizes) {
  attend::Tensor<T, sizeof...(Sizes)> tensor(sizes...);
  tensor.setRandom();
  return tensor;
}

/// NaN where the other is NaN, infinite where it is, else nearer than `tolerance`.
template <class A, class B>
bool close(const A& a, const B& b, float tolerance) {
  if (a.size() != b.size()) return false;
  for (Eigen::Index n = 0; n < a.size(); ++n) {
    const float x = float(a.data()[n]), y = float(b.data()[n]);
    if (x != y && !(std::isnan(x) && std::isnan(y)) && !(std::abs(x - y) < tolerance)) return false;
  }
  return true;
}

/// The same of finite numbers, with a part of what is greatest in `b` as the tolerance.
template <class A, class B>
bool close_for_scale(const A& a, const B& b, float part) {
  float greatest = 0;
  for (Eigen::Index n = 0; n < b.size(); ++n) {
    if (!std::isfinite(float(b.data()[n]))) return false;
    greatest = std::max(greatest, std::abs(float(b.data()[n])));
  }
  return close(a, b, part * greatest);
}

/// Demands that no number is further from the other tensor's than `tolerance`, and none is NaN.
template <class A, class B>
void expect_near(const A& a, const B& b, float tolerance, const char* what) {
  ASSERT_EQ(a.dimensions(), b.dimensions()) << what;
  for (Eigen::Index n = 0; n < a.size(); ++n)
    ASSERT_NEAR(float(a.data()[n]), float(b.data()[n]), tolerance) << what << " " << n;
}

}  // namespace device
