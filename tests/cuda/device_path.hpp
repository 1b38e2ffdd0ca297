// The device's paths as functions of a call on host memory, as the shared cases run them.
#pragma once

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "support/sample.hpp"

namespace device {

/// The memory that a view spans, copied to the device: the same strides, the same misalignment.
template <class T, int Rank>
class Copy {
 public:
  explicit Copy(const attend::View<T, Rank>& host) : host_(host) {
    if (!host || host.size() == 0) return;
    std::int64_t low = 0, high = 0;
    for (int axis = 0; axis < Rank; ++axis) {
      const std::int64_t reach = (host.extent(axis) - 1) * host.stride(axis);
      (reach < 0 ? low : high) += reach;
    }
    first_ = host.data() + low;
    bytes_ = static_cast<std::size_t>(high - low + 1) * sizeof(T);
    const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(first_) % 16;
    memory_ = attend::cuda::Memory(misaligned + bytes_, attend::cuda::Stream::default_stream());
    device_ = reinterpret_cast<T*>(static_cast<std::byte*>(memory_.data()) + misaligned);
    attend::cuda::check(cudaMemcpy(const_cast<std::remove_const_t<T>*>(device_), first_, bytes_,
                                   cudaMemcpyHostToDevice),
                        "cudaMemcpy");
    view_ = {device_ - low, host.extents(), host.strides()};
  }

  /// On the device; as it was on the host where there are no elements.
  const attend::View<T, Rank>& view() const { return device_ == nullptr ? host_ : view_; }

  /// Brings the memory back to where it was copied from.
  void fetch() const {
    if (device_ != nullptr)
      attend::cuda::check(cudaMemcpy(first_, device_, bytes_, cudaMemcpyDeviceToHost),
                          "cudaMemcpy");
  }

 private:
  attend::View<T, Rank> host_, view_;
  T* first_ = nullptr;
  T* device_ = nullptr;
  std::size_t bytes_ = 0;
  attend::cuda::Memory memory_;
};

/// A path of the device through the seam.
template <class T>
support::ForwardPath<T> forward_path(attend::Path path) {
  return [path](attend::Problem problem, attend::Variant<attend::RealOf<T>> variant,
                const attend::ForwardTensors<T>& tensors) {
    using Element = attend::cuda::Stored<T>;
    problem.device = attend::Device::cuda;
    const Copy bias(variant.bias), alibi(variant.alibi), sink(variant.sink);
    const Copy mask(variant.mask);
    variant.bias = bias.view(), variant.alibi = alibi.view(), variant.sink = sink.view();
    variant.mask = mask.view();
    const Copy q(tensors.q), k(tensors.k), v(tensors.v);
    const Copy out(tensors.out);
    const Copy lse(tensors.lse);
    attend::cuda::forward<Element>(path, problem, variant,
                                   {attend::cuda::stored<const Element>(q.view()),
                                    attend::cuda::stored<const Element>(k.view()),
                                    attend::cuda::stored<const Element>(v.view()),
                                    attend::cuda::stored<Element>(out.view()), lse.view()},
                                   {.offsets = problem.batch, .key_lengths = problem.batch},
                                   nullptr);
    attend::cuda::check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    out.fetch();
    lse.fetch();
  };
}

}  // namespace device
