// wgmma: D (64 x N, float, in registers) = A (64 x K) B (K x N) + D for a warpgroup, four
// consecutive warps; K is 16 of f16 or bf16, 8 of tf32. A product is started by all four, and done
// when they have waited for it: see PTX manual, "Asynchronous warpgroup level matrix instructions".
#pragma once

#include "gpu/machine/products.hpp"
#include "gpu/ops/numbers.hpp"
#include "gpu/ops/warp_wide.hpp"
#include "gpu/ops/warpgroup_matrix.hpp"

namespace gpu::ops::wgmma {

/// Instruction::flags. Its `type` is that of A's and B's elements, its `extra` N.
enum Flag : u8 { kRegistersA = 1, kOuterA = 2, kOuterB = 4, kNegative = 8 };

/// Sources: the accumulators, A (a descriptor or four registers), the descriptor of B, scale-d.
struct Operands {
  explicit Operands(const Instruction& in)
      : shape{in.extra, depth_of(in.type)}, accumulators(in.dst_count), a(accumulators) {
    b = a + ((in.flags & kRegistersA) != 0 ? 4 : 1);
    scale = b + 1;
  }
  ProductShape shape;
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
