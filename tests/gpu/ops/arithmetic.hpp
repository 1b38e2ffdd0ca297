#pragma once

#include "gpu/ops/lanewise.hpp"
#include "gpu/ops/shadow.hpp"

namespace gpu::ops {

/// Operations that integers and floating-point numbers share by name.
enum class Arithmetic : u8 { add, sub, mul, mad, fma, div, rem, min, max, abs, neg, sqrt, rcp };

/// Number of sources.
int sources_of(Arithmetic op);

// Each takes the rest of the modifiers and all operands; `type` was read.
void decode_integer(Decoder& d, Arithmetic op, ptx::Type type);
void decode_float(Decoder& d, Arithmetic op, ptx::Type type);
void decode_half(Decoder& d, Arithmetic op, ptx::Type type);

/// Integer operations that set or take the carry (.cc, addc, subc, madc).
void decode_carry(Decoder& d, bool subtracts, bool takes_carry, bool multiplies, ptx::Type type);

/// cvt.pack.
void decode_integer_pack(Decoder& d);

/// Adds destination 0 and sources 1.. of one type.
void take_operands(Decoder& d, ptx::Type type, int sources);

}  // namespace gpu::ops
