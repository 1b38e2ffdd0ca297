#pragma once

#include "gpu/machine/warp.hpp"
#include "gpu/ops/numbers.hpp"

namespace gpu::ops {

/// Whether what has been started now happens at once, as the options or the seed say, instead of as
/// late as it can.
bool happens_early(Warp& w);

/// The first `copies` copies of a lane (cp.async) have ended, its thread not having waited for
/// them.
void end_first_copies(Warp& w, u32 lane, u64 copies);

}  // namespace gpu::ops
