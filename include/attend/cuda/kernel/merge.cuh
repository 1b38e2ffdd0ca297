#pragma once

#include <cstdint>

#include "../../core/merge.hpp"
#include "../arch/convert.cuh"
#include "../arch/warp.cuh"

/// @file
/// `merge` and its gradients: a warp for each row.

namespace attend::cuda {

/// Warps of a block.
inline constexpr int kMergeWarps = 4;

/// The row of a warp of a tensor (b h i).
struct WarpRow {
  std::int64_t b, h, i;  ///< which
  bool exists;           ///< whether there is such a row

  /// Among those of `rows`.
  template <class Real>
  __device__ explicit WarpRow(const View<Real, 3>& rows) {
    const std::int64_t n =
        std::int64_t{blockIdx.x} * kMergeWarps + static_cast<int>(threadIdx.x) / kWarp;
    i = n % rows.extent(2);
    h = n / rows.extent(2) % rows.extent(1);
    b = n / rows.extent(2) / rows.extent(1);
    exists = b < rows.extent(0);
  }
};

/// out and lse of both parts.
template <class T>
__global__ void __launch_bounds__(kMergeWarps* kWarp) merge_rows(MergeTensors<T> t) {
  using Real = RealOf<T>;
  const auto [b, h, i, exists] = WarpRow(t.lse);
  if (!exists) return;
  const MergedRow<Real> row(t.lse1(b, h, i), t.lse2(b, h, i));
  if (lane() == 0) t.lse(b, h, i) = row.lse;
  for (std::int64_t c = lane(); c < t.out.extent(3); c += kWarp)
    store(t.out(b, h, i, c), row(to_real(t.out1(b, h, i, c)), to_real(t.out2(b, h, i, c))));
}

/// Gradients of one part.
template <class T>
__global__ void __launch_bounds__(kMergeWarps* kWarp) merge_gradients(MergeGradientTensors<T> t) {
  using Real = RealOf<T>;
  const auto [b, h, i, exists] = WarpRow(t.part_grad_lse);
  if (!exists) return;
  const bool has = t.part_lse(b, h, i) != -kInfinity<Real>;
  const Real weight = merge_weight(t.part_lse(b, h, i), t.other_lse(b, h, i));
  Real sum = 0;
  for (std::int64_t c = lane(); c < t.out.extent(3); c += kWarp) {
    const Real gradient = to_real(t.grad_out(b, h, i, c));
    sum += gradient * (to_real(t.part_out(b, h, i, c)) - to_real(t.out(b, h, i, c)));
    store(t.part_grad_out(b, h, i, c), has ? weight * gradient : Real{0});
  }
  sum = all_lanes<kWarp>(sum, [](Real x, Real y) { return x + y; });
  if (t.grad_lse) sum += t.grad_lse(b, h, i);
  if (lane() == 0) t.part_grad_lse(b, h, i) = has ? weight * sum : Real{0};
}

}  // namespace attend::cuda
