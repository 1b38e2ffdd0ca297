#pragma once

#include "gpu/machine/block.hpp"
#include "gpu/machine/warp.hpp"
#include "gpu/machine/worker.hpp"
#include "gpu/ops/numbers.hpp"

namespace gpu::ops {

/// For instructions with a member mask in source `i`: checks the mask and waits until the lanes it
/// names are here. False: the instruction must return at once. `mask`: lanes that take part and are
/// alive.
bool gather_members(Warp& w, const Instruction& in, int i, u32& mask);

/// For .aligned matrix instructions: all 32 lanes of the warp must execute them together. False:
/// return at once.
bool gather_whole_warp(Warp& w);

}  // namespace gpu::ops
