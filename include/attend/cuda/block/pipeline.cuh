#pragma once

#include "../arch/cp_async.cuh"

/// @file
/// Tiles that are brought to shared memory while those before them are used.

namespace attend::cuda {

/// Calls `use(stage, at)` for `at`, `at.next()` and so on, as long as `at.exists()`; `load(stage,
/// at)` begins its copies to stage 0 or 1, while the other is in use. One barrier for each says
/// both that it is there for all threads and that all are done with the one before. Copies that
/// were begun earlier are there too. No thread may be using the stages any more.
template <class At, class Load, class Use>
__device__ void for_each_loaded(At at, Load load, Use use) {
  if (at.exists()) load(0, at);
  cp_async_commit_group();
#pragma unroll 1
  for (int stage = 0; at.exists(); stage ^= 1) {
    const At ahead = at.next();
    cp_async_wait_group<0>();
    __syncthreads();
    if (ahead.exists()) load(stage ^ 1, ahead);
    cp_async_commit_group();
    use(stage, at);
    at = ahead;
  }
  cp_async_wait_group<0>();
}

}  // namespace attend::cuda
