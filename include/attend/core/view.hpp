#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "config.hpp"
#include "dtype.hpp"

/// @file
/// A tensor in memory that somebody else owns: a pointer, extents and strides.

namespace attend {

/// Sizes of a tensor, outermost axis first.
template <int Rank>
using Extents = std::array<std::int64_t, Rank>;
/// First index along each axis (as Eigen's `slice` takes it).
template <int Rank>
using Offsets = std::array<std::int64_t, Rank>;
/// Distance between neighbours along each axis, in elements: any sign, any order, 0 repeats.
template <int Rank>
using Strides = std::array<std::int64_t, Rank>;

/// Strides of row-major memory without gaps.
template <std::size_t Rank>
constexpr std::array<std::int64_t, Rank> contiguous_strides(
    const std::array<std::int64_t, Rank>& extents) {
  std::array<std::int64_t, Rank> strides{};
  std::uint64_t step = 1;  // of extents that are too many, which calls refuse, it is some number
  for (std::size_t axis = Rank; axis-- > 0;) {
    strides[axis] = static_cast<std::int64_t>(step);
    step *= extents[axis] > 0 ? static_cast<std::uint64_t>(extents[axis]) : 1;
  }
  return strides;
}

/// A tensor of `Rank` axes in host memory that the view does not own. Copying a view copies no
/// elements. `T` is const for inputs. A default view is null: where a tensor may be left out, it
/// says "not given".
template <class T, int Rank>
class View {
 public:
  /// Element type, const for a view that can't be written through.
  using value_type = T;
  /// Number of axes.
  static constexpr int kRank = Rank;
  /// Where the elements lie.
  static constexpr Device kDevice = Device::host;

  /// The null view.
  constexpr View() = default;

  /// Any strides, in elements.
  constexpr View(T* data, const Extents<Rank>& extents, const Strides<Rank>& strides)
      : data_(data) {
    for (std::size_t axis = 0; axis < Rank; ++axis) {
      extent_[axis] = extents[axis];
      stride_[axis] = strides[axis];
    }
  }

  /// Row-major memory without gaps.
  constexpr View(T* data, const Extents<Rank>& extents)
      : View(data, extents, contiguous_strides(extents)) {}

  /// A view that can be written through is a view that can be read.
  template <class U>
  requires(std::same_as<const U, T> && !std::is_const_v<U>) ATTEND_HD
      constexpr View(const View<U, Rank>& other)  // NOLINT(google-explicit-constructor)
      : data_(other.data_) {
    for (int axis = 0; axis < Rank; ++axis) {
      extent_[axis] = other.extent_[axis];
      stride_[axis] = other.stride_[axis];
    }
  }

  /// The element at index (0, ..., 0), which need not be the lowest address.
  ATTEND_HD constexpr T* data() const { return data_; }
  /// Size along an axis, counted from 0 (outermost).
  ATTEND_HD constexpr std::int64_t extent(int axis) const { return extent_[axis]; }
  /// Elements between neighbours along an axis.
  ATTEND_HD constexpr std::int64_t stride(int axis) const { return stride_[axis]; }
  /// True if there is memory to read.
  ATTEND_HD constexpr explicit operator bool() const { return data_ != nullptr; }
  /// Whether this stands for a tensor: false for the default view alone. A tensor without elements
  /// is one, and may have no memory.
  ATTEND_HD constexpr bool given() const {
    bool given = data_ != nullptr;
    for (int axis = 0; axis < Rank; ++axis)
      given = given || extent_[axis] != 0 || stride_[axis] != 0;
    return given;
  }

  /// All extents, outermost first.
  constexpr Extents<Rank> extents() const { return array_of(extent_); }
  /// All strides, outermost first, in elements.
  constexpr Strides<Rank> strides() const { return array_of(stride_); }

  /// Number of elements.
  ATTEND_HD constexpr std::int64_t size() const {
    std::int64_t count = 1;
    for (int axis = 0; axis < Rank; ++axis) count *= extent_[axis];
    return count;
  }

  /// Elements between (0, ..., 0) and the given index; fewer indices than axes leave the rest at 0.
  template <class... Indices>
  requires(sizeof...(Indices) <= Rank) ATTEND_HD constexpr std::int64_t
      offset(Indices... index) const {
    std::int64_t sum = 0;
    int axis = 0;
    ((sum += static_cast<std::int64_t>(index) * stride_[axis++]), ...);
    return sum;
  }

  /// Address of the element at an index; fewer indices than axes leave the rest at 0. Null for a
  /// view without memory, as one without elements may be.
  template <class... Indices>
  requires(sizeof...(Indices) <= Rank) ATTEND_HD constexpr T* address(Indices... index) const {
    return data_ == nullptr ? nullptr : data_ + offset(index...);
  }

  /// The tensor of the last axes at an index of the first ones: `q.inner(b, h)` is a matrix.
  template <class... Indices>
  requires(sizeof...(Indices) < Rank) ATTEND_HD constexpr auto inner(Indices... index) const {
    constexpr int kOuter = sizeof...(Indices);
    View<T, Rank - kOuter> tensor;
    tensor.data_ = address(index...);
    for (int axis = kOuter; axis < Rank; ++axis) {
      tensor.extent_[axis - kOuter] = extent_[axis];
      tensor.stride_[axis - kOuter] = stride_[axis];
    }
    return tensor;
  }

  /// The element at an index, unchecked.
  template <class... Indices>
  requires(sizeof...(Indices) == Rank) ATTEND_HD constexpr T& operator()(Indices... index) const {
    return data_[offset(index...)];
  }

 private:
  static constexpr std::array<std::int64_t, Rank> array_of(const std::int64_t (&values)[Rank]) {
    std::array<std::int64_t, Rank> result{};
    for (std::size_t axis = 0; axis < Rank; ++axis) result[axis] = values[axis];
    return result;
  }

  template <class, int>
  friend class View;

  T* data_ = nullptr;
  std::int64_t extent_[Rank] = {};
  std::int64_t stride_[Rank] = {};
};

/// Memory laid out `(b n (h d))`, as a linear layer writes it, seen as `(b h n d)`.
template <class T>
constexpr View<T, 4> split_heads(T* data, std::int64_t batch, std::int64_t len, std::int64_t heads,
                                 std::int64_t head_dim) {
  return {
      data, {batch, heads, len, head_dim}, {len * heads * head_dim, head_dim, heads * head_dim, 1}};
}

}  // namespace attend
