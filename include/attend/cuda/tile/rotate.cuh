#pragma once

/// @file
/// Registers one after the other: they can't be indexed, but their contents can pass through the
/// first of them.

namespace attend::cuda {

/// The first `Count` of a thread's numbers become the last, and each other goes as many places to
/// the front.
template <int Count = 1, int Rows, int Columns>
__device__ inline void rotate(float (&x)[Rows][Columns]) {
  float first[Count];
#pragma unroll
  for (int n = 0; n < Count; ++n) first[n] = x[n / Columns][n % Columns];
#pragma unroll
  for (int n = Count; n < Rows * Columns; ++n)
    x[(n - Count) / Columns][(n - Count) % Columns] = x[n / Columns][n % Columns];
#pragma unroll
  for (int n = 0; n < Count; ++n) {
    const int last = Rows * Columns - Count + n;
    x[last / Columns][last % Columns] = first[n];
  }
}

}  // namespace attend::cuda
