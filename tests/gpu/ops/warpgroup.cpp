// The instructions of warpgroups: wgmma and setmaxnreg.
#include "gpu/ops/warpgroup.hpp"

#include "gpu/ops/groups.hpp"
#include "gpu/program/decoder.hpp"

namespace gpu::ops {
namespace wgmma {
namespace {

using ptx::Operand;
using ptx::Type;

/// The warps of a warpgroup execute one product.
std::shared_ptr<Product> join(Warp& w, const Instruction& in, const Operands& o) {
  Block& block = w.block;
  if (block.warpgroups.empty()) block.warpgroups.resize((block.warps.size() + 3) / 4);
  Warpgroup& group = block.warpgroups[w.index / 4];
  if (w.index / 4 * 4 + 4 > block.warps.size()) {
    w.fail(Fault::barrier, w.active,
           "the warpgroup has fewer than four warps: the block's threads are no multiple of 128");
    return nullptr;
  }
  if (group.gathering == nullptr) {
    auto p = std::make_shared<Product>();
    p->in = &in;
    p->site = w.site();
    p->shape = o.shape;
    p->a.resize(std::size_t{64} * o.shape.depth);
    p->b.resize(std::size_t{o.shape.depth} * o.shape.columns);
    group.gathering = p;
  } else if (group.gathering->in != &in) {
    w.fail(Fault::barrier, w.active,
           "another warp of the warpgroup waits at " + place_of(in, group.gathering->site) +
               "; all four must execute the same product");
    return nullptr;
  }
  return group.gathering;
}

void product_run(Warp& w, const Instruction& in) {
  if (!gather_whole_warp(w) || !in_kernel(w)) return;
  const Operands o(in);
  const auto p = join(w, in, o);
  if (p == nullptr) return;
  const bool from_registers = (in.flags & kRegistersA) != 0;
  bool sound = is_sound(w, in, o);
  const bool accumulates = (w.predicate(in.src[o.scale]) & 1) != 0;
  const u64 a = from_registers ? 0 : w.value(in.src[o.a], 0);
  const u64 b = w.value(in.src[o.b], 0);
  if (p->arrived == 0) {
    p->accumulates = accumulates;
    p->descriptor_a = a;
    p->descriptor_b = b;
  } else if (sound && p->sound &&
             (p->descriptor_a != a || p->descriptor_b != b || p->accumulates != accumulates)) {
    w.fail(Fault::divergence, w.active,
           "the descriptors or scale-d differ between warps of the warpgroup");
    sound = false;
  }
  p->sound = p->sound && sound;

  StartedProduct started;
  if (sound) started = take_registers(w, in, o, *p);
  started.product = p;
  w.products.open.push_back(std::move(started));
  // each warp is counted for a quarter of what the warpgroup reads
  w.tally().product_bytes += ((from_registers ? 0 : 64) + o.shape.columns) * kStepBytes / 4;

  if (++p->arrived < 4) return w.wait_at_barrier(Wait::warpgroup);
  w.block.warpgroups[w.index / 4].gathering = nullptr;
  start(w, *p);
}

void fence_run(Warp& w, const Instruction&) {
  if (gather_whole_warp(w) && in_kernel(w)) ++w.fences;
}

void commit_run(Warp& w, const Instruction&) {
  if (!gather_whole_warp(w) || !in_kernel(w)) return;
  w.products.groups.push_back(std::move(w.products.open));
  w.products.open.clear();
}

/// All but the newest `offset` groups are done.
void wait_run(Warp& w, const Instruction& in) {
  if (!gather_whole_warp(w) || !in_kernel(w)) return;
  auto& groups = w.products.groups;
  while (groups.size() > static_cast<std::size_t>(in.offset)) {
    for (StartedProduct& s : groups.front()) finish(w, s);
    groups.pop_front();
  }
}

/// setmaxnreg gives registers back or asks for more: here they are there anyway.
void limit_run(Warp& w, const Instruction& in) {
  if (!gather_whole_warp(w)) return;
  Block& block = w.block;
  if (block.warpgroups.empty()) block.warpgroups.resize((block.warps.size() + 3) / 4);
  auto& limits = block.warpgroups[w.index / 4].limits;
  if (w.limits == limits.size()) limits.push_back(&in);
  if (limits[w.limits++] == &in) return;
  w.fail(Fault::divergence, w.active,
         "another warp of the warpgroup executes another setmaxnreg; all four must agree");
}

void expect_aligned(Decoder& d) {
  d.expect("sync");
  d.expect("aligned");
}

s64 literal_of(Decoder& d, std::size_t i, s64 one, s64 other) {
  const s64 value = d.literal(i);
  if (value != one && value != other) throw Unsupported("an immediate of another value");
  return value;
}

ProductShape take_shape(Decoder& d) {
  for (const u32 depth : {16u, 8u}) {
    for (u32 n = 8; n <= 256; n += 8) {
      if (d.accept("m64n" + std::to_string(n) + "k" + std::to_string(depth))) return {n, depth};
    }
  }
  throw Unsupported("wgmma of this shape");
}

bool is_element(Type type) { return type == Type::f16 || type == Type::bf16 || type == Type::tf32; }

void decode_product(Decoder& d) {
  Instruction& in = d.in();
  expect_aligned(d);
  const ProductShape shape = take_shape(d);
  const Type type_d = d.take_type(), type_a = d.take_type(), type_b = d.take_type();
  if (type_d != Type::f32 || type_a != type_b || !is_element(type_a) ||
      depth_of(type_a) != shape.depth) {
    throw Unsupported("wgmma of these types");
  }
  in.type = type_a;
  in.extra = shape.columns;
  const Operand& to = d.operand(0);
  if (to.kind != Operand::Kind::vector || to.items.size() != in.extra / 2) {
    throw Unsupported("fragment of another length");
  }
  for (const Operand& item : to.items) {
    if (item.kind != Operand::Kind::reg) throw Unsupported("an accumulator must be a register");
    d.dst(item, Type::b32);
    d.src(item, Type::b32);
  }
  const Operand& a = d.operand(1);
  const bool from_registers = a.kind == Operand::Kind::vector;
  if (from_registers) {
    if (a.items.size() != 4) throw Unsupported("fragment of another length");
    in.flags |= kRegistersA;
    for (const Operand& item : a.items) {
      if (item.kind != Operand::Kind::reg) throw Unsupported("A must be in registers");
      d.src(item, Type::b32);
    }
  } else {
    d.src(a, Type::b64);
  }
  d.src(2, Type::b64);
  d.src(3, Type::pred);
  // matrices of 32-bit elements are K-major always: there is nothing to say
  const bool has_majors = ptx::bytes_of(type_a) == 2;
  if (d.operand_count() != (!has_majors ? 6u : from_registers ? 7u : 8u))
    throw Unsupported("another number of operands");
  if (literal_of(d, 4, 1, -1) * literal_of(d, 5, 1, -1) < 0) in.flags |= kNegative;
  if (has_majors) {
    if (!from_registers && literal_of(d, 6, 0, 1) == 1) in.flags |= kOuterA;
    if (literal_of(d, from_registers ? 6 : 7, 0, 1) == 1) in.flags |= kOuterB;
  }
  in.holds = true;
  d.set(product_run, nullptr);
}

void decode_wgmma(Decoder& d) {
  Instruction& in = d.in();
  in.effect = true;
  if (d.accept("mma_async")) return decode_product(d);
  if (d.accept("fence")) {
    d.set(fence_run, nullptr);
  } else if (d.accept("commit_group")) {
    d.set(commit_run, nullptr);
  } else {
    d.expect("wait_group");
    in.offset = d.literal(0);
    d.set(wait_run, nullptr);
  }
  expect_aligned(d);
}

void decode_limit(Decoder& d) {
  d.in().effect = true;
  if (d.accept_one({"inc", "dec"}) < 0) throw Unsupported("expected .inc or .dec");
  expect_aligned(d);
  d.expect("u32");
  const s64 registers = d.literal(0);
  if (registers % 8 != 0 || registers < 24 || registers > 256) {
    throw Unsupported("the number of registers is a multiple of 8 from 24 to 256");
  }
  d.set(limit_run, nullptr);
}

}  // namespace
}  // namespace wgmma

void register_warpgroup(Registry& r) {
  r.add("wgmma", wgmma::decode_wgmma);
  r.add("setmaxnreg", wgmma::decode_limit);
}

}  // namespace gpu::ops
