#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "view.hpp"

/// @file
/// Whether two views share memory, exactly: views that interleave in one buffer, as q, k, v and out
/// of one `(b n 4 h d)` buffer do, share none.

namespace attend {

/// The bytes that a view's elements take, as an arithmetic lattice of equal runs.
class Footprint {
 public:
  /// Of any view; null and empty views take no byte.
  template <class T, int Rank>
  explicit Footprint(const View<T, Rank>& view)
      : begin_(reinterpret_cast<std::intptr_t>(view.data())), run_bytes_(sizeof(T)) {
    empty_ = !view || view.size() == 0;
    if (empty_) return;
    for (int axis = 0; axis < Rank; ++axis)
      add(view.extent(axis), view.stride(axis) * std::int64_t{sizeof(T)});
    while (!axes_.empty() && axes_.front().step == run_bytes_) {  // neighbours touch: a longer run
      run_bytes_ *= axes_.front().count;
      axes_.erase(axes_.begin());
    }
  }

  /// Whether some byte belongs to both.
  bool overlaps(const Footprint& other) const {
    if (empty_ || other.empty_ || end() <= other.begin_ || other.end() <= begin_) return false;
    const std::vector<std::intptr_t> mine = run_begins();
    const std::vector<std::intptr_t> others = other.run_begins();
    for (std::size_t a = 0, b = 0; a < mine.size() && b < others.size();) {
      if (mine[a] + run_bytes_ <= others[b]) {
        ++a;
      } else if (others[b] + other.run_bytes_ <= mine[a]) {
        ++b;
      } else {
        return true;
      }
    }
    return false;
  }

  /// Whether some byte belongs to two elements of the view: it can't be written to.
  bool overlaps_itself() const {
    if (empty_) return false;
    if (repeats_) return true;
    std::int64_t reach = run_bytes_;
    bool nested = true;
    for (const Axis& axis : axes_) {
      nested = nested && axis.step >= reach;
      reach += axis.step * (axis.count - 1);
    }
    if (nested) return false;
    const std::vector<std::intptr_t> begins = run_begins();
    return std::adjacent_find(begins.begin(), begins.end(),
                              [&](auto a, auto b) { return b - a < run_bytes_; }) != begins.end();
  }

 private:
  struct Axis {
    std::int64_t count;
    std::int64_t step;  // bytes, positive
  };

  void add(std::int64_t count, std::int64_t step) {
    if (count == 1) return;
    if (step == 0) {
      repeats_ = true;
      return;
    }
    if (step < 0) begin_ += step * (count - 1);
    const Axis axis = {count, step < 0 ? -step : step};
    axes_.insert(std::upper_bound(axes_.begin(), axes_.end(), axis,
                                  [](Axis a, Axis b) { return a.step < b.step; }),
                 axis);
  }

  std::intptr_t end() const {
    std::intptr_t last = begin_ + run_bytes_;
    for (const Axis& axis : axes_) last += axis.step * (axis.count - 1);
    return last;
  }

  // First byte of every run, ascending.
  std::vector<std::intptr_t> run_begins() const {
    std::vector<std::intptr_t> begins = {begin_};
    for (const Axis& axis : axes_) {
      const std::size_t before = begins.size();
      begins.reserve(before * static_cast<std::size_t>(axis.count));
      for (std::int64_t n = 1; n < axis.count; ++n)
        for (std::size_t run = 0; run < before; ++run)
          begins.push_back(begins[run] + n * axis.step);
    }
    std::sort(begins.begin(), begins.end());
    return begins;
  }

  std::intptr_t begin_;
  std::int64_t run_bytes_;
  std::vector<Axis> axes_;  // by step
  bool empty_ = false;
  bool repeats_ = false;
};

}  // namespace attend
