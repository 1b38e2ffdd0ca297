// A layer of attention is trained on the device, with dropout: by the host's losses, on each path.
#include "support/training.hpp"

#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cstddef>
#include <optional>

namespace {

using attend::Path;
using support::LookUp;
using support::Matrix;

/// (b n (h d)) as (b h n d), of another type.
template <class T>
attend::Tensor<T, 4> heads(const Matrix& x) {
  attend::Tensor<T, 4> tensor(LookUp::kBatch, LookUp::kHeads, LookUp::kLen, LookUp::kDim);
  for (int b = 0; b < LookUp::kBatch; ++b)
    for (int h = 0; h < LookUp::kHeads; ++h)
      for (int n = 0; n < LookUp::kLen; ++n)
        for (int d = 0; d < LookUp::kDim; ++d)
          tensor(b, h, n, d) = T(x(b * LookUp::kLen + n, h * LookUp::kDim + d));
  return tensor;
}
template <class T>
Matrix joined(const attend::Tensor<T, 4>& tensor) {
  Matrix x(LookUp::kRows, LookUp::kWidth);
  for (int b = 0; b < LookUp::kBatch; ++b)
    for (int h = 0; h < LookUp::kHeads; ++h)
      for (int n = 0; n < LookUp::kLen; ++n)
        for (int d = 0; d < LookUp::kDim; ++d)
          x(b * LookUp::kLen + n, h * LookUp::kDim + d) = static_cast<float>(tensor(b, h, n, d));
  return x;
}

/// On the device, and the same on the host.
template <class T>
struct OnDevice {
  using Tensor = attend::cuda::Tensor<T, 4>;
  static Tensor from(const Matrix& x) { return Tensor(heads<T>(x)); }
  static Matrix to_host(const Tensor& tensor) { return joined<T>(tensor.host()); }
};
template <class T>
struct OnHost {
  using Tensor = attend::Tensor<T, 4>;
  static Tensor from(const Matrix& x) { return heads<T>(x); }
  static Matrix to_host(const Tensor& tensor) { return joined<T>(tensor); }
};

template <class T, template <class> class Place>
class Layer {
 public:
  explicit Layer(Path path) : call_{.path = path} {}

  Matrix forward(const Matrix& q, const Matrix& k, const Matrix& v) {
    q_ = Place<T>::from(q), k_ = Place<T>::from(k), v_ = Place<T>::from(v);
    forward_.emplace(attention_.forward(*q_, *k_, *v_, call_));
    return Place<T>::to_host(forward_->out);
  }
  void backward(const Matrix& grad_out, Matrix& dq, Matrix& dk, Matrix& dv) {
    const auto gradients =
        attention_.backward(Place<T>::from(grad_out), *forward_, *q_, *k_, *v_, call_);
    dq = Place<T>::to_host(gradients.dq);
    dk = Place<T>::to_host(gradients.dk);
    dv = Place<T>::to_host(gradients.dv);
  }
  void eval() { attention_.eval(); }

 private:
  using Tensor = typename Place<T>::Tensor;
  using Forward = decltype(std::declval<const attend::Attend<T>&>().forward(
      std::declval<const Tensor&>(), std::declval<const Tensor&>(), std::declval<const Tensor&>(),
      attend::Call<T>{}));

  attend::Attend<T> attention_{{.dropout = 0.1, .flash = true, .seed = 11}};
  attend::Call<T> call_;
  std::optional<Tensor> q_, k_, v_;
  std::optional<Forward> forward_;
};

constexpr int kSteps = 60;

template <class T>
void expect_learns(Path path, double tolerance) {
  SCOPED_TRACE(attend::name(path));
  Layer<T, OnHost> on_host(Path::math);
  Layer<T, OnDevice> on_device(path);
  const support::Training host = support::train(on_host, kSteps),
                          device = support::train(on_device, kSteps);
  EXPECT_GT(device.losses.front(), 5);
  EXPECT_LT(device.error_after, 0.2 * device.losses.front());
  for (std::size_t step = 0; step < host.losses.size(); ++step)
    EXPECT_NEAR(host.losses[step], device.losses[step], tolerance * (1 + host.losses[step]))
        << step;
}

TEST(Training, OnTheDeviceFloat) {
  for (const Path path : {Path::math, Path::mem_efficient}) expect_learns<float>(path, 1e-3);
}

TEST(Training, OnTheDeviceHalf) {
  for (const Path path : {Path::flash, Path::mem_efficient}) {
    if (path == Path::flash && attend::cuda::capability(0) < attend::kCapabilityA100) continue;
    expect_learns<Eigen::half>(path, 0.05);
  }
}

}  // namespace
