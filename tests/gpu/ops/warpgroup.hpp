// wgmma: D (64 x N, float, in registers) = A (64 x 16) B (16 x N) + D for a warpgroup, four
// consecutive warps. A product is started by all four, and done when they have waited for it: see
// PTX manual, "Asynchronous warpgroup level matrix instructions".
#pragma once

#include "gpu/machine/products.hpp"
#include "gpu/ops/numbers.hpp"
#include "gpu/ops/warp_wide.hpp"

namespace gpu::ops::wgmma {

/// Instruction::flags.
enum Flag : u8 { kBf16 = 1, kRegistersA = 2, kOuterA = 4, kOuterB = 8, kNegative = 16 };

/// Sources: the accumulators, A (a descriptor or four registers), the descriptor of B, scale-d.
struct Operands {
  explicit Operands(const Instruction& in)
      : columns(in.extra), accumulators(in.dst_count), a(accumulators) {
    b = a + ((in.flags & kRegistersA) != 0 ? 4 : 1);
    scale = b + 1;
  }
  u32 columns;
  int accumulators, a, b, scale;
};

// What a program must not do.

/// In a called function registers in flight would outlive their frame.
bool in_kernel(Warp& w);
/// A warp may start a product: descriptors are the same in all lanes, registers are free and
/// fenced.
bool is_sound(Warp& w, const Instruction& in, const Operands& o);
/// The instruction at a site, for reports.
std::string place_of(const Instruction& in, u32 site);

// A product's life.

/// The registers of the warp go out of its hands.
StartedProduct take_registers(Warp& w, const Instruction& in, const Operands& o, Product& p);
/// All four warps are there.
void start(Warp& w, Product& p);
/// The warp's part of a product is done.
void finish(Warp& w, StartedProduct& s);

}  // namespace gpu::ops::wgmma
