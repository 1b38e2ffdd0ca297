#pragma once

/// @file
/// What the lanes of a warp do together.

namespace attend::cuda {

/// Lanes of a warp.
inline constexpr int kWarp = 32;
/// All of them.
inline constexpr unsigned kAllLanes = 0xffffffff;

/// This thread's lane.
__device__ inline int lane() { return static_cast<int>(threadIdx.x) % kWarp; }

/// A value that is the same in all lanes, so that the compiler knows it is.
template <class Value>
__device__ inline Value of_warp(Value value) {
  return __shfl_sync(kAllLanes, value, 0);
}

/// The value of the lane whose number differs from this one's by the bits of `mask`.
template <class Value>
__device__ inline Value shfl_xor(Value value, int mask) {
  return __shfl_xor_sync(kAllLanes, value, mask);
}

/// The result of combining the values of each `Width` neighbouring lanes, the same in all of them,
/// in an order that does not depend on anything.
template <int Width, class Value, class Combine>
__device__ inline Value all_lanes(Value value, Combine combine) {
  for (int mask = Width / 2; mask > 0; mask /= 2) value = combine(value, shfl_xor(value, mask));
  return value;
}

/// The same for several values at once.
template <int Width, int Count, class Value, class Combine>
__device__ inline void all_lanes(Value (&values)[Count], Combine combine) {
  for (int mask = Width / 2; mask > 0; mask /= 2)
#pragma unroll
    for (int n = 0; n < Count; ++n) values[n] = combine(values[n], shfl_xor(values[n], mask));
}

}  // namespace attend::cuda
