#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "view.hpp"

/// @file
/// Whether two views share memory, exactly: views that interleave in one buffer, as q, k, v and out
/// of one `(b n 4 h d)` buffer do, share none.

namespace attend {

/// Whether sums of multiples of some steps, with an offset, can fall between two limits. Of a step
/// that is longer than all shorter ones together reach, as tensors' strides are, at most two
/// multiples are tried; of others more, and many where several views' strides are nearly equal.
class Lattice {
 public:
  /// Adds multiples `low` to `high` of a step, which is above 0; `low <= 0 <= high`.
  void add(std::int64_t step, std::int64_t low, std::int64_t high) {
    int at = count_;
    for (; at > 0 && axes_[at - 1].step >= step; --at)
      if (axes_[at - 1].step == step) {
        axes_[at - 1].low += low, axes_[at - 1].high += high;
        return;
      }
    for (int n = count_++; n > at; --n) axes_[n] = axes_[n - 1];
    axes_[at] = {step, low, high};
  }

  /// Whether one of the sums, the offset included, lies strictly between the limits. `trivial`:
  /// whether the sum in which every multiple is 0 counts.
  bool reaches_between(std::int64_t lower, std::int64_t upper, std::int64_t offset, bool trivial) {
    lower_ = lower, upper_ = upper;
    std::int64_t least = 0, most = 0;
    for (int n = 0; n < count_; ++n) {
      axes_[n].least = least, axes_[n].most = most;
      least += axes_[n].low * axes_[n].step, most += axes_[n].high * axes_[n].step;
      axes_[n].divisor = std::gcd(axes_[n].step, n > 0 ? axes_[n - 1].divisor : 0);
    }
    return search(count_, offset, trivial);
  }

 private:
  struct Axis {
    std::int64_t step = 1, low = 0, high = 0;
    std::int64_t least = 0, most = 0;  // what shorter steps can add
    std::int64_t divisor = 1;          // of it and all shorter steps
  };

  static constexpr std::int64_t floor_of(std::int64_t a, std::int64_t b) {
    return a / b - (a % b < 0 ? 1 : 0);
  }

  // Of the first `count` axes.
  bool search(int count, std::int64_t sum, bool found) const {
    if (count == 0) return found && lower_ < sum && sum < upper_;
    const Axis& axis = axes_[count - 1];
    const std::int64_t last_multiple = floor_of(upper_ - 1 - sum, axis.divisor) * axis.divisor;
    if (last_multiple <= lower_ - sum) return false;  // all sums are congruent to this one
    const std::int64_t first = floor_of(lower_ - axis.most - sum, axis.step) + 1;
    const std::int64_t last = -floor_of(sum + axis.least - upper_, axis.step) - 1;
    for (std::int64_t n = std::max(first, axis.low); n <= std::min(last, axis.high); ++n)
      if (search(count - 1, sum + n * axis.step, found || n != 0)) return true;
    return false;
  }

  Axis axes_[8];  // of two views of rank 4, by step
  int count_ = 0;
  std::int64_t lower_ = 0, upper_ = 0;
};

/// The bytes that a view's elements take, as an arithmetic lattice of equal runs.
class Footprint {
 public:
  /// Of any view; null and empty views take no byte.
  template <class T, int Rank>
  requires(Rank <= 4) explicit Footprint(const View<T, Rank>& view)
      : begin_(reinterpret_cast<std::intptr_t>(view.data())), run_bytes_(sizeof(T)) {
    empty_ = !view || view.size() == 0;
    if (empty_) return;
    for (int axis = 0; axis < Rank; ++axis)
      add(view.extent(axis), view.stride(axis) * std::int64_t{sizeof(T)});
    for (bool longer = true; longer;) {  // neighbours touch: a longer run
      longer = false;
      for (Axis& axis : axes_)
        if (axis.count > 1 && axis.step == run_bytes_)
          longer = true, run_bytes_ *= axis.count, axis.count = 1;
    }
  }

  /// Whether some byte belongs to both.
  bool overlaps(const Footprint& other) const {
    if (empty_ || other.empty_) return false;
    Lattice differences;
    for (const Axis& axis : axes_) differences.add(axis.step, 0, axis.count - 1);
    for (const Axis& axis : other.axes_) differences.add(axis.step, 1 - axis.count, 0);
    return differences.reaches_between(-run_bytes_, other.run_bytes_, begin_ - other.begin_, true);
  }

  /// Whether some byte belongs to two elements of the view: it can't be written to.
  bool overlaps_itself() const {
    if (empty_) return false;
    if (repeats_) return true;
    Lattice differences;
    for (const Axis& axis : axes_) differences.add(axis.step, 1 - axis.count, axis.count - 1);
    return differences.reaches_between(-run_bytes_, run_bytes_, 0, false);
  }

 private:
  struct Axis {
    std::int64_t count = 1;
    std::int64_t step = 1;  // bytes, positive
  };

  void add(std::int64_t count, std::int64_t step) {
    if (count == 1) return;
    if (step == 0) {
      repeats_ = true;
      return;
    }
    if (step < 0) begin_ += step * (count - 1), step = -step;
    for (const Axis& axis : axes_) repeats_ = repeats_ || (axis.count > 1 && axis.step == step);
    axes_[used_++] = {count, step};
  }

  std::intptr_t begin_;
  std::int64_t run_bytes_;
  Axis axes_[4];
  int used_ = 0;
  bool empty_ = false;
  bool repeats_ = false;
};

}  // namespace attend
