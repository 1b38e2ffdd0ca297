#pragma once

#include <cstdint>

#include "../../core/backward_tensors.hpp"
#include "../../core/score_gradient.hpp"
#include "../arch/convert.cuh"
#include "../tile/rows.cuh"
#include "mask_bits.hpp"

/// @file
/// What kernels of a backward pass have in common: what they are given, and how a gradient leaves.

namespace attend::cuda {

/// Rows that share one note of whether some are distrusted.
inline constexpr int kRowsOfRun = 16;

/// What the kernels compute from, besides sizes and a variant whose scale is 1.
template <class T>
struct GradientCall {
  RealOf<T> scale;                         ///< of the dot products
  BackwardTensors<T> tensors;              ///< what is read and written
  View<RowGradient<RealOf<T>>, 3> states;  ///< (b h i)
  View<const bool, 1> distrusted_runs;     ///< whether one of `kRowsOfRun` neighbouring rows is
  MaskBits mask;                           ///< the variant's
  RowLayout q, k, v, grad_out;             ///< of the tensors' rows

  /// Whether there may be a distrusted row among `count` queries from i on of a head.
  __device__ bool may_have_distrusted(std::int64_t b, std::int64_t h, std::int64_t i,
                                      int count) const {
    const std::int64_t first = states.offset(b, h, i);
    const std::int64_t last = min(first + count, states.size()) - 1;
    bool has = false;
    for (std::int64_t run = first / kRowsOfRun; run <= last / kRowsOfRun; ++run)
      has |= distrusted_runs(run);
    return has;
  }
};

/// Writes a thread's part of a gradient, times `factor`, or adds it to what is there, where
/// `to(row)` gives the address of the row's first element, or null. An engine of `kOutPairs` has
/// neighbouring columns two by two: elements of 16 bits are written so where they can.
template <class Engine, bool kAdds = false, class To>
__device__ void store_gradient(const typename Engine::Output& rO, typename Engine::Real factor,
                               std::int64_t column, std::int64_t columns, std::int64_t stride,
                               To to) {
#pragma unroll
  for (int r = 0; r < Engine::kRows; ++r) {
    auto* const row = to(Engine::row(r));
    if (row == nullptr) continue;
    if constexpr (!kAdds && requires { Engine::kOutPairs; }) {
      if (stride == 1 && columns % 2 == 0 && reinterpret_cast<std::uintptr_t>(row) % 4 == 0) {
#pragma unroll
        for (int c = 0; c < Engine::kOutColumns; c += 2) {
          const std::int64_t at = column + Engine::out_column(c);
          if (at < columns)
            *reinterpret_cast<std::uint32_t*>(row + at) =
                packed(factor * rO[r][c], factor * rO[r][c + 1], typename Engine::Element{});
        }
        continue;
      }
    }
#pragma unroll
    for (int c = 0; c < Engine::kOutColumns; ++c) {
      const std::int64_t at = column + Engine::out_column(c);
      if (at >= columns) continue;
      auto& element = row[at * stride];
      store(element, kAdds ? to_real(element) + factor * rO[r][c] : factor * rO[r][c]);
    }
  }
}

}  // namespace attend::cuda
