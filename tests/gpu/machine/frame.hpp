#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <vector>

#include "gpu/program/function.hpp"

namespace gpu {

/// Memory that starts at a cache line.
template <class T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(std::size_t size)
      : data_(static_cast<T*>(::operator new[](size * sizeof(T) + 64, std::align_val_t{64}))) {}
  T* get() const { return data_.get(); }

 private:
  struct Delete {
    void operator()(T* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::unique_ptr<T[], Delete> data_;
};

/// The registers of one activation of a function by some lanes of a warp.
struct Frame {
  explicit Frame(const Function& f)
      : function(&f),
        values(f.units * std::size_t{32}),
        undefined_bits(f.units * std::size_t{32}),
        undefined_lanes(f.units) {}

  const Function* function;
  AlignedArray<std::uint32_t> values;
  AlignedArray<std::uint32_t>
      undefined_bits;  ///< 1: undefined; valid where undefined_lanes says so
  std::vector<std::uint32_t> undefined_lanes;  ///< by unit: lanes with any undefined bit
  Frame* parent = nullptr;
  std::uint32_t return_to = 0;   ///< index in the parent's code
  std::uint32_t call = 0;        ///< index of the call in the parent's code
  std::uint32_t local_base = 0;  ///< of its local variables
  std::uint32_t depth = 0;
  std::uint32_t lanes = 0;  ///< that have not returned yet
};

/// Frames that are not in use, to be used again.
class FramePool {
 public:
  std::unique_ptr<Frame> take(const Function& function) {
    auto& free = free_[&function];
    if (free.empty()) return std::make_unique<Frame>(function);
    std::unique_ptr<Frame> frame = std::move(free.back());
    free.pop_back();
    return frame;
  }
  void give(std::unique_ptr<Frame> frame) { free_[frame->function].push_back(std::move(frame)); }

 private:
  std::map<const Function*, std::vector<std::unique_ptr<Frame>>> free_;
};

}  // namespace gpu
