#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/variant.hpp"
#include "tensor.hpp"

/// @file
/// Optional tensors and numbers of a call.

namespace attend {

/// False: for assertions that are to fail where a template is made for `X`.
template <class X>
inline constexpr bool kIsNever = false;

/// An optional tensor of a call: elements `T`, one of the ranks in `Ranks`, on the host or a
/// device. It refers to the tensor's memory, which must outlive the call.
template <class T, int... Ranks>
class Argument {
 public:
  /// The most axes it can have.
  static constexpr int kMaxRank = std::max({Ranks...});

  /// Not given.
  constexpr Argument() = default;

  /// The tensor that is meant; a default view: none.
  template <class X>
  requires(TensorOf<X, T, Ranks> || ...)
      Argument(const X& tensor)  // NOLINT(google-explicit-constructor)
      : Argument(as_view(tensor), decltype(as_view(tensor))::kDevice) {}

  /// Anything else does not compile, and the error names the field.
  template <class X>
  requires(!(TensorOf<X, T, Ranks> || ...))
      Argument(const X&)  // NOLINT(google-explicit-constructor)
  {
    constexpr bool kMask = std::is_same_v<T, bool>, kBias = !kMask && kMaxRank == 4;
    static_assert(kIsNever<X> || !kMask, "mask: expected a tensor of bool, of rank 2 or 4");
    static_assert(kIsNever<X> || !kBias,
                  "bias: expected a tensor of float (double for doubles), of rank 4");
    static_assert(kIsNever<X> || kMask || kBias,
                  "alibi or sink: expected a tensor of float (double for doubles), of rank 1 or 2");
  }

  /// Whether a tensor was given, be it an empty one.
  bool given() const { return rank_ != 0; }
  /// Number of axes, 0 if not given.
  int rank() const { return rank_; }
  /// Where it lies.
  Device device() const { return device_; }
  /// Pointer to the element (0, ..., 0).
  const T* data() const { return data_; }
  /// Size along an axis.
  std::int64_t extent(int axis) const { return extents_[static_cast<std::size_t>(axis)]; }
  /// Elements between neighbours along an axis.
  std::int64_t stride(int axis) const { return strides_[static_cast<std::size_t>(axis)]; }

 private:
  template <class AnyView>
  Argument(const AnyView& view, Device device)
      : data_(view.data()), rank_(addresses(view).given() ? AnyView::kRank : 0), device_(device) {
    for (int axis = 0; axis < AnyView::kRank; ++axis) {
      extents_[static_cast<std::size_t>(axis)] = view.extent(axis);
      strides_[static_cast<std::size_t>(axis)] = view.stride(axis);
    }
  }

  const T* data_ = nullptr;
  int rank_ = 0;
  Device device_ = Device::host;
  Extents<kMaxRank> extents_{};
  Strides<kMaxRank> strides_{};
};

/// Optional integers of a call, one per batch element. Host values are copied (they are few), so
/// temporaries and braced lists may be passed; device tensors are referred to.
class BatchIntegers {
 public:
  /// Not given.
  constexpr BatchIntegers() = default;

  /// `{40, 33}`
  BatchIntegers(std::initializer_list<std::int64_t> values)
      : BatchIntegers(values.begin(), values.end()) {}

  /// A vector, array or span of 32-bit integers.
  template <class Range>
  requires std::convertible_to<const Range&, std::span<const std::int32_t>> BatchIntegers(
      const Range& range)  // NOLINT(google-explicit-constructor)
      : BatchIntegers(std::span<const std::int32_t>(range).begin(),
                      std::span<const std::int32_t>(range).end()) {}

  /// A vector, array or span of 64-bit integers.
  template <class Range>
  requires std::convertible_to<const Range&, std::span<const std::int64_t>> BatchIntegers(
      const Range& range)  // NOLINT(google-explicit-constructor)
      : BatchIntegers(std::span<const std::int64_t>(range).begin(),
                      std::span<const std::int64_t>(range).end()) {}

  /// A rank-1 tensor of 32- or 64-bit integers, on the host or a device; a default view: none.
  template <class X>
  requires(TensorOf<X, std::int32_t, 1> || TensorOf<X, std::int64_t, 1>)
      BatchIntegers(const X& tensor)  // NOLINT(google-explicit-constructor)
  {
    const auto view = as_view(tensor);
    if (!addresses(view).given()) return;
    given_ = true;
    device_ = decltype(as_view(tensor))::kDevice;
    size_ = view.extent(0);
    address_ = view.data();
    width_ = sizeof(*view.data());
    if constexpr (TensorOn<const X, Device::cuda>) {
      values_ = {view.data(), view.stride(0)};
      stride_ = view.stride(0);
    } else {
      if (!readable()) return;
      std::vector<std::int64_t> copy;
      for (std::int64_t n = 0; n < size_; ++n) copy.push_back(view.data()[view.offset(n)]);
      own(std::move(copy));
    }
  }

  /// Anything else does not compile, and the error names the field.
  template <class X>
  requires(!std::convertible_to<const X&, std::span<const std::int32_t>> &&
           !std::convertible_to<const X&, std::span<const std::int64_t>> &&
           !TensorOf<X, std::int32_t, 1> && !TensorOf<X, std::int64_t, 1>)
      BatchIntegers(const X&)  // NOLINT(google-explicit-constructor)
  {
    static_assert(kIsNever<X>,
                  "key_lengths or Causal::offset: expected integers of 32 or 64 bits, one for each "
                  "batch element");
  }

  /// Whether integers were given, be it none of them.
  bool given() const { return given_; }
  /// How many.
  std::int64_t size() const { return size_; }
  /// Where they lie.
  Device device() const { return device_; }
  /// The bytes of each, where they lie on a device; null for those on the host, which are copies.
  View<const char, 2> on_device() const {
    if (device_ == Device::host) return {};
    const auto bytes = static_cast<std::int64_t>(width_);
    return {static_cast<const char*>(address_), {size_, bytes}, {bytes * stride_, 1}};
  }
  /// The first one's address; null also if there is none.
  const void* address() const { return address_; }
  /// Bytes of one of them, at multiples of which they lie.
  std::size_t width() const { return width_; }
  /// Whether they lie somewhere, at such an address.
  bool readable() const {
    return size_ == 0 ||
           (address_ != nullptr && reinterpret_cast<std::uintptr_t>(address_) % width_ == 0);
  }
  /// To read them by; null if there are none. Valid as long as this object or a copy of it.
  Integers values() const { return values_; }

 private:
  template <class Iterator>
  BatchIntegers(Iterator begin, Iterator end)
      : given_(true), size_(static_cast<std::int64_t>(end - begin)) {
    own(std::vector<std::int64_t>(begin, end));
  }

  void own(std::vector<std::int64_t> values) {
    owned_ = std::make_shared<const std::vector<std::int64_t>>(std::move(values));
    if (owned_->empty()) return;
    values_ = {owned_->data(), 1};
    address_ = owned_->data(), width_ = sizeof(std::int64_t);
  }

  bool given_ = false;
  std::int64_t size_ = 0;
  Device device_ = Device::host;
  const void* address_ = nullptr;
  std::size_t width_ = 1;
  std::int64_t stride_ = 1;
  Integers values_;
  std::shared_ptr<const std::vector<std::int64_t>> owned_;
};

}  // namespace attend
