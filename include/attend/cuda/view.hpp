#pragma once

#include <cstdint>

#include "../core/view.hpp"

/// @file
/// A tensor in device memory that somebody else owns.

namespace attend::cuda {

/// A tensor of `Rank` axes in device memory that the view does not own. It has the shape of an
/// `attend::View` and none of its access to elements: on the host there is none to be had.
template <class T, int Rank>
class View {
 public:
  /// Element type, const for a view that can't be written through.
  using value_type = T;
  /// Number of axes.
  static constexpr int kRank = Rank;
  /// Where the elements lie.
  static constexpr Device kDevice = Device::cuda;

  /// The null view.
  constexpr View() = default;
  /// Any strides, in elements.
  constexpr View(T* data, const Extents<Rank>& extents, const Strides<Rank>& strides)
      : addresses_(data, extents, strides) {}
  /// Row-major memory without gaps.
  constexpr View(T* data, const Extents<Rank>& extents) : addresses_(data, extents) {}

  /// Device address of the element at index (0, ..., 0).
  constexpr T* data() const { return addresses_.data(); }
  /// Size along an axis, counted from 0 (outermost).
  constexpr std::int64_t extent(int axis) const { return addresses_.extent(axis); }
  /// Elements between neighbours along an axis.
  constexpr std::int64_t stride(int axis) const { return addresses_.stride(axis); }
  /// All extents, outermost first.
  constexpr Extents<Rank> extents() const { return addresses_.extents(); }
  /// All strides, outermost first, in elements.
  constexpr Strides<Rank> strides() const { return addresses_.strides(); }

  /// As kernels and arithmetic on addresses take it.
  friend constexpr attend::View<T, Rank> addresses(const View& view) { return view.addresses_; }
  /// A view is its own view.
  friend constexpr View as_view(const View& view) { return view; }

 private:
  attend::View<T, Rank> addresses_;
};

/// A view of device memory with any strides, in elements.
template <class T, std::size_t Rank>
constexpr View<T, int{Rank}> view(T* data, const std::array<std::int64_t, Rank>& extents,
                                  const std::array<std::int64_t, Rank>& strides) {
  return {data, extents, strides};
}

/// A view of row-major device memory without gaps.
template <class T, std::size_t Rank>
constexpr View<T, int{Rank}> view(T* data, const std::array<std::int64_t, Rank>& extents) {
  return {data, extents};
}

}  // namespace attend::cuda
