#pragma once

#include "gpu/machine/warp.hpp"
#include "gpu/program/decoder.hpp"

namespace gpu::ops {

/// cp.async.bulk that completes on an mbarrier; cp.async was read.
void decode_bulk_copy(Decoder& d);

/// cp.async.mbarrier.arrive; cp.async.mbarrier was read.
void decode_copy_arrival(Decoder& d);

/// The warp has waited for copies: where mbarriers track those, its threads arrive.
void arrive_for_ended_copies(Warp& w);

/// The mbarrier objects that these lanes have initialised can be seen by the asynchronous proxy.
void fence_mbarriers(Warp& w);

}  // namespace gpu::ops
