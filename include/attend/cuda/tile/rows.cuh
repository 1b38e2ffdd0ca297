#pragma once

#include <cstdint>

#include "../../core/view.hpp"

/// @file
/// Rows of a matrix in global memory, as tiles are filled from: functions from a tile's row to
/// where that row begins, null where there is none.

namespace attend::cuda {

/// How a row's elements may be read: so many at once, where each time that many are whole and
/// aligned.
enum class Access { elements = 1, pairs = 2, quads = 4, octets = 8 };

/// What the rows of a tensor have in common.
struct RowLayout {
  std::int64_t columns;              ///< elements of a row
  std::int64_t stride;               ///< between them
  Access access = Access::elements;  ///< how they may be read
};

/// The layout of a tensor's rows, along its last axis: of the ways to read them the widest.
template <class T>
ATTEND_HD inline RowLayout row_layout(const View<const T, 4>& tensor) {
  const auto first =
      static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(tensor.data()) / sizeof(T));
  std::int64_t multiples = first | tensor.extent(3);
  for (int axis = 0; axis < 3; ++axis)
    if (tensor.extent(axis) > 1) multiples |= tensor.stride(axis);
  Access access = Access::octets;
  if (multiples % 8 != 0) access = Access::quads;
  if (multiples % 4 != 0) access = Access::pairs;
  if (multiples % 2 != 0 || tensor.stride(3) != 1) access = Access::elements;
  return {tensor.extent(3), tensor.stride(3), access};
}

/// Rows one below the other.
template <class T>
struct MatrixRows {
  T* first;             ///< where the first one begins
  std::int64_t stride;  ///< elements between them
  int count;            ///< how many there are; may be negative: none

  /// Those from the n-th on.
  __device__ MatrixRows from(int n) const { return {first + n * stride, stride, count - n}; }
  /// Whether there are so many.
  __device__ bool exists(int n) const { return n < count; }
  /// Where the n-th begins.
  __device__ T* address(int n) const { return first + n * stride; }
};

/// Rows `first` and following of a head of a tensor (b h n d), up to row `end`.
template <class T>
__device__ inline MatrixRows<const T> head_rows(const View<const T, 4>& tensor, std::int64_t b,
                                                std::int64_t h, std::int64_t first,
                                                std::int64_t end) {
  const std::int64_t count = min(end - first, std::int64_t{INT32_MAX});
  return {tensor.data() + tensor.offset(b, h, first), tensor.stride(2), static_cast<int>(count)};
}

/// Rows `first` and following of a matrix, up to row `end`.
template <class T>
__device__ inline auto rows_from(const View<const T, 2>& matrix, std::int64_t first,
                                 std::int64_t end) {
  return [=](int n) -> const T* {
    return first + n < end ? matrix.data() + matrix.offset(first + n) : nullptr;
  };
}

/// Rows `first` and following of a matrix.
template <class T>
__device__ inline auto rows_from(const View<const T, 2>& matrix, std::int64_t first) {
  return rows_from(matrix, first, matrix.extent(0));
}

}  // namespace attend::cuda
