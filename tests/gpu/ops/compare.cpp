#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"

namespace gpu::ops {
namespace {

using ptx::Type;

/// A comparison as the set of outcomes for which it holds.
enum Outcome : u8 { kLess = 1, kEqual = 2, kGreater = 4, kUnordered = 8 };
enum Flag : u8 { kFtz = 1, kAnd = 2, kOr = 4, kXor = 8 };

u8 take_relation(Decoder& d) {
  struct Row {
    std::string_view name;
    int outcomes;
  };
  static constexpr Row kRows[] = {
      {"eq", kEqual},
      {"ne", kLess | kGreater},
      {"lt", kLess},
      {"le", kLess | kEqual},
      {"gt", kGreater},
      {"ge", kGreater | kEqual},
      {"lo", kLess},
      {"ls", kLess | kEqual},
      {"hi", kGreater},
      {"hs", kGreater | kEqual},
      {"equ", kEqual | kUnordered},
      {"neu", kLess | kGreater | kUnordered},
      {"ltu", kLess | kUnordered},
      {"leu", kLess | kEqual | kUnordered},
      {"gtu", kGreater | kUnordered},
      {"geu", kGreater | kEqual | kUnordered},
      {"num", kLess | kEqual | kGreater},
      {"nan", kUnordered},
  };
  for (const Row& row : kRows) {
    if (d.accept(row.name)) return static_cast<u8>(row.outcomes);
  }
  throw Unsupported("expected a comparison");
}

[[gnu::always_inline]] inline float comparable(float x, bool ftz) { return ftz ? flush(x) : x; }
[[gnu::always_inline]] inline double comparable(double x, bool) { return x; }
[[gnu::always_inline]] inline float comparable(Half x, bool) { return to_float(x); }
[[gnu::always_inline]] inline float comparable(Bf16 x, bool) { return to_float(x); }
template <class T>
[[gnu::always_inline]] inline std::enable_if_t<std::is_integral_v<T>, T> comparable(T x, bool) {
  return x;
}

/// A word of lanes for which the relation holds.
template <class T>
struct Comparison {
  [[gnu::always_inline]] static inline u32 body(Warp& w, const Instruction& in) {
    const Lanes<T> a = lanes_of<T>(w, in.src[0]);
    const Lanes<T> b = lanes_of<T>(w, in.src[1]);
    const bool ftz = (in.flags & kFtz) != 0;
    alignas(64) u32 hit[32];
    const u32 less = (in.mode & kLess) != 0 ? ~0u : 0, equal = (in.mode & kEqual) != 0 ? ~0u : 0,
              greater = (in.mode & kGreater) != 0 ? ~0u : 0,
              neither = (in.mode & kUnordered) != 0 ? ~0u : 0;
    for (int i = 0; i < 32; ++i) {
      const auto x = comparable(a[i], ftz);
      const auto y = comparable(b[i], ftz);
      const u32 lt = x < y ? ~0u : 0, eq = x == y ? ~0u : 0, gt = x > y ? ~0u : 0;
      hit[i] =
          ((lt & less) | (eq & equal) | (gt & greater) | (~(lt | eq | gt) & neither)) & (1u << i);
    }
    u32 bits = 0;
    for (int i = 0; i < 32; ++i) bits |= hit[i];
    return bits;
  }
  [[gnu::flatten]] static u32 plain(Warp& w, const Instruction& in) { return body(w, in); }
  [[gnu::target("avx2,fma,bmi,bmi2,lzcnt,popcnt"), gnu::flatten]] static u32 wide(
      Warp& w, const Instruction& in) {
    return body(w, in);
  }
};

template <class T>
u32 compare(Warp& w, const Instruction& in) {
  static const bool is_wide = host_is_wide();
  return is_wide ? Comparison<T>::wide(w, in) : Comparison<T>::plain(w, in);
}

u32 combined(const Instruction& in, u32 hit, u32 other) {
  if ((in.flags & kAnd) != 0) return hit & other;
  if ((in.flags & kOr) != 0) return hit | other;
  if ((in.flags & kXor) != 0) return hit ^ other;
  return hit;
}

template <class T>
void setp_run(Warp& w, const Instruction& in) {
  const u32 hit = compare<T>(w, in);
  const u32 other = in.src_count > 2 ? w.predicate(in.src[2]) : 0;
  w.set_predicate(in.dst[0], combined(in, hit, other));
  if (in.dst_count > 1) w.set_predicate(in.dst[1], combined(in, ~hit, other));
}

/// set: all ones (integers) or 1.0 where the relation holds.
template <class T>
void set_run(Warp& w, const Instruction& in) {
  const u32 hit = combined(in, compare<T>(w, in), in.src_count > 2 ? w.predicate(in.src[2]) : 0);
  const u32 one = in.type == Type::f32    ? 0x3F800000u
                  : in.type == Type::f16  ? 0x3C00u
                  : in.type == Type::bf16 ? 0x3F80u
                  : in.bytes == 2         ? 0xFFFFu
                                          : ~0u;
  alignas(64) u32 out[32];
  for (int i = 0; i < 32; ++i) out[i] = (hit >> i & 1) != 0 ? one : 0;
  commit(w, in.dst[0], out);
}

/// setp.f16x2: p for the lower halves, q for the upper ones; set.f16x2 likewise into one register.
template <class H>
void pair_run(Warp& w, const Instruction& in) {
  u32 hits[2] = {0, 0};
  const u32* a = w.words(in.src[0]);
  const u32* b = w.words(in.src[1]);
  for (int half = 0; half < 2; ++half) {
    for (int i = 0; i < 32; ++i) {
      const float x = to_float(H{static_cast<u16>(a[i] >> (16 * half))});
      const float y = to_float(H{static_cast<u16>(b[i] >> (16 * half))});
      const int outcome = x < y ? kLess : x == y ? kEqual : x > y ? kGreater : kUnordered;
      if ((in.mode & outcome) != 0) hits[half] |= 1u << i;
    }
    hits[half] = combined(in, hits[half], in.src_count > 2 ? w.predicate(in.src[2]) : 0);
  }
  if (in.dst[0].predicate) {
    w.set_predicate(in.dst[0], hits[0]);
    if (in.dst_count > 1) w.set_predicate(in.dst[1], hits[1]);
    return;
  }
  const u32 one = in.type == Type::f16x2 ? 0x3C00u : in.type == Type::bf16x2 ? 0x3F80u : 0xFFFFu;
  alignas(64) u32 out[32];
  for (int i = 0; i < 32; ++i) {
    out[i] = ((hits[0] >> i & 1) != 0 ? one : 0) | ((hits[1] >> i & 1) != 0 ? one << 16 : 0);
  }
  commit(w, in.dst[0], out);
}

/// What `make` gives for the C++ type that stands for the PTX type.
template <class Make>
Run for_type(Type type, Make make) {
  switch (type) {
    case Type::u16:
    case Type::b16:
      return make(u16{});
    case Type::s16:
      return make(s16{});
    case Type::u32:
    case Type::b32:
      return make(u32{});
    case Type::s32:
      return make(s32{});
    case Type::u64:
    case Type::b64:
      return make(u64{});
    case Type::s64:
      return make(s64{});
    case Type::f16:
      return make(Half{});
    case Type::bf16:
      return make(Bf16{});
    case Type::f32:
      return make(float{});
    case Type::f64:
      return make(double{});
    case Type::f16x2:
      return pair_run<Half>;
    case Type::bf16x2:
      return pair_run<Bf16>;
    default:
      throw Unsupported("comparison of this type");
  }
}

void take_combination(Decoder& d) {
  if (d.accept("and")) d.in().flags |= kAnd;
  if (d.accept("or")) d.in().flags |= kOr;
  if (d.accept("xor")) d.in().flags |= kXor;
  if (d.accept("ftz")) d.in().flags |= kFtz;
}

Type storage_of(Type type) {
  return type == Type::f16x2 || type == Type::bf16x2 ? Type::b32 : type;
}

void decode_setp(Decoder& d) {
  d.in().mode = take_relation(d);
  take_combination(d);
  const Type type = d.take_type();
  const ptx::Operand& dst = d.operand(0);
  if (dst.kind == ptx::Operand::Kind::reg) {
    d.dst_ref(d.predicate(dst.reg));
  } else {
    d.dst(0, Type::pred);
  }
  if (dst.second >= 0) d.dst_ref(d.predicate(dst.second));
  d.src(1, storage_of(type));
  d.src(2, storage_of(type));
  if ((d.in().flags & (kAnd | kOr | kXor)) != 0) d.src(3, Type::pred);
  d.in().type = type;
  d.in().bytes = static_cast<u8>(ptx::bytes_of(type));
  d.set(for_type(type, [](auto t) -> Run { return setp_run<decltype(t)>; }),
        ptx::is_float(type) ? shadow::predicates : shadow::compare);
}

void decode_set(Decoder& d) {
  d.in().mode = take_relation(d);
  take_combination(d);
  const Type result = d.take_type();
  const Type type = d.take_type();
  d.dst(0, storage_of(result));
  d.src(1, storage_of(type));
  d.src(2, storage_of(type));
  if ((d.in().flags & (kAnd | kOr | kXor)) != 0) d.src(3, Type::pred);
  d.in().type = result;
  d.in().bytes = static_cast<u8>(ptx::bytes_of(result));
  d.set(for_type(type, [](auto t) -> Run { return set_run<decltype(t)>; }), shadow::any);
}

void decode_selp(Decoder& d) {
  const Type type = d.take_type();
  d.dst(0, type);
  d.src(1, type);
  d.src(2, type);
  d.src(3, Type::pred);
  if (ptx::bytes_of(type) == 8) {
    d.set(lanewise<u64(u64, u64, bool)>([](u64 a, u64 b, bool p) { return p ? a : b; }),
          shadow::select);
  } else {
    d.set(lanewise<u32(u32, u32, bool)>([](u32 a, u32 b, bool p) { return p ? a : b; }),
          shadow::select);
  }
}

/// slct: a where c >= 0, else b.
void decode_slct(Decoder& d) {
  if (d.accept("ftz")) d.in().flags |= kFtz;
  const Type type = d.take_type();
  const Type by = d.take_type();
  d.dst(0, type);
  d.src(1, type);
  d.src(2, type);
  d.src(3, by);
  const bool wide = ptx::bytes_of(type) == 8;
  if (by == Type::f32) {
    d.set(
        wide ? lanewise<u64(u64, u64, float)>([](u64 a, u64 b, float c) { return c >= 0 ? a : b; })
             : lanewise<u32(u32, u32, float)>([](u32 a, u32 b, float c) { return c >= 0 ? a : b; }),
        shadow::any);
  } else {
    d.set(wide ? lanewise<u64(u64, u64, s32)>([](u64 a, u64 b, s32 c) { return c >= 0 ? a : b; })
               : lanewise<u32(u32, u32, s32)>([](u32 a, u32 b, s32 c) { return c >= 0 ? a : b; }),
          shadow::any);
  }
}

/// testp: properties of a floating-point number.
void decode_testp(Decoder& d) {
  const int property =
      d.accept_one({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  if (property < 0) throw Unsupported("expected a property");
  const Type type = d.take_type();
  d.dst(0, Type::pred);
  d.src(1, type);
  d.in().mode = static_cast<u8>(property);
  d.set(
      [](Warp& w, const Instruction& in) {
        u32 bits = 0;
        for (u32 i = 0; i < 32; ++i) {
          const int kind = in.src[0].wide
                               ? std::fpclassify(std::bit_cast<double>(w.quads(in.src[0])[i]))
                               : std::fpclassify(std::bit_cast<float>(w.words(in.src[0])[i]));
          const bool holds[] = {kind != FP_NAN && kind != FP_INFINITE,
                                kind == FP_INFINITE,
                                kind != FP_NAN,
                                kind == FP_NAN,
                                kind == FP_NORMAL,
                                kind == FP_SUBNORMAL};
          if (holds[in.mode]) bits |= 1u << i;
        }
        w.set_predicate(in.dst[0], bits);
      },
      shadow::predicates);
}

void decode_copysign(Decoder& d) {
  const Type type = d.take_type();
  take_operands(d, type, 2);
  constexpr u64 kSign = u64{1} << 63;
  d.set(type == Type::f64
            ? lanewise<u64(u64, u64)>([](u64 a, u64 b) { return (b & ~kSign) | (a & kSign); })
            : lanewise<u32(u32, u32)>(
                  [](u32 a, u32 b) { return (b & 0x7FFFFFFFu) | (a & 0x80000000u); }),
        shadow::any);
}

}  // namespace

void register_compare(Registry& r) {
  r.add("setp", decode_setp);
  r.add("set", decode_set);
  r.add("selp", decode_selp);
  r.add("slct", decode_slct);
  r.add("testp", decode_testp);
  r.add("copysign", decode_copysign);
}

}  // namespace gpu::ops
