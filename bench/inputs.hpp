// The tensors of a row, as floats.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "row.hpp"

namespace bench {

/// Memory on the bounds of cache lines, as every tensor library gives it.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}  // NOLINT(google-explicit-constructor)

  T* allocate(std::size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), kLine));
  }
  void deallocate(T* data, std::size_t) { ::operator delete(data, kLine); }
  friend bool operator==(const LineAllocator&, const LineAllocator&) { return true; }
};

template <class T>
using Buffer = std::vector<T, LineAllocator<T>>;

/// Inputs in the memory order of the row's layout. What a row does not ask for is empty.
struct Inputs {
  Buffer<float> q, k, v;
  std::unique_ptr<bool[]> mask;  ///< (b j) or (1 1 i j)
  Buffer<float> bias;            ///< (1 h i j)
  Buffer<float> per_head;        ///< (h): slopes or sinks
  Buffer<float> grad_out;        ///< backward: the loss' gradient by the output
  Buffer<float> recorded;        ///< the recorded output
};

/// Recorded where the row says so; else uniform numbers of variance 1, the same in every run.
Inputs make_inputs(const Row& row);

/// q, k, v, mask, bias and grad_out as raw files `q`, `k`, ... of floats (mask: bytes) in a folder.
/// @throws std::runtime_error if one is missing or too short.
Inputs read_inputs(const Row& row, const std::string& folder);

/// Pairs of query and key that count as useful work, over all batch elements and heads: those that
/// are allowed; half of all for a square causal problem, as everyone counts it.
double useful_pairs(const Row& row, const Inputs& inputs);

/// Keys that a window sees on the left of a query; it sees none on the right.
inline constexpr std::int64_t kWindowLeft = 255;

}  // namespace bench
