#pragma once

#include <string>

#include "gpu/machine/warp.hpp"
#include "gpu/ops/numbers.hpp"

namespace gpu::ops {

/// The zero-terminated text at a generic address.
std::string read_text(Warp& w, u32 lane, u64 address);

/// What printf would print: `arguments` is the address of the packed arguments (CUDA: 4 bytes for
/// int, 8 for long, double and pointers, each aligned to its size).
std::string formatted(Warp& w, u32 lane, u64 format, u64 arguments);

}  // namespace gpu::ops
