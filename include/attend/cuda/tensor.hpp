#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "../api/check.hpp"
#include "../api/tensor.hpp"
#include "launch/memory.hpp"
#include "view.hpp"

/// @file
/// A tensor in device memory that owns its elements.

namespace attend::cuda {

/// A row-major tensor of `Rank` axes on the device that was current when it was made. It can be
/// moved, not copied. Its memory is given back in the order of the stream that it was taken on.
template <class T, int Rank>
class Tensor {
 public:
  /// Element type.
  using value_type = T;

  /// No elements.
  Tensor() = default;

  /// Elements of no particular value.
  /// @throws device_error if there is no memory for them; shape_error if extents are below 0, or
  /// no memory could have so many.
  explicit Tensor(const Extents<Rank>& extents, const Stream& stream = Stream::default_stream())
      : extents_(extents), memory_(bytes(extents), stream) {}

  /// A copy of a tensor on the host, any strides; the copy is complete when the constructor
  /// returns.
  template <class X>
  requires HostTensor<X, T, Rank>
  explicit Tensor(const X& host, const Stream& stream = Stream::default_stream())
      : Tensor(attend::as_view(host).extents(), stream) {
    const attend::View<const T, Rank> from = attend::as_view(host);
    check_tensor(from, "host");
    if (from.size() == 0) return;
    const bool in_order = from.strides() == contiguous_strides(from.extents());
    const std::unique_ptr<T[]> gathered = in_order ? nullptr : gather(from);
    check(cudaMemcpyAsync(memory_.data(), in_order ? from.data() : gathered.get(),
                          sizeof(T) * count(), cudaMemcpyHostToDevice, stream.get()),
          "cudaMemcpyAsync to the device");
    stream.synchronize();
  }

  /// Takes over the other's elements, and leaves it without any.
  Tensor(Tensor&& other) noexcept
      : extents_(std::exchange(other.extents_, {})), memory_(std::move(other.memory_)) {}
  /// Takes over the other's elements, and leaves it without any.
  Tensor& operator=(Tensor&& other) noexcept {
    extents_ = std::exchange(other.extents_, {});
    memory_ = std::move(other.memory_);
    return *this;
  }

  /// A copy on the host, after all work of the tensor's stream.
  attend::Tensor<T, Rank> host() const {
    attend::Tensor<T, Rank> copy(dimensions(extents_));
    if (memory_.data() == nullptr) return copy;
    const CurrentDevice current(memory_.device());
    check(cudaMemcpyAsync(copy.data(), memory_.data(), sizeof(T) * count(), cudaMemcpyDeviceToHost,
                          memory_.stream().get()),
          "cudaMemcpyAsync to the host");
    memory_.stream().synchronize();
    return copy;
  }

  /// Device address of the first element; null if there is none.
  T* data() { return static_cast<T*>(memory_.data()); }
  /// Device address of the first element; null if there is none.
  const T* data() const { return static_cast<const T*>(memory_.data()); }
  /// Sizes, outermost axis first.
  const Extents<Rank>& extents() const { return extents_; }
  /// The device it lies on.
  int device() const { return memory_.device(); }

  /// A view to write through.
  friend View<T, Rank> as_view(Tensor& tensor) { return {tensor.data(), tensor.extents_}; }
  /// A view to read through.
  friend View<const T, Rank> as_view(const Tensor& tensor) {
    return {tensor.data(), tensor.extents_};
  }

 private:
  std::size_t count() const {
    std::size_t elements = 1;
    for (const std::int64_t extent : extents_) elements *= static_cast<std::size_t>(extent);
    return elements;
  }

  static std::size_t bytes(const Extents<Rank>& extents) {
    std::int64_t bytes = sizeof(T);
    bool fits = true;
    for (const std::int64_t extent : extents)
      fits = fits && extent >= 0 && !__builtin_mul_overflow(bytes, extent, &bytes);
    if (!fits)
      throw shape_error("extents are " + text(extents) + "; expected what memory can hold");
    return static_cast<std::size_t>(bytes);
  }

  // The elements one after the other, last axis fastest.
  static std::unique_ptr<T[]> gather(const attend::View<const T, Rank>& from) {
    auto elements = std::make_unique<T[]>(static_cast<std::size_t>(from.size()));
    Extents<Rank> at{};
    const T* element = from.data();
    for (std::int64_t n = 0; n < from.size(); ++n) {
      elements[static_cast<std::size_t>(n)] = *element;
      for (int axis = Rank - 1; axis >= 0; --axis) {  // the next index, as an odometer counts
        auto& digit = at[static_cast<std::size_t>(axis)];
        element += from.stride(axis);
        if (++digit < from.extent(axis)) break;
        element -= digit * from.stride(axis);
        digit = 0;
      }
    }
    return elements;
  }

  Extents<Rank> extents_{};
  Memory memory_;
};

}  // namespace attend::cuda
