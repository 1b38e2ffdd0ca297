#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"

namespace gpu::ops {
namespace {

using ptx::Type;

enum class Logic { conjunction, disjunction, exclusive, negation };

/// A predicate: a bit per lane, definedness too.
struct Bits {
  u32 value, undefined;
};

template <Logic op>
void combine(Warp& w, Ref dst, Bits a, Bits b) {
  u32 value = ~a.value;
  u32 undefined = a.undefined;
  if constexpr (op == Logic::conjunction) {
    value = a.value & b.value;
    undefined = (a.undefined & (b.undefined | b.value)) | (b.undefined & a.value);
  } else if constexpr (op == Logic::disjunction) {
    value = a.value | b.value;
    undefined = (a.undefined & (b.undefined | ~b.value)) | (b.undefined & ~a.value);
  } else if constexpr (op == Logic::exclusive) {
    value = a.value ^ b.value;
    undefined = a.undefined | b.undefined;
  }
  w.set_predicate(dst, value);
  w.set_defined(dst, w.active);
  w.undefine(dst, undefined & w.active);
}

template <Logic op>
void predicate_run(Warp& w, const Instruction& in) {
  const auto bits = [&](const Ref& r) { return Bits{w.predicate(r), w.undefined(r)}; };
  combine<op>(w, in.dst[0], bits(in.src[0]), bits(in.src[in.src_count - 1]));
}

template <Logic op, class T>
Run logic_run() {
  if constexpr (op == Logic::conjunction) {
    return lanewise<T(T, T)>([](T a, T b) -> T { return a & b; });
  } else if constexpr (op == Logic::disjunction) {
    return lanewise<T(T, T)>([](T a, T b) -> T { return a | b; });
  } else if constexpr (op == Logic::exclusive) {
    return lanewise<T(T, T)>([](T a, T b) -> T { return a ^ b; });
  } else {
    return lanewise<T(T)>([](T a) -> T { return static_cast<T>(~a); });
  }
}

template <Logic op>
void decode_logic(Decoder& d) {
  const Type type = d.take_type();
  const bool unary = op == Logic::negation;
  take_operands(d, type, unary ? 1 : 2);
  if (type == Type::pred) return d.set(predicate_run<op>, nullptr);
  d.in().bytes = static_cast<u8>(ptx::bytes_of(type));
  const Run shadow = op == Logic::conjunction   ? shadow::bit_and
                     : op == Logic::disjunction ? shadow::bit_or
                                                : shadow::bit_xor;
  switch (ptx::bytes_of(type)) {
    case 2:
      return d.set(logic_run<op, u16>(), shadow);
    case 4:
      return d.set(logic_run<op, u32>(), shadow);
    case 8:
      return d.set(logic_run<op, u64>(), shadow);
    default:
      throw Unsupported("logic on this type");
  }
}

void decode_cnot(Decoder& d) {
  const Type type = d.take_type();
  take_operands(d, type, 1);
  switch (ptx::bytes_of(type)) {
    case 2:
      return d.set(lanewise<u16(u16)>([](u16 a) -> u16 { return a == 0 ? 1 : 0; }), shadow::any);
    case 4:
      return d.set(lanewise<u32(u32)>([](u32 a) -> u32 { return a == 0 ? 1 : 0; }), shadow::any);
    case 8:
      return d.set(lanewise<u64(u64)>([](u64 a) -> u64 { return a == 0 ? 1 : 0; }), shadow::any);
    default:
      throw Unsupported("cnot of this type");
  }
}

/// Any function of three bits, given as its truth table.
void lop3_run(Warp& w, const Instruction& in) {
  const u32* a = w.words(in.src[0]);
  const u32* b = w.words(in.src[1]);
  const u32* c = w.words(in.src[2]);
  alignas(64) u32 out[32] = {};
  for (u32 term = 0; term < 8; ++term) {
    if ((in.mode >> term & 1) == 0) continue;
    const u32 na = (term & 4) != 0 ? 0 : ~0u;
    const u32 nb = (term & 2) != 0 ? 0 : ~0u;
    const u32 nc = (term & 1) != 0 ? 0 : ~0u;
    for (int i = 0; i < 32; ++i) out[i] |= (a[i] ^ na) & (b[i] ^ nb) & (c[i] ^ nc);
  }
  commit(w, in.dst[0], out);
}

/// lop3.and and lop3.or: d, and the predicate (d != 0) and|or q.
template <bool conjunction>
void lop3_predicate_run(Warp& w, const Instruction& in) {
  u32 doubtful = 0;
  for (int i = 0; i < 3; ++i) doubtful |= w.undefined(in.src[i]);
  w.set_defined(in.dst[0], w.active);
  if ((doubtful & w.active) != 0) shadow::lop3(w, in);
  lop3_run(w, in);
  u32 nonzero = 0, unknown = 0;
  for (u32 lane = 0; lane < 32; ++lane) {
    const u32 value = w.words(in.dst[0])[lane];
    const auto undefined = static_cast<u32>(w.undefined_bits(in.dst[0], lane));
    if (value != 0) nonzero |= 1u << lane;
    if (undefined != 0 && (value & ~undefined) == 0) unknown |= 1u << lane;
  }
  combine<conjunction ? Logic::conjunction : Logic::disjunction>(
      w, in.dst[1], {nonzero, unknown}, {w.predicate(in.src[3]), w.undefined(in.src[3])});
}

void decode_lop3(Decoder& d) {
  const int predicate = d.accept_one({"and", "or"});
  d.expect("b32");
  take_operands(d, Type::b32, 3);
  d.in().mode = static_cast<u8>(d.literal(4));
  if (predicate < 0) return d.set(lop3_run, shadow::lop3);
  if (d.operand(0).second < 0) throw Unsupported("expected d|p");
  d.dst_ref(d.predicate(d.operand(0).second));
  d.src(5, Type::pred);
  d.set(predicate == 0 ? lop3_predicate_run<true> : lop3_predicate_run<false>, nullptr);
}

template <class T>
Run shift_left_run() {
  return lanewise<T(T, u32)>([](T a, u32 n) -> T {
    return static_cast<T>(n >= 8 * sizeof(T) ? T{0} : static_cast<T>(a << n));
  });
}

template <class T>
Run shift_right_run() {
  return lanewise<T(T, u32)>([](T a, u32 n) -> T {
    constexpr u32 kTop = 8 * sizeof(T) - 1;
    if (std::is_signed_v<T>) return static_cast<T>(a >> (n > kTop ? kTop : n));
    return static_cast<T>(n > kTop ? T{0} : static_cast<T>(a >> n));
  });
}

template <bool left>
void decode_shift(Decoder& d) {
  const Type type = d.take_type();
  d.dst(0, type);
  d.src(1, type);
  d.src(2, Type::u32);
  d.in().bytes = static_cast<u8>(ptx::bytes_of(type));
  const bool is_signed = ptx::is_signed(type) && !left;
  const Run shadow = left        ? shadow::shift_left
                     : is_signed ? shadow::shift_right_signed
                                 : shadow::shift_right;
  switch (ptx::bytes_of(type)) {
    case 2:
      return d.set(left        ? shift_left_run<u16>()
                   : is_signed ? shift_right_run<s16>()
                               : shift_right_run<u16>(),
                   shadow);
    case 4:
      return d.set(left        ? shift_left_run<u32>()
                   : is_signed ? shift_right_run<s32>()
                               : shift_right_run<u32>(),
                   shadow);
    case 8:
      return d.set(left        ? shift_left_run<u64>()
                   : is_signed ? shift_right_run<s64>()
                               : shift_right_run<u64>(),
                   shadow);
    default:
      throw Unsupported("shift of this type");
  }
}

/// shf: shifts the pair b:a, keeps 32 bits.
template <bool left, bool wraps>
Run funnel_run() {
  return lanewise<u32(u32, u32, u32)>([](u32 a, u32 b, u32 c) {
    const u64 both = u64{b} << 32 | a;
    const u32 n = wraps ? c & 31 : std::min(c, 32u);
    return static_cast<u32>(left ? both << n >> 32 : both >> n);
  });
}

void decode_funnel(Decoder& d) {
  const bool left = d.accept("l");
  if (!left) d.expect("r");
  const bool wraps = d.accept("wrap");
  if (!wraps) d.expect("clamp");
  d.expect("b32");
  take_operands(d, Type::b32, 3);
  d.in().mode = left ? 0 : 1;
  d.in().flags = wraps ? 1 : 0;
  d.set(left ? (wraps ? funnel_run<true, true>() : funnel_run<true, false>())
             : (wraps ? funnel_run<false, true>() : funnel_run<false, false>()),
        shadow::funnel);
}

u32 permuted(u32 a, u32 b, u32 selectors) {
  const u64 bytes = u64{b} << 32 | a;
  u32 out = 0;
  for (u32 i = 0; i < 4; ++i) {
    const u32 selector = selectors >> (4 * i) & 0xF;
    u32 byte = static_cast<u32>(bytes >> (8 * (selector & 7))) & 0xFF;
    if ((selector & 8) != 0) byte = (byte & 0x80) != 0 ? 0xFF : 0;
    out |= byte << (8 * i);
  }
  return out;
}

/// The other modes of prmt as selectors of the default one (PTX manual, "prmt").
u32 mode_selectors(u32 mode, u32 c) {
  static constexpr u32 kTables[6][4] = {
      {0x3210, 0x4321, 0x5432, 0x6543},  // f4e
      {0x5670, 0x6701, 0x7012, 0x0123},  // b4e
      {0x0000, 0x1111, 0x2222, 0x3333},  // rc8
      {0x3210, 0x3211, 0x3222, 0x3333},  // ecl
      {0x0000, 0x1110, 0x2210, 0x3210},  // ecr
      {0x1010, 0x3232, 0x1010, 0x3232},  // rc16
  };
  return kTables[mode][c & 3];
}

void decode_prmt(Decoder& d) {
  d.expect("b32");
  const int mode = d.accept_one({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"});
  take_operands(d, Type::b32, 3);
  if (mode < 0) {
    return d.set(
        lanewise<u32(u32, u32, u32)>([](u32 a, u32 b, u32 c) { return permuted(a, b, c); }),
        shadow::permute);
  }
  d.in().mode = static_cast<u8>(mode);
  d.set(
      [](Warp& w, const Instruction& in) {
        each_active<u32, u32, u32, u32>(
            w, in, [&](u32 a, u32 b, u32 c) { return permuted(a, b, mode_selectors(in.mode, c)); });
      },
      shadow::any);
}

}  // namespace

void register_logic(Registry& r) {
  r.add("and", decode_logic<Logic::conjunction>);
  r.add("or", decode_logic<Logic::disjunction>);
  r.add("xor", decode_logic<Logic::exclusive>);
  r.add("not", decode_logic<Logic::negation>);
  r.add("cnot", decode_cnot);
  r.add("lop3", decode_lop3);
  r.add("shl", decode_shift<true>);
  r.add("shr", decode_shift<false>);
  r.add("shf", decode_funnel);
  r.add("prmt", decode_prmt);
}

}  // namespace gpu::ops
