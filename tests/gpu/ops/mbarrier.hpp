#pragma once

#include "gpu/machine/warp.hpp"
#include "gpu/program/decoder.hpp"

namespace gpu::ops {

/// cp.async.bulk that completes on an mbarrier; cp.async was read.
void decode_bulk_copy(Decoder& d);

/// The mbarrier objects that these lanes have initialised can be seen by the asynchronous proxy.
void fence_mbarriers(Warp& w);

}  // namespace gpu::ops
