#pragma once

#include <cstdint>

#include "../../core/forward_tensors.hpp"
#include "../arch/convert.cuh"
#include "../block/online_softmax.cuh"
#include "../block/split_results.cuh"

/// @file
/// Results over parts of the keys, put together in the parts' order.

namespace attend::cuda {

/// Threads of a block of `merge_splits`.
inline constexpr int kMergeThreads = 64;

/// out and lse from the parts' outputs, and from the sink. One block per row.
template <class T, class V>
__global__ void __launch_bounds__(kMergeThreads)
    merge_splits(Problem problem, V variant, ForwardTensors<T> tensors,
                 SplitResults<RealOf<T>> results) {
  using Real = RealOf<T>;
  const std::int64_t n = blockIdx.x;
  const std::int64_t b = n / problem.len_q / problem.heads;
  const std::int64_t h = n / problem.len_q % problem.heads;
  const std::int64_t i = n % problem.len_q;

  SoftmaxState<Real> total;
  for (std::int64_t s = 0; s < results.work.parts; ++s) {
    const SoftmaxState<Real> part = results.state(s, b, h, i);
    const Real top = total.max < part.max ? part.max : total.max;
    total.sum = total.sum * rescaled(total.max, top) + part.sum * rescaled(part.max, top);
    total.max = top;
  }
  const RowEnd<Real> end(total, variant.sink_logit(b, h));
  for (std::int64_t e = threadIdx.x; e < problem.head_dim_v; e += kMergeThreads) {
    Real sum = 0;
    for (std::int64_t s = 0; s < results.work.parts; ++s) {
      const SoftmaxState<Real> part = results.state(s, b, h, i);
      sum += results.out(s, b, h, i, e) * (part.sum * rescaled(part.max, total.max) * end.factor);
    }
    store(tensors.out(b, h, i, e), sum);
  }
  if (tensors.lse && threadIdx.x == 0) tensors.lse(b, h, i) = end.state.lse();
}

}  // namespace attend::cuda
