#pragma once

#include "gpu/program/instruction.hpp"

namespace gpu::ops {

/// How undefined bits travel through instructions, in the manner of Valgrind's Memcheck (Seward and
/// Nethercote, USENIX 2005). Each function sets the undefined bits of dst[0] in the active lanes
/// from the sources; Instruction::bytes is the width of the operation (2, 4, 8).
namespace shadow {

void any(Warp&, const Instruction&);       ///< one undefined bit spoils the whole result
void any_half(Warp&, const Instruction&);  ///< the same for each 16-bit half
void move(Warp&, const Instruction&);      ///< bits stay where they are
void bit_and(Warp&, const Instruction&);
void bit_or(Warp&, const Instruction&);
void bit_xor(Warp&, const Instruction&);
void lop3(Warp&, const Instruction&);  ///< table in `mode`
void add(Warp&, const Instruction&);
void sub(Warp&, const Instruction&);
void smear(Warp&, const Instruction&);     ///< bits above the lowest undefined one
void multiply(Warp&, const Instruction&);  ///< src[0] * src[1] (+ src[2])
void shift_left(Warp&, const Instruction&);
void shift_right(Warp&, const Instruction&);  ///< logical
void shift_right_signed(Warp&, const Instruction&);
void select(Warp&, const Instruction&);   ///< src[2] decides between src[0] and src[1]
void permute(Warp&, const Instruction&);  ///< prmt in its default mode
void convert(Warp&, const Instruction&);  ///< between integers: `bytes` of the source, `type` of it
void reverse(Warp&, const Instruction&);
void extract(Warp&, const Instruction&);     ///< bfe
void insert(Warp&, const Instruction&);      ///< bfi
void funnel(Warp&, const Instruction&);      ///< shf: `mode` 0 left, 1 right; `flags` 1: wraps
void compare(Warp&, const Instruction&);     ///< setp of integers: `type`, relation in `mode`
void predicates(Warp&, const Instruction&);  ///< any undefined source spoils all predicate results
void pack(Warp&, const Instruction&);        ///< sources one after another into dst[0]
void unpack(Warp&, const Instruction&);      ///< src[0] cut into the destinations

}  // namespace shadow
}  // namespace gpu::ops
