#pragma once

/// @file
/// Registers one after the other: they can't be indexed, but their contents can pass through one.

namespace attend::cuda {

/// The first of a thread's numbers becomes the last, and each other goes one place to the front.
template <int Rows, int Columns>
__device__ inline void rotate(float (&x)[Rows][Columns]) {
  const float first = x[0][0];
#pragma unroll
  for (int n = 1; n < Rows * Columns; ++n)
    x[(n - 1) / Columns][(n - 1) % Columns] = x[n / Columns][n % Columns];
  x[Rows - 1][Columns - 1] = first;
}

}  // namespace attend::cuda
