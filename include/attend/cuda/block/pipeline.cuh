#pragma once

#include "../arch/cp_async.cuh"
#include "../arch/wgmma.cuh"

/// @file
/// Tiles that are brought to shared memory while those before them are used.

namespace attend::cuda {

/// Who reads what was brought: the threads, or also products of warpgroups.
enum class Proxy { generic, async };

/// Calls `use(stage, at)` for `at`, `at.next()` and so on, as long as `at.exists()`; `load(stage,
/// at)` begins its copies to stage 0 or 1, while the other is in use. One barrier for each says
/// both that it is there for all threads and that all are done with the one before. Copies that
/// were begun earlier are there too. In each thread `finish(stage)` is called when its own copies
/// are there. No thread may be using the stages any more.
template <Proxy proxy = Proxy::generic, class At, class Load, class Finish, class Use>
__device__ void for_each_loaded(At at, Load load, Finish finish, Use use) {
  if (at.exists()) load(0, at);
  cp_async_commit_group();
#pragma unroll 1
  for (int stage = 0; at.exists(); stage ^= 1) {
    const At ahead = at.next();
    cp_async_wait_group<0>();
    finish(stage);
    if constexpr (proxy == Proxy::async) fence_proxy_async();
    __syncthreads();
    if (ahead.exists()) load(stage ^ 1, ahead);
    cp_async_commit_group();
    use(stage, at);
    at = ahead;
  }
  cp_async_wait_group<0>();
}

/// The same with nothing to finish.
template <Proxy proxy = Proxy::generic, class At, class Load, class Use>
__device__ void for_each_loaded(At at, Load load, Use use) {
  for_each_loaded<proxy>(
      at, load, [](int) {}, use);
}

}  // namespace attend::cuda
