#include "gpu/ops/lanewise.hpp"

namespace gpu::ops {

bool host_is_wide() {
  static const bool wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                           __builtin_cpu_supports("bmi2");
  return wide;
}

namespace {

template <class T>
void commit_lanes(T* to, const T* lanes, u32 active) {
  if (active == ~0u) {
    std::memcpy(to, lanes, 32 * sizeof(T));
    return;
  }
  for (int i = 0; i < 32; ++i) to[i] = (active >> i & 1u) != 0 ? lanes[i] : to[i];
}

}  // namespace

void commit(Warp& w, Ref dst, const u32* lanes) { commit_lanes(w.words(dst), lanes, w.active); }
void commit(Warp& w, Ref dst, const u64* lanes) { commit_lanes(w.quads(dst), lanes, w.active); }

}  // namespace gpu::ops
