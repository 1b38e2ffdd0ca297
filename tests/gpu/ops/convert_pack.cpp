#include <algorithm>

#include "gpu/ops/arithmetic.hpp"

namespace gpu::ops {
namespace {

/// What `low` and `high` (of `bits` bits each) make, above them as much of `rest` as there is room.
u32 packed(u32 low, u32 high, u32 rest, u32 bits) {
  const u32 mask = (1u << bits) - 1;
  const u32 pair = (low & mask) | (high & mask) << bits;
  return bits == 16 ? pair : pair | rest << (2 * bits);
}

/// PTX manual, "cvt.pack": `bytes` holds the bits of a field, `flags` whether it is signed.
void pack_run(Warp& w, const Instruction& in) {
  const s32 low = in.flags != 0 ? -(1 << (in.bytes - 1)) : 0;
  const s32 high = in.flags != 0 ? (1 << (in.bytes - 1)) - 1 : (1 << in.bytes) - 1;
  const auto cut = [&](s32 x) { return static_cast<u32>(std::clamp(x, low, high)); };
  each_active<u32, s32, s32, u32>(
      w, in, [&](s32 a, s32 b, u32 c) { return packed(cut(b), cut(a), c, in.bytes); });
}

/// A source that is undefined anywhere spoils its field; what is shifted up stays what it is.
void pack_shadow(Warp& w, const Instruction& in) {
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    const auto spoiled = [&](int i) { return w.undefined_bits(in.src[i], lane) != 0 ? ~0u : 0u; };
    w.set_undefined(in.dst[0], lane,
                    packed(spoiled(1), spoiled(0),
                           static_cast<u32>(w.undefined_bits(in.src[2], lane)), in.bytes));
  }
}

}  // namespace

void decode_integer_pack(Decoder& d) {
  using ptx::Type;
  d.expect("sat");
  const int form = d.accept_one({"u16", "s16", "u8", "s8", "u4", "s4", "u2", "s2"});
  if (form < 0) throw Unsupported("expected a type of at most 16 bits");
  d.expect("s32");
  d.dst(0, Type::b32);
  d.src(1, Type::s32);
  d.src(2, Type::s32);
  if (form < 2) {  // two 16-bit fields leave no room
    d.src_ref(d.constant(0, false));
  } else {
    d.expect("b32");
    d.src(3, Type::b32);
  }
  d.in().bytes = static_cast<u8>(16 >> form / 2);
  d.in().flags = static_cast<u8>(form % 2);
  d.set(pack_run, pack_shadow);
}

}  // namespace gpu::ops
