#include <cmath>
#include <limits>

#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/fp8.hpp"
#include "gpu/ops/groups.hpp"

namespace gpu::ops {
namespace {

using ptx::Type;

enum Flag : u8 { kFtz = 1, kSat = 2, kRelu = 4, kSatFinite = 8, kToInteger = 16 };

double to_double(Type type, u64 bits) {
  switch (type) {
    case Type::f16:
      return double{to_float(Half{static_cast<u16>(bits)})};
    case Type::bf16:
      return double{to_float(Bf16{static_cast<u16>(bits)})};
    case Type::f32:
    case Type::tf32:
      return double{std::bit_cast<float>(static_cast<u32>(bits))};
    default:
      return std::bit_cast<double>(bits);
  }
}

const Format& format_of(Type type) {
  switch (type) {
    case Type::f16:
      return kHalfFormat;
    case Type::bf16:
      return kBf16Format;
    case Type::tf32:
      return kTf32Format;
    default:
      return kFloatFormat;
  }
}

/// The bits of an already rounded value.
u64 bits_of(Type type, double x) {
  const bool nan = x != x;
  switch (type) {
    case Type::f16:
      return nan ? 0x7FFF : to_half(static_cast<float>(x)).bits;
    case Type::bf16:
      return nan ? 0x7FFF : to_bf16(static_cast<float>(x)).bits;
    case Type::f32:
    case Type::tf32:
      return nan ? kNan32 : std::bit_cast<u32>(static_cast<float>(x));
    default:
      return std::bit_cast<u64>(x);
  }
}

double to_whole(double x, Rounding rounding) {
  switch (rounding) {
    case Rounding::nearest:
      return std::nearbyint(x);
    case Rounding::zero:
      return std::trunc(x);
    case Rounding::down:
      return std::floor(x);
    default:
      return std::ceil(x);
  }
}

/// Between floating-point types.
u64 float_to_float(const Instruction& in, Type from, u64 bits) {
  double x = to_double(from, bits);
  const auto rounding = static_cast<Rounding>(in.mode);
  if ((in.flags & kFtz) != 0 && from == Type::f32) {
    x = double{flush(static_cast<float>(x))};
  }
  if ((in.flags & kToInteger) != 0) x = to_whole(x, rounding);
  if ((in.flags & kRelu) != 0 && (x < 0 || (x == 0 && std::signbit(x)))) x = 0;
  if ((in.flags & kSat) != 0) x = saturate(x);
  if (in.type != Type::f64) {
    const Rounding last = (in.flags & kToInteger) != 0 ? Rounding::nearest : rounding;
    x = round_to(x, format_of(in.type), last);
    if ((in.flags & kSatFinite) != 0 && std::isinf(x)) {
      const Format& f = format_of(in.type);
      const double largest = std::ldexp(2.0 - std::ldexp(1.0, -f.mantissa), f.max_exponent);
      x = x > 0 ? largest : -largest;
    }
    if ((in.flags & kFtz) != 0 && in.type == Type::f32) x = double{flush(static_cast<float>(x))};
  }
  return bits_of(in.type, x);
}

struct Limits {
  double low, high;  ///< exact as doubles; high + 1 for 64 bits
};

/// Floating point to integer: rounds, clamps; NaN gives 0 (64 bits: 2^63).
u64 float_to_integer(const Instruction& in, Type from, u64 bits) {
  double x = to_double(from, bits);
  if ((in.flags & kFtz) != 0 && from == Type::f32) x = double{flush(static_cast<float>(x))};
  const unsigned width = 8 * ptx::bytes_of(in.type);
  const bool is_signed = ptx::is_signed(in.type);
  if (x != x) {
    if (width == 64) return u64{1} << 63;
    return 0;
  }
  x = to_whole(x, static_cast<Rounding>(in.mode));
  const double above = std::ldexp(1.0, static_cast<int>(is_signed ? width - 1 : width));
  const double low = is_signed ? -above : 0.0;
  if (x >= above) {
    const u64 all = width == 64 ? ~u64{0} : (u64{1} << width) - 1;
    return is_signed ? all >> 1 : all;
  }
  if (x < low) x = low;
  return is_signed ? static_cast<u64>(static_cast<s64>(x)) : static_cast<u64>(x);
}

/// Integer to floating point, correctly rounded from all 64 bits.
u64 integer_to_float(const Instruction& in, Type from, u64 bits) {
  const bool negative = ptx::is_signed(from) && static_cast<s64>(bits) < 0;
  const u64 magnitude = negative ? 0 - bits : bits;
  const auto rounding = static_cast<Rounding>(in.mode);
  const int mantissa = in.type == Type::f64 ? 52 : format_of(in.type).mantissa;
  const int width = 64 - std::countl_zero(magnitude | 1);
  double x = 0;
  if (width <= mantissa + 1) {
    x = static_cast<double>(magnitude);
  } else {
    const int cut = width - mantissa - 1;
    u64 kept = magnitude >> cut;
    const u64 rest = magnitude & ((u64{1} << cut) - 1);
    const u64 tie = u64{1} << (cut - 1);
    const bool up = rounding == Rounding::nearest ? rest > tie || (rest == tie && (kept & 1) != 0)
                    : rounding == Rounding::up    ? !negative && rest != 0
                    : rounding == Rounding::down  ? negative && rest != 0
                                                  : false;
    if (up) ++kept;
    x = std::ldexp(static_cast<double>(kept), cut);
  }
  if (in.type == Type::f16) x = round_to(x, kHalfFormat, rounding);
  if (negative) x = -x;
  if ((in.flags & kSat) != 0) x = saturate(x);
  return bits_of(in.type, x);
}

u64 extended(Type type, u64 bits) {
  switch (type) {
    case Type::s8:
      return static_cast<u64>(s64{static_cast<s8>(bits)});
    case Type::s16:
      return static_cast<u64>(s64{static_cast<s16>(bits)});
    case Type::s32:
      return static_cast<u64>(s64{static_cast<s32>(bits)});
    case Type::u8:
    case Type::b8:
      return bits & 0xFF;
    case Type::u16:
    case Type::b16:
      return bits & 0xFFFF;
    case Type::u32:
    case Type::b32:
      return bits & 0xFFFFFFFF;
    default:
      return bits;
  }
}

u64 saturated_integer(Type from, Type to, u64 bits) {
  const unsigned width = 8 * ptx::bytes_of(to);
  const bool negative = ptx::is_signed(from) && static_cast<s64>(bits) < 0;
  if (!ptx::is_signed(to)) {
    const u64 high = width == 64 ? ~u64{0} : (u64{1} << width) - 1;
    return negative ? 0 : std::min(bits, high);
  }
  const u64 high = (u64{1} << (width - 1)) - 1;
  if (negative) {
    const auto low = -static_cast<s64>(high) - 1;
    return static_cast<u64>(std::max(static_cast<s64>(bits), low));
  }
  return std::min(bits, high);
}

/// Any cvt with one source. The source's type is in `extra`, the result's in `type`; the result is
/// extended to the width of its register.
void convert_run(Warp& w, const Instruction& in) {
  const auto from = static_cast<Type>(in.extra);
  const bool from_float = ptx::is_float(from), to_float_type = ptx::is_float(in.type);
  const u64 register_mask = in.dst[0].wide ? ~u64{0} : 0xFFFFFFFFu;
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    const u64 bits = extended(from, w.value(in.src[0], lane));
    u64 out = 0;
    if (from_float && to_float_type) {
      out = float_to_float(in, from, bits);
    } else if (from_float) {
      out = extended(in.type, float_to_integer(in, from, bits));
    } else if (to_float_type) {
      out = integer_to_float(in, from, bits);
    } else {
      out =
          extended(in.type, (in.flags & kSat) != 0 ? saturated_integer(from, in.type, bits) : bits);
    }
    u64 mask = register_mask;
    if (in.lanes == 2) mask = 0xFFFF;  // a 16-bit register
    w.set_value(in.dst[0], lane, out & mask);
  }
}

/// Definedness of integer conversions: bits stay, the sign spreads.
void convert_shadow(Warp& w, const Instruction& in) {
  const auto from = static_cast<Type>(in.extra);
  const u64 register_mask = in.lanes == 2 ? 0xFFFFu : in.dst[0].wide ? ~u64{0} : 0xFFFFFFFFu;
  const bool spoils = ptx::is_float(from) || ptx::is_float(in.type) || (in.flags & kSat) != 0;
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    const u64 from_bits = extended(from, w.undefined_bits(in.src[0], lane));
    u64 out = extended(in.type, from_bits);
    if (spoils) out = from_bits != 0 ? ~u64{0} : 0;
    w.set_undefined(in.dst[0], lane, out & register_mask);
  }
}

u32 packed_half(Type type, float x, const Instruction& in) {
  double value = double{x};
  if ((in.flags & kRelu) != 0 && (value < 0 || (value == 0 && std::signbit(value)))) value = 0;
  if (in.mode == 0 && (in.flags & (kSat | kSatFinite)) == 0) {
    const auto single = static_cast<float>(value);
    return type == Type::f16x2 ? to_half(single).bits : to_bf16(single).bits;
  }
  const Format& format = type == Type::f16x2 ? kHalfFormat : kBf16Format;
  if ((in.flags & kSat) != 0) value = saturate(value);
  value = round_to(value, format, static_cast<Rounding>(in.mode));
  if ((in.flags & kSatFinite) != 0 && std::isinf(value)) {
    value = std::copysign(std::ldexp(2.0 - std::ldexp(1.0, -format.mantissa), format.max_exponent),
                          value);
  }
  return static_cast<u32>(bits_of(type == Type::f16x2 ? Type::f16 : Type::bf16, value));
}

/// cvt.f16x2.f32 d, a, b: a becomes the upper half.
void pack_run(Warp& w, const Instruction& in) {
  const u32* a = w.words(in.src[0]);
  const u32* b = w.words(in.src[1]);
  alignas(64) u32 out[32];
  if (in.flags == 0 && in.mode == 0) {
    if (in.type == Type::f16x2) {
      for (int i = 0; i < 32; ++i) {
        out[i] = u32{to_half(std::bit_cast<float>(a[i])).bits} << 16 |
                 to_half(std::bit_cast<float>(b[i])).bits;
      }
    } else {
      for (int i = 0; i < 32; ++i) {
        out[i] = u32{to_bf16(std::bit_cast<float>(a[i])).bits} << 16 |
                 to_bf16(std::bit_cast<float>(b[i])).bits;
      }
    }
  } else {
    for (int i = 0; i < 32; ++i) {
      out[i] = packed_half(in.type, std::bit_cast<float>(a[i]), in) << 16 |
               packed_half(in.type, std::bit_cast<float>(b[i]), in);
    }
  }
  commit(w, in.dst[0], out);
}

void pack_shadow(Warp& w, const Instruction& in) {
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    const u64 high = w.undefined_bits(in.src[0], lane) != 0 ? u64{0xFFFF0000} : 0;
    const u64 low = w.undefined_bits(in.src[1], lane) != 0 ? u64{0xFFFF} : 0;
    w.set_undefined(in.dst[0], lane, high | low);
  }
}

/// e4m3x2 and e5m2x2 from two floats, from f16x2; and back to f16x2.
void fp8_pack_run(Warp& w, const Instruction& in) {
  const bool e4m3 = in.type == Type::e4m3x2;
  const bool relu = (in.flags & kRelu) != 0;
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    float high, low;
    if (in.src_count == 2) {
      high = std::bit_cast<float>(w.words(in.src[0])[lane]);
      low = std::bit_cast<float>(w.words(in.src[1])[lane]);
    } else {
      const u32 pair = w.words(in.src[0])[lane];
      high = to_float(Half{static_cast<u16>(pair >> 16)});
      low = to_float(Half{static_cast<u16>(pair)});
    }
    const auto cut = [&](float x) { return relu && x < 0 ? 0.0f : x; };
    w.set_value(in.dst[0], lane, u64{to_fp8(cut(high), e4m3)} << 8 | to_fp8(cut(low), e4m3));
  }
}

void fp8_unpack_run(Warp& w, const Instruction& in) {
  const bool e4m3 = static_cast<Type>(in.extra) == Type::e4m3x2;
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    const u32 pair = w.words(in.src[0])[lane];
    const auto half = [&](u32 byte) {
      return u32{to_half(from_fp8(static_cast<u8>(byte), e4m3)).bits};
    };
    w.set_value(in.dst[0], lane, half(pair >> 8 & 0xFF) << 16 | half(pair & 0xFF));
  }
}

void take_rounding(Decoder& d) {
  static constexpr std::string_view kPlain[] = {"rn", "rz", "rm", "rp", "rna"};
  static constexpr std::string_view kInteger[] = {"rni", "rzi", "rmi", "rpi"};
  for (u8 i = 0; i < 5; ++i) {
    if (d.accept(kPlain[i])) d.in().mode = i;
  }
  for (u8 i = 0; i < 4; ++i) {
    if (d.accept(kInteger[i])) {
      d.in().mode = i;
      d.in().flags |= kToInteger;
    }
  }
}

/// The frequent conversions of integers, vectorised; nullptr for others.
Run fast_integer(Type to, Type from, const Ref& dst, const Ref& src) {
  if (dst.wide && !src.wide && ptx::bytes_of(to) == 8) {
    if (from == Type::s32)
      return lanewise<u64(s32)>([](s32 a) { return static_cast<u64>(s64{a}); });
    if (from == Type::u32) return lanewise<u64(u32)>([](u32 a) { return u64{a}; });
  }
  if (!dst.wide && src.wide && ptx::bytes_of(to) == 4 && ptx::bytes_of(from) == 8) {
    return lanewise<u32(u64)>([](u64 a) { return static_cast<u32>(a); });
  }
  return nullptr;
}

Run fast_float(const Instruction& in, Type to, Type from) {
  if (in.flags != 0 || in.mode != 0) return nullptr;
  if (to == Type::f32 && from == Type::f16)
    return lanewise<float(Half)>([](Half a) { return to_float(a); });
  if (to == Type::f32 && from == Type::bf16)
    return lanewise<float(Bf16)>([](Bf16 a) { return to_float(a); });
  if (to == Type::f16 && from == Type::f32)
    return lanewise<Half(float)>([](float a) { return to_half(a); });
  if (to == Type::bf16 && from == Type::f32)
    return lanewise<Bf16(float)>([](float a) { return to_bf16(a); });
  if (to == Type::f32 && from == Type::s32)
    return lanewise<float(s32)>([](s32 a) { return static_cast<float>(a); });
  return nullptr;
}

void decode_cvt(Decoder& d) {
  if (d.accept("pack")) return decode_integer_pack(d);
  Instruction& in = d.in();
  take_rounding(d);
  if (d.accept("ftz")) in.flags |= kFtz;
  if (d.accept("satfinite")) in.flags |= kSatFinite;
  if (d.accept("sat")) in.flags |= kSat;
  if (d.accept("relu")) in.flags |= kRelu;
  const Type to = d.take_type();
  const Type from = d.take_type();
  in.type = to;
  in.extra = static_cast<u32>(from);
  if (to == Type::f16x2 && (from == Type::e4m3x2 || from == Type::e5m2x2)) {
    d.dst(0, Type::b32);
    d.src(1, Type::b16);
    in.bytes = 4;
    return d.set(fp8_unpack_run, shadow::any);
  }
  if (to == Type::e4m3x2 || to == Type::e5m2x2) {
    d.dst(0, Type::b16);
    d.src(1, Type::b32);
    if (from == Type::f32) d.src(2, Type::b32);
    in.bytes = 2;
    return d.set(fp8_pack_run, shadow::any);
  }
  if (to == Type::f16x2 || to == Type::bf16x2) {
    if (from != Type::f32) throw Unsupported("conversion of this pair");
    d.dst(0, Type::b32);
    d.src(1, Type::f32);
    d.src(2, Type::f32);
    return d.set(pack_run, pack_shadow);
  }
  if (ptx::bytes_of(to) == 0 || ptx::bytes_of(from) == 0 || to == Type::b128 ||
      from == Type::b128) {
    throw Unsupported("conversion between these types");
  }
  d.dst_any(d.operand(0));
  d.src_any(d.operand(1), from);
  const Ref dst = d.last_dst(), src = d.last_src();
  // in a 16-bit register nothing lies above bit 15
  in.lanes = ptx::bytes_of(d.register_type(d.operand(0))) == 2 ? 2 : 1;
  Run run = convert_run;
  if (in.flags == 0 && !ptx::is_float(to) && !ptx::is_float(from)) {
    if (const Run fast = fast_integer(to, from, dst, src)) run = fast;
  } else if (!src.wide && !dst.wide) {
    if (const Run fast = fast_float(in, to, from)) run = fast;
  }
  d.set(run, convert_shadow);
}

}  // namespace

void register_convert(Registry& r) { r.add("cvt", decode_cvt); }

}  // namespace gpu::ops
