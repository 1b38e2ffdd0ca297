// Calls that shall give the same bits, for each element type and path.
#pragma once

#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>

#include "cuda/tensors.hpp"
#include "gpu/runtime/control.hpp"

namespace device {

/// An element type and a path that takes it.
template <class Element, attend::Path path>
struct Kernels {
  using T = Element;
  static constexpr attend::Path kPath = path;
};

/// All of a device's kernels but bf16's. Of half types `mem_efficient` has kernels of its own on
/// devices without flash.
using AllKernels = ::testing::Types<
    Kernels<Eigen::half, attend::Path::flash>, Kernels<Eigen::half, attend::Path::mem_efficient>,
    Kernels<Eigen::half, attend::Path::math>, Kernels<float, attend::Path::mem_efficient>,
    Kernels<float, attend::Path::math>, Kernels<double, attend::Path::math>>;

/// The emulated GPU's approximations err anew in each launch; not in these tests.
template <class K>
struct SameBits : ::testing::Test {
  using T = typename K::T;
  using Real = attend::RealOf<T>;

  void SetUp() override {
    if (emulated != nullptr) {
      gpu::RuntimeOptions exact = options;
      exact.launch.perturb = false;
      emulated->restart(exact);
    }
    if (K::kPath == attend::Path::flash && attend::cuda::capability(0) < attend::kCapabilityA100)
      GTEST_SKIP() << "no flash kernels";
  }
  void TearDown() override {
    if (emulated != nullptr) emulated->restart(options);
  }

  /// Numbers from -1 to 1.
  template <class N, class... Sizes>
  static attend::Tensor<N, sizeof...(Sizes)> random(Sizes... sizes) {
    return (device::random<float>(sizes...) * 2.f - 1.f).template cast<N>();
  }

  /// Demands the same numbers, infinities too; or, with `part`, that finite ones are within it of
  /// `b`'s, or of 1.
  template <class N, int Rank>
  static void expect_same(const attend::Tensor<N, Rank>& a, const attend::Tensor<N, Rank>& b,
                          const char* name, double part = 0) {
    ASSERT_EQ(a.dimensions(), b.dimensions()) << name;
    for (Eigen::Index n = 0; n < b.size(); ++n) {
      const auto value = static_cast<double>(a.data()[n]);
      const auto expected = static_cast<double>(b.data()[n]);
      if (value == expected) continue;
      ASSERT_TRUE(std::isfinite(expected)) << name << " " << n;
      ASSERT_NEAR(value, expected, part * (1 + std::abs(expected))) << name << " " << n;
    }
  }

  gpu::Control* const emulated = gpu::emulated_control();
  const gpu::RuntimeOptions options = emulated ? emulated->options() : gpu::RuntimeOptions{};
};

}  // namespace device
