#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"
#include "gpu/program/program.hpp"

namespace gpu::ops {
namespace {

using ptx::Operand;
using ptx::Space;
using ptx::Type;

void move_predicate(Warp& w, const Instruction& in) {
  w.set_predicate(in.dst[0], w.predicate(in.src[0]));
  const u32 undefined = w.undefined(in.src[0]) & w.active;
  w.set_defined(in.dst[0], w.active);
  w.undefine(in.dst[0], undefined);
}

void pack_run(Warp& w, const Instruction& in) {
  const unsigned bits = 8u * in.bytes;
  const u64 mask = bits >= 64 ? ~u64{0} : (u64{1} << bits) - 1;
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    u64 out = 0;
    for (u32 i = 0; i < in.src_count; ++i) {
      out |= (w.value(in.src[i], lane) & mask) << (bits * i);
    }
    w.set_value(in.dst[0], lane, out);
  }
}

void unpack_run(Warp& w, const Instruction& in) {
  const unsigned bits = 8u * in.bytes;
  const u64 mask = bits >= 64 ? ~u64{0} : (u64{1} << bits) - 1;
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    const u64 from = w.value(in.src[0], lane);
    for (u32 i = 0; i < in.dst_count; ++i) {
      w.set_value(in.dst[i], lane, from >> (bits * i) & mask);
    }
  }
}

/// 128 bits, in two halves.
void move_pair(Warp& w, const Instruction& in) {
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    for (int i = 0; i < 2; ++i) {
      w.set_value(in.dst[i], lane, w.value(in.src[i], lane));
      w.set_undefined(in.dst[i], lane, w.undefined_bits(in.src[i], lane));
    }
  }
}

/// %clock and its like: steps of the block, so that time passes.
void clock_run(Warp& w, const Instruction& in) {
  for (u32 set = w.active; set != 0; set &= set - 1) {
    w.set_value(in.dst[0], static_cast<u32>(std::countr_zero(set)), w.clock() >> in.mode);
  }
  w.define_results(in);
}

bool decode_clock(Decoder& d, Type type) {
  const Operand& from = d.operand(1);
  if (from.kind != Operand::Kind::special) return false;
  const bool low = from.name == "%clock" || from.name == "%clock64" ||
                   from.name == "%globaltimer" || from.name == "%globaltimer_lo";
  const bool high = from.name == "%clock_hi" || from.name == "%globaltimer_hi";
  if (!low && !high) return false;
  d.dst(0, type);
  d.in().mode = high ? 32 : 0;
  d.set(clock_run, nullptr);
  return true;
}

Type unsigned_of(unsigned bytes) {
  return bytes == 1 ? Type::u8 : bytes == 2 ? Type::u16 : bytes == 4 ? Type::u32 : Type::u64;
}

void decode_mov(Decoder& d) {
  const Type type = d.take_type();
  const Operand& to = d.operand(0);
  const Operand& from = d.operand(1);
  if (type == Type::pred) {
    d.dst(0, type);
    d.src(1, type);
    return d.set(move_predicate, nullptr);
  }
  if (to.kind == Operand::Kind::vector && from.kind == Operand::Kind::vector) {
    throw Unsupported("mov between vectors");
  }
  if (type == Type::b128) {
    d.dst_pair(to);
    d.src_pair(from);
    return d.set(move_pair, nullptr);
  }
  if (to.kind == Operand::Kind::vector) {
    const unsigned bytes = ptx::bytes_of(type) / static_cast<unsigned>(to.items.size());
    d.in().bytes = static_cast<u8>(bytes);
    for (const Operand& item : to.items) d.dst(item, unsigned_of(bytes));
    d.src(1, type);
    return d.set(unpack_run, shadow::unpack);
  }
  if (from.kind == Operand::Kind::vector) {
    const unsigned bytes = ptx::bytes_of(type) / static_cast<unsigned>(from.items.size());
    d.in().bytes = static_cast<u8>(bytes);
    d.dst(0, type);
    for (const Operand& item : from.items) d.src(item, unsigned_of(bytes));
    return d.set(pack_run, shadow::pack);
  }
  if (decode_clock(d, type)) return;
  if (from.kind == Operand::Kind::special && from.name == "%is_explicit_cluster") {
    throw Unsupported("expected a predicate");
  }
  d.dst(0, type);
  d.src(1, type);
  const bool plain = from.kind == Operand::Kind::reg || from.kind == Operand::Kind::f32 ||
                     from.kind == Operand::Kind::integer;
  d.in().renames = ptx::bytes_of(type) == 4 && plain;
  d.set(ptx::bytes_of(type) == 8 ? lanewise<u64(u64)>([](u64 a) { return a; })
                                 : lanewise<u32(u32)>([](u32 a) { return a; }),
        shadow::move);
}

Address window_of(Space space) {
  switch (space) {
    case Space::shared:
      return kSharedWindow;
    case Space::local:
      return kLocalWindow;
    case Space::param:
      return kParamWindow;
    default:
      return 0;
  }
}

void to_generic(Warp& w, const Instruction& in) {
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    w.set_value(in.dst[0], lane, w.value(in.src[0], lane) | window_of(in.space));
  }
}

void from_generic(Warp& w, const Instruction& in) {
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    const u64 address = w.value(in.src[0], lane);
    const Address window = window_of(in.space);
    const bool fits = window == 0 ? true : (address & kWindowMask) == window;
    // an address of another space stays recognisable, so that its use fails
    w.set_value(in.dst[0], lane, fits ? address & ~(window == 0 ? 0 : kWindowMask) : address);
  }
}

/// cvta: between a space's addresses and generic ones.
void decode_cvta(Decoder& d) {
  const bool to = d.accept("to");
  d.in().space = d.take_space();
  const Type type = d.take_type();
  if (ptx::bytes_of(type) != 8) throw Unsupported("32-bit generic addresses");
  d.dst(0, type);
  d.src(1, type);
  d.set(to ? from_generic : to_generic, shadow::move);
}

/// isspacep: whether a generic address lies in a space.
void decode_isspacep(Decoder& d) {
  d.in().space = d.take_space();
  if (d.accept("shared::cluster")) d.in().space = Space::shared;
  d.dst(0, Type::pred);
  d.src(1, Type::u64);
  d.set(
      [](Warp& w, const Instruction& in) {
        u32 bits = 0;
        for (u32 lane = 0; lane < 32; ++lane) {
          const Address window = w.value(in.src[0], lane) & kWindowMask;
          const bool in_window =
              in.space == Space::global || in.space == Space::constant
                  ? window != kSharedWindow && window != kLocalWindow && window != kParamWindow
                  : window == window_of(in.space);
          if (in_window && in.space != Space::constant) bits |= 1u << lane;
        }
        w.set_predicate(in.dst[0], bits);
      },
      shadow::predicates);
}

}  // namespace

void register_move(Registry& r) {
  r.add("mov", decode_mov);
  r.add("cvta", decode_cvta);
  r.add("isspacep", decode_isspacep);
}

}  // namespace gpu::ops
