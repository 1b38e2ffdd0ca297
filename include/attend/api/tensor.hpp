#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <unsupported/Eigen/CXX11/Tensor>
#include <utility>

#include "../core/view.hpp"

/// @file
/// What may be passed as a tensor: Eigen's tensors and maps, row- and column-major, and
/// `attend::View`.

namespace attend {

/// The library's own results: row-major Eigen tensors.
template <class T, int Rank>
using Tensor = Eigen::Tensor<T, Rank, Eigen::RowMajor>;

/// Extents as Eigen's tensors take them: under a CUDA compiler its arrays are not std::array.
template <std::size_t Rank>
auto dimensions(const std::array<std::int64_t, Rank>& extents) {
  Eigen::DSizes<Eigen::DenseIndex, static_cast<int>(Rank)> sizes;
  for (std::size_t axis = 0; axis < Rank; ++axis) sizes[axis] = extents[axis];
  return sizes;
}

/// A view is its own view.
template <class T, int Rank>
constexpr View<T, Rank> as_view(const View<T, Rank>& view) {
  return view;
}

/// The addresses of a view's elements, for checks and for those who can read them there.
template <class T, int Rank>
constexpr View<T, Rank> addresses(const View<T, Rank>& view) {
  return view;
}

/// A tensor of Eigen's that has memory: `Tensor`, `TensorFixedSize`, and `TensorMap` of these.
/// Expressions have none.
template <class X>
concept EigenTensor = requires(X& x) {
  { x.data() } -> std::convertible_to<const void*>;
  x.dimensions();
  typename X::Dimensions;
  { X::Layout } -> std::convertible_to<int>;
};

/// A view of an Eigen tensor's memory; const if the tensor is.
template <EigenTensor X>
auto as_view(X& x) {
  using Element = std::remove_pointer_t<decltype(x.data())>;
  constexpr int kRank = Eigen::internal::array_size<typename X::Dimensions>::value;
  Extents<kRank> extents{};
  Strides<kRank> strides{};
  const Eigen::DSizes<Eigen::Index, kRank> sizes(x.dimensions());
  std::int64_t step = 1;
  for (int n = 0; n < kRank; ++n) {
    const int axis = static_cast<int>(X::Layout) == Eigen::RowMajor ? kRank - 1 - n : n;
    const auto at = static_cast<std::size_t>(axis);
    extents[at] = sizes[at];
    strides[at] = step;
    step *= extents[at];
  }
  return View<Element, kRank>(x.data(), extents, strides);
}

/// Element type of a tensor, without const.
template <class X>
using ElementOf =
    std::remove_const_t<typename decltype(as_view(std::declval<const X&>()))::value_type>;

/// Whether `X`'s elements lie on `device`.
template <class X, Device device>
concept TensorOn = requires(X& x) {
  requires decltype(as_view(x))::kDevice == device;
};

/// A tensor whose elements lie in memory: one of Eigen's (see `EigenTensor`; an expression has to
/// be evaluated first), an `attend::View`, or a device's.
template <class X>
concept TensorInMemory = requires(const X& x) {
  as_view(x);
};

/// A tensor of so many axes.
template <class X, int Rank>
concept TensorOfRank = TensorInMemory<X> &&
    (decltype(as_view(std::declval<const X&>()))::kRank == Rank);

/// A tensor of elements `T`.
template <class X, class T>
concept TensorOfElements = TensorInMemory<X> && std::same_as<ElementOf<X>, T>;

/// A tensor of rank `Rank` with elements `T` that can be read, wherever it lies.
template <class X, class T, int Rank>
concept TensorOf = TensorInMemory<X> && TensorOfRank<X, Rank> && TensorOfElements<X, T>;

/// Where `X`'s elements lie.
template <class X>
inline constexpr Device kDeviceOf =
    decltype(as_view(std::declval<const std::remove_reference_t<X>&>()))::kDevice;

/// A tensor on a device, or the host, of rank `Rank` with elements `T` that can be read.
template <class X, Device device, class T, int Rank>
concept TensorAt = TensorOf<X, T, Rank> && TensorOn<const X, device>;

/// A tensor on a device, or the host, of rank `Rank` with elements `T` that can be written.
template <class X, Device device, class T, int Rank>
concept WritableTensorAt = TensorAt<std::remove_reference_t<X>, device, T, Rank> && requires(X& x) {
  requires std::same_as<typename decltype(as_view(x))::value_type, T>;
};

/// A tensor of rank `Rank` with elements `T` that can be read, where those of `Other` lie.
template <class X, class Other, class T, int Rank>
concept TensorBeside = TensorAt<X, kDeviceOf<Other>, T, Rank>;

/// A tensor of rank `Rank` with elements `T` that can be written, where those of `Other` lie.
template <class X, class Other, class T, int Rank>
concept WritableTensorBeside = WritableTensorAt<X, kDeviceOf<Other>, T, Rank>;

/// A tensor on the host of rank `Rank` with elements `T` that can be read.
template <class X, class T, int Rank>
concept HostTensor = TensorAt<X, Device::host, T, Rank>;

}  // namespace attend
