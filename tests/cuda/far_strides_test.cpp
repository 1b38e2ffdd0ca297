// Tensors on a device whose elements lie further apart than 32 bits count, over memory that is
// mostly never touched.
#include <gtest/gtest.h>

#include <algorithm>
#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cstdint>
#include <utility>

#include "cuda/answers.hpp"
#include "cuda/same_bits.hpp"

namespace {

template <class T, int Rank>
using Near = attend::cuda::Tensor<T, Rank>;
template <class T, int Rank>
using Host = attend::Tensor<T, Rank>;

/// Memory in which neighbours along one axis are far apart.
class FarMemory {
 public:
  /// For extents of up to `most` along the axis.
  FarMemory(int axis, std::int64_t most)
      : axis_(axis),
        pitch_((static_cast<std::int64_t>(device::free_bytes()) - kBytesOfOne - kBytesLeft) /
               (most - 1) / 256 * 256),
        memory_({(most - 1) * pitch_ + kBytesOfOne}) {}

  /// Room for a tensor.
  template <class T, int Rank>
  attend::cuda::View<T, Rank> room(const attend::Extents<Rank>& extents) {
    const int axis = std::min(axis_, Rank - 1);
    attend::Strides<Rank> strides{};
    std::int64_t size = 1;
    for (int n = Rank - 1; n >= 0; --n) {
      if (n == axis) continue;
      strides[static_cast<std::size_t>(n)] = size;
      size *= extents[static_cast<std::size_t>(n)];
    }
    strides[static_cast<std::size_t>(axis)] = pitch_ / std::int64_t{sizeof(T)};
    auto* const first = reinterpret_cast<T*>(memory_.data() + used_);
    used_ += (size * std::int64_t{sizeof(T)} + 255) / 256 * 256;
    EXPECT_LE(used_, kBytesOfOne);
    return {first, extents, strides};
  }

  /// A tensor in it, and the same elements.
  template <class T, int Rank>
  attend::cuda::View<const T, Rank> copy(const Host<T, Rank>& tensor) {
    attend::Extents<Rank> extents;
    for (int n = 0; n < Rank; ++n) extents[static_cast<std::size_t>(n)] = tensor.dimension(n);
    const auto there = room<T, Rank>(extents);
    for_each_far(there, [&](T* address, const auto& offsets, const auto& sizes) {
      const Host<T, Rank> part = tensor.slice(offsets, sizes);
      ASSERT_EQ(cudaMemcpy(address, part.data(), sizeof(T) * static_cast<std::size_t>(part.size()),
                           cudaMemcpyHostToDevice),
                cudaSuccess);
    });
    return {there.data(), there.extents(), there.strides()};
  }

  /// What a tensor in it holds.
  template <class T, int Rank>
  Host<T, Rank> host(const attend::cuda::View<T, Rank>& there) const {
    Host<T, Rank> tensor(attend::dimensions(there.extents()));
    for_each_far(there, [&](const T* address, const auto& offsets, const auto& sizes) {
      Host<T, Rank> part(sizes);
      ASSERT_EQ(cudaMemcpy(part.data(), address, sizeof(T) * static_cast<std::size_t>(part.size()),
                           cudaMemcpyDeviceToHost),
                cudaSuccess);
      tensor.slice(offsets, sizes) = part;
    });
    return tensor;
  }

 private:
  static constexpr std::int64_t kBytesOfOne = std::int64_t{1} << 24;
  static constexpr std::int64_t kBytesLeft = std::int64_t{1} << 30;  // for what calls take

  /// Calls `visit(address, offsets, sizes)` for each slice of one along the axis.
  template <class T, int Rank, class Visit>
  void for_each_far(const attend::cuda::View<T, Rank>& view, const Visit& visit) const {
    const auto axis = static_cast<std::size_t>(std::min(axis_, Rank - 1));
    auto offsets = attend::dimensions(attend::Extents<Rank>{});
    auto sizes = attend::dimensions(view.extents());
    sizes[axis] = 1;
    for (auto& n = offsets[axis]; n < view.extent(static_cast<int>(axis)); ++n)
      visit(view.data() + n * view.strides()[axis], offsets, sizes);
  }

  int axis_;
  std::int64_t pitch_, used_ = 0;
  attend::cuda::Tensor<std::uint8_t, 1> memory_;
};

template <class K>
struct FarStrides : device::SameBits<K> {
  void SetUp() override {
    if (this->emulated == nullptr)
      GTEST_SKIP() << "takes all memory of a device, but for the emulated GPU";
    device::SameBits<K>::SetUp();
  }
};
TYPED_TEST_SUITE(FarStrides, device::AllKernels);

TYPED_TEST(FarStrides, ArePast32Bits) {
  using T = typename TypeParam::T;
  using Real = attend::RealOf<T>;
  const auto q = this->template random<T>(2, 4, 70, 64), k = this->template random<T>(2, 2, 70, 64);
  const auto v = this->template random<T>(2, 2, 70, 64);
  const auto grad_out = this->template random<T>(2, 4, 70, 64);
  const auto grad_lse = this->template random<Real>(2, 4, 70);
  const auto bias = this->template random<Real>(2, 4, 70, 70);
  const auto sink = this->template random<Real>(2, 4), alibi = this->template random<Real>(2, 4);
  const Host<bool, 4> mask = this->template random<float>(2, 4, 70, 70) > -0.5f;
  Host<std::int32_t, 1> lengths(2);
  lengths.setValues({70, 61});
  const attend::Attend<T> attention{{.dropout = 0.2}};
  attend::Call<T> call{.rng = attend::Rng{5, 3}, .path = TypeParam::kPath};

  const Near<T, 4> near_q(q), near_k(k), near_v(v), near_grad(grad_out);
  const Near<Real, 4> near_bias(bias);
  const Near<Real, 3> near_grad_lse(grad_lse);
  const Near<Real, 2> near_sink(sink), near_alibi(alibi);
  const Near<bool, 4> near_mask(mask);
  const Near<std::int32_t, 1> near_lengths(lengths);
  call.bias = near_bias, call.sink = near_sink, call.alibi = near_alibi, call.mask = near_mask;
  call.key_lengths = near_lengths;
  const auto expected = attention.forward(near_q, near_k, near_v, call);
  const auto gradients =
      attention.backward({near_grad, near_grad_lse}, expected, near_q, near_k, near_v, call);

  for (const auto& [axis, most] : {std::pair{0, 2}, {1, 4}, {2, 70}, {3, 70}}) {
    SCOPED_TRACE(testing::Message() << "axis " << axis);
    // Elements that are loaded one by one are added up in another order.
    const double part = axis < 3 ? 0 : 16 * static_cast<double>(Eigen::NumTraits<T>::epsilon());
    FarMemory far(axis, most);
    const auto far_q = far.copy(q), far_k = far.copy(k), far_v = far.copy(v);
    call.bias = far.copy(bias), call.sink = far.copy(sink), call.alibi = far.copy(alibi);
    call.mask = far.copy(mask), call.key_lengths = far.copy(lengths);
    const auto out = far.template room<T, 4>({2, 4, 70, 64});
    const auto lse = far.template room<Real, 3>({2, 4, 70});
    const auto run = attention.forward_into(out, lse, far_q, far_k, far_v, call);
    EXPECT_EQ(run.path, TypeParam::kPath);
    this->expect_same(far.host(out), expected.out.host(), "out", part);
    this->expect_same(far.host(lse), expected.lse.host(), "lse", part);

    const auto dq = far.template room<T, 4>({2, 4, 70, 64});
    const auto dk = far.template room<T, 4>({2, 2, 70, 64});
    const auto dv = far.template room<T, 4>({2, 2, 70, 64});
    const auto dbias = far.template room<Real, 4>({2, 4, 70, 70});
    const auto dsink = far.template room<Real, 2>({2, 4});
    const attend::Saved<T, attend::Device::cuda> saved(run, out, lse);
    attention.backward_into({.dq = dq, .dk = dk, .dv = dv, .dbias = dbias, .dsink = dsink},
                            {far.copy(grad_out), far.copy(grad_lse)}, saved, far_q, far_k, far_v,
                            call);
    this->expect_same(far.host(dq), gradients.dq.host(), "dq", part);
    this->expect_same(far.host(dk), gradients.dk.host(), "dk", part);
    this->expect_same(far.host(dv), gradients.dv.host(), "dv", part);
    this->expect_same(far.host(dbias), gradients.dbias.host(), "dbias", part);
    this->expect_same(far.host(dsink), gradients.dsink.host(), "dsink", part);
  }
}

}  // namespace
