// Tensors as users have them: any order of axes, gaps, negative strides, odd addresses; in a buffer
// whose every other element is poison, so that reading or writing outside the tensor shows.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <type_traits>
#include <vector>

namespace support {

/// How a tensor lies in memory.
enum class Layout {
  row_major,
  heads_inside,  // (b n h d) memory seen as (b h n d)
  packed,        // one of three in (b n 3 h d)
  padded,        // rows three elements longer than need be: misaligned for every vector unit
  reversed,      // the last two axes run backwards
  column_major,
  gapped,    // every second element along the last axis
  repeated,  // stride 0 along axis 0; its elements must be equal
};
inline constexpr int kLayouts = 8;

template <class T>
T poison(std::size_t n) {
  if constexpr (std::is_same_v<T, bool>) {
    return n % 3 == 0;
  } else {
    return static_cast<T>(std::numeric_limits<float>::quiet_NaN());
  }
}

/// A tensor of rank 1 to 4 that owns its buffer.
template <class T, std::size_t Rank>
class Strided {
 public:
  using Index = std::int64_t;

  Strided() = default;

  /// `values` in C order; empty leaves poison everywhere (an output).
  Strided(const std::vector<Index>& shape, Layout layout, const std::vector<double>& values = {}) {
    for (std::size_t axis = 0; axis < Rank; ++axis) extents_[axis] = shape[axis];
    size_ = lay_out(layout);
    storage_ = std::make_unique<T[]>(size_);
    for (std::size_t n = 0; n < size_; ++n) storage_[n] = poison<T>(n);
    std::size_t next = 0;
    if (!values.empty())
      for_each([&](std::size_t at) { storage_[at] = static_cast<T>(Scalar(values[next++])); });
  }

  /// The element at (0, ..., 0).
  T* data() { return storage_.get() + origin_; }
  const T* data() const { return storage_.get() + origin_; }
  const std::array<Index, Rank>& extents() const { return extents_; }
  const std::array<Index, Rank>& strides() const { return strides_; }

  /// All elements in C order.
  std::vector<double> values() const {
    std::vector<double> all;
    for_each([&](std::size_t at) {
      all.push_back(static_cast<double>(static_cast<Scalar>(storage_[at])));
    });
    return all;
  }

  /// Whether everything outside the tensor is as it was made.
  bool surroundings_untouched() const {
    std::vector<bool> inside(size_);
    for_each([&](std::size_t at) { inside[at] = true; });
    return poisoned([&](std::size_t n) { return !inside[n]; });
  }

  /// Whether nothing at all has been written since an output was made.
  bool untouched() const {
    return poisoned([](std::size_t) { return true; });
  }

 private:
  // What T converts to and from without a warning.
  using Scalar =
      std::conditional_t<std::is_same_v<T, Eigen::half> || std::is_same_v<T, Eigen::bfloat16>,
                         float, T>;
  static constexpr Index kBorder = 9;  // odd: nothing is aligned by accident

  // Sets strides and origin; returns the buffer's size.
  std::size_t lay_out(Layout layout) {
    std::array<std::size_t, Rank> fast_to_slow{};
    for (std::size_t n = 0; n < Rank; ++n) fast_to_slow[n] = Rank - 1 - n;
    if (layout == Layout::column_major)
      for (std::size_t n = 0; n < Rank; ++n) fast_to_slow[n] = n;
    const bool heads_inside = layout == Layout::heads_inside || layout == Layout::packed;
    if constexpr (Rank == 4) {
      if (heads_inside) fast_to_slow = {3, 1, 2, 0};
    }
    Index step = layout == Layout::gapped ? 2 : 1;
    for (std::size_t n = 0; n < Rank; ++n) {
      const std::size_t axis = fast_to_slow[n];
      strides_[axis] = step;
      step *= std::max<Index>(extents_[axis], 1);
      if (layout == Layout::padded && n == 0) step += 3;
      if (layout == Layout::packed && Rank == 4 && axis == 1) step *= 3;
    }
    if (layout == Layout::repeated) {
      strides_[0] = 0;
    }
    origin_ = static_cast<std::size_t>(kBorder);
    if (layout == Layout::reversed) {
      for (std::size_t axis = Rank < 2 ? 0 : Rank - 2; axis < Rank; ++axis) {
        if (extents_[axis] == 0) continue;
        origin_ += static_cast<std::size_t>((extents_[axis] - 1) * strides_[axis]);
        strides_[axis] = -strides_[axis];
      }
    }
    return static_cast<std::size_t>(step + 2 * kBorder);
  }

  template <class Counts>
  bool poisoned(Counts counts) const {
    for (std::size_t n = 0; n < size_; ++n) {
      const T expected = poison<T>(n);
      if (counts(n) && std::memcmp(static_cast<const void*>(&storage_[n]), &expected, sizeof(T)))
        return false;
    }
    return true;
  }

  template <class Visit>
  void for_each(Visit visit) const {
    Index count = 1;
    for (const Index extent : extents_) count *= extent;
    for (Index n = 0; n < count; ++n) {
      Index rest = n;
      Index at = static_cast<Index>(origin_);
      for (std::size_t axis = Rank; axis-- > 0;) {
        at += rest % extents_[axis] * strides_[axis];
        rest /= extents_[axis];
      }
      visit(static_cast<std::size_t>(at));
    }
  }

  std::array<Index, Rank> extents_{}, strides_{};
  std::size_t origin_ = 0;
  std::size_t size_ = 0;
  std::unique_ptr<T[]> storage_;  // std::vector<bool> has no addresses
};

}  // namespace support
