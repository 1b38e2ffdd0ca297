#include <bit>

#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"

namespace gpu::ops {
namespace {

using ptx::Type;

void decode_popc(Decoder& d) {
  const Type type = d.take_type();
  d.dst(0, Type::u32);
  d.src(1, type);
  d.set(type == Type::b64
            ? lanewise<u32(u64)>([](u64 a) { return static_cast<u32>(std::popcount(a)); })
            : lanewise<u32(u32)>([](u32 a) { return static_cast<u32>(std::popcount(a)); }),
        shadow::any);
}

void decode_clz(Decoder& d) {
  const Type type = d.take_type();
  d.dst(0, Type::u32);
  d.src(1, type);
  d.set(type == Type::b64
            ? lanewise<u32(u64)>([](u64 a) { return static_cast<u32>(std::countl_zero(a)); })
            : lanewise<u32(u32)>([](u32 a) { return static_cast<u32>(std::countl_zero(a)); }),
        shadow::any);
}

/// Position of the most significant bit that differs from the sign; -1 if there is none. With
/// .shiftamt the distance from the top instead.
template <class T>
u32 find_bit(T value, bool shift_amount) {
  using U = std::make_unsigned_t<T>;
  U bits = static_cast<U>(value);
  if (std::is_signed_v<T> && value < 0) bits = static_cast<U>(~bits);
  if (bits == 0) return ~0u;
  const auto zeros = static_cast<u32>(std::countl_zero(bits));
  return shift_amount ? zeros : static_cast<u32>(8 * sizeof(T)) - 1 - zeros;
}

template <class T>
Run bfind_run(bool shift_amount) {
  return shift_amount ? lanewise<u32(T)>([](T a) { return find_bit(a, true); })
                      : lanewise<u32(T)>([](T a) { return find_bit(a, false); });
}

void decode_bfind(Decoder& d) {
  const bool shift = d.accept("shiftamt");
  const Type type = d.take_type();
  d.dst(0, Type::u32);
  d.src(1, type);
  switch (type) {
    case Type::u32:
      return d.set(bfind_run<u32>(shift), shadow::any);
    case Type::s32:
      return d.set(bfind_run<s32>(shift), shadow::any);
    case Type::u64:
      return d.set(bfind_run<u64>(shift), shadow::any);
    case Type::s64:
      return d.set(bfind_run<s64>(shift), shadow::any);
    default:
      throw Unsupported("bfind needs an integer type");
  }
}

template <class T>
T reversed(T a) {
  T out = 0;
  for (unsigned i = 0; i < 8 * sizeof(T); ++i) out = static_cast<T>(out << 1 | (a >> i & 1));
  return out;
}

void decode_brev(Decoder& d) {
  const Type type = d.take_type();
  take_operands(d, type, 1);
  d.in().bytes = type == Type::b64 ? 8 : 4;
  d.set(type == Type::b64 ? lanewise<u64(u64)>([](u64 a) { return reversed(a); })
                          : lanewise<u32(u32)>([](u32 a) { return reversed(a); }),
        shadow::reverse);
}

/// PTX manual, "bfe".
template <class T>
T extract(T a, u32 b, u32 c) {
  using U = std::make_unsigned_t<T>;
  constexpr u32 kMsb = 8 * sizeof(T) - 1;
  const u32 position = b & 0xFF;
  const u32 length = c & 0xFF;
  const U bits = static_cast<U>(a);
  const bool is_signed = std::is_signed_v<T>;
  bool sign = false;
  if (is_signed && length != 0) {
    sign = (bits >> std::min(position + length - 1, kMsb) & 1) != 0;
  }
  U field = position > kMsb ? 0 : static_cast<U>(bits >> position);
  const u32 present = position > kMsb ? 0 : std::min(length, kMsb + 1 - position);
  const U mask = present > kMsb ? ~U{0} : static_cast<U>((U{1} << present) - 1);
  field &= mask;
  return static_cast<T>(sign ? field | ~mask : field);
}

void decode_bfe(Decoder& d) {
  const Type type = d.take_type();
  d.dst(0, type);
  d.src(1, type);
  d.src(2, Type::u32);
  d.src(3, Type::u32);
  d.in().type = type;
  d.in().bytes = static_cast<u8>(ptx::bytes_of(type));
  const auto set = [&](Run run) { d.set(run, shadow::extract); };
  switch (type) {
    case Type::u32:
      return set(
          lanewise<u32(u32, u32, u32)>([](u32 a, u32 b, u32 c) { return extract(a, b, c); }));
    case Type::s32:
      return set(
          lanewise<s32(s32, u32, u32)>([](s32 a, u32 b, u32 c) { return extract(a, b, c); }));
    case Type::u64:
      return set(
          lanewise<u64(u64, u32, u32)>([](u64 a, u32 b, u32 c) { return extract(a, b, c); }));
    case Type::s64:
      return set(
          lanewise<s64(s64, u32, u32)>([](s64 a, u32 b, u32 c) { return extract(a, b, c); }));
    default:
      throw Unsupported("bfe needs an integer type");
  }
}

template <class T>
T inserted(T a, T b, u32 c, u32 e) {
  constexpr u32 kBits = 8 * sizeof(T);
  const u32 position = c & 0xFF;
  const u32 length = e & 0xFF;
  if (length == 0 || position >= kBits) return b;
  const T ones = length >= kBits ? ~T{0} : (T{1} << length) - 1;
  const T field = ones << position;
  return (b & ~field) | ((a << position) & field);
}

void decode_bfi(Decoder& d) {
  const Type type = d.take_type();
  d.dst(0, type);
  d.src(1, type);
  d.src(2, type);
  d.src(3, Type::u32);
  d.src(4, Type::u32);
  d.in().bytes = static_cast<u8>(ptx::bytes_of(type));
  d.set(type == Type::b64 ? lanewise<u64(u64, u64, u32, u32)>(
                                [](u64 a, u64 b, u32 c, u32 e) { return inserted(a, b, c, e); })
                          : lanewise<u32(u32, u32, u32, u32)>(
                                [](u32 a, u32 b, u32 c, u32 e) { return inserted(a, b, c, e); }),
        shadow::insert);
}

/// PTX manual, "fns": position of the offset-th set bit from base upward (downward if negative).
u32 find_nth(u32 mask, u32 base, s32 offset) {
  if (offset == 0) return (mask >> (base & 31) & 1) != 0 ? base : ~0u;
  const s32 step = offset > 0 ? 1 : -1;
  s32 left = offset > 0 ? offset : -offset;
  for (s32 at = static_cast<s32>(base & 31); at >= 0 && at < 32; at += step) {
    if ((mask >> at & 1) != 0 && --left == 0) return static_cast<u32>(at);
  }
  return ~0u;
}

void decode_fns(Decoder& d) {
  d.expect("b32");
  take_operands(d, Type::b32, 3);
  d.set(lanewise<u32(u32, u32, s32)>([](u32 m, u32 b, s32 o) { return find_nth(m, b, o); }),
        shadow::any);
}

/// mul24 and mad24: products of the low 24 bits.
template <bool adds>
void decode_24(Decoder& d) {
  const bool high = d.accept("hi");
  if (!high) d.expect("lo");
  const Type type = d.take_type();
  take_operands(d, type, adds ? 3 : 2);
  if (type != Type::u32 && type != Type::s32)
    throw Unsupported("24-bit products are of 32-bit types");
  d.in().mode = static_cast<u8>((high ? 1 : 0) | (type == Type::s32 ? 2 : 0));
  d.set(
      [](Warp& w, const Instruction& in) {
        const auto product = [&](u32 a, u32 b) {
          const bool is_signed = (in.mode & 2) != 0;
          const s64 x = is_signed ? s64{static_cast<s32>(a << 8) >> 8} : s64{a & 0xFFFFFF};
          const s64 y = is_signed ? s64{static_cast<s32>(b << 8) >> 8} : s64{b & 0xFFFFFF};
          return static_cast<u32>((in.mode & 1) != 0 ? x * y >> 16 : x * y);
        };
        if constexpr (adds) {
          each_active<u32, u32, u32, u32>(w, in,
                                          [&](u32 a, u32 b, u32 c) { return product(a, b) + c; });
        } else {
          each_active<u32, u32, u32>(w, in, product);
        }
      },
      shadow::any);
}

template <class T>
T distance(T a, T b, T c) {
  using U = std::make_unsigned_t<T>;
  const U apart =
      a < b ? static_cast<U>(b) - static_cast<U>(a) : static_cast<U>(a) - static_cast<U>(b);
  return static_cast<T>(static_cast<U>(apart + static_cast<U>(c)));
}

void decode_sad(Decoder& d) {
  const Type type = d.take_type();
  take_operands(d, type, 3);
  switch (type) {
    case Type::u16:
      return d.set(lanewise<u16(u16, u16, u16)>([](u16 a, u16 b, u16 c) {
                     return static_cast<u16>((a < b ? b - a : a - b) + c);
                   }),
                   shadow::any);
    case Type::u32:
      return d.set(
          lanewise<u32(u32, u32, u32)>([](u32 a, u32 b, u32 c) { return distance(a, b, c); }),
          shadow::any);
    case Type::s32:
      return d.set(
          lanewise<s32(s32, s32, s32)>([](s32 a, s32 b, s32 c) { return distance(a, b, c); }),
          shadow::any);
    case Type::u64:
      return d.set(
          lanewise<u64(u64, u64, u64)>([](u64 a, u64 b, u64 c) { return distance(a, b, c); }),
          shadow::any);
    case Type::s64:
      return d.set(
          lanewise<s64(s64, s64, s64)>([](s64 a, s64 b, s64 c) { return distance(a, b, c); }),
          shadow::any);
    default:
      throw Unsupported("sad of this type");
  }
}

/// dp4a and dp2a: sums of products of bytes (dp2a: halves of a by two bytes of b).
template <int parts>
void decode_dot(Decoder& d) {
  const bool high = parts == 2 && d.accept("hi");
  if (parts == 2 && !high) d.expect("lo");
  const Type a = d.take_type();
  const Type b = d.take_type();
  d.dst(0, Type::b32);
  for (std::size_t i = 1; i < 4; ++i) d.src(i, Type::b32);
  d.in().mode =
      static_cast<u8>((a == Type::s32 ? 1 : 0) | (b == Type::s32 ? 2 : 0) | (high ? 4 : 0));
  d.set(
      [](Warp& w, const Instruction& in) {
        each_active<u32, u32, u32, u32>(w, in, [&](u32 x, u32 y, u32 c) {
          s64 sum = 0;
          for (int i = 0; i < parts; ++i) {
            const int bits = 32 / parts;
            const u32 left = x >> (bits * i) & (parts == 4 ? 0xFFu : 0xFFFFu);
            const u32 right = y >> (8 * i + ((in.mode & 4) != 0 ? 16 : 0)) & 0xFFu;
            const s64 l = (in.mode & 1) == 0 ? s64{left}
                          : parts == 4       ? s64{static_cast<s8>(left)}
                                             : s64{static_cast<s16>(left)};
            const s64 r = (in.mode & 2) == 0 ? s64{right} : s64{static_cast<s8>(right)};
            sum += l * r;
          }
          return static_cast<u32>(sum) + c;
        });
      },
      shadow::any);
}

/// bmsk.clamp|wrap.b32: a mask of b bits from position a.
void decode_bmsk(Decoder& d) {
  const bool wraps = d.accept("wrap");
  if (!wraps) d.expect("clamp");
  d.expect("b32");
  take_operands(d, Type::b32, 2);
  d.set(wraps ? lanewise<u32(u32, u32)>([](u32 a, u32 b) {
          return static_cast<u32>(((u64{1} << (b & 31)) - 1) << (a & 31));
        })
              : lanewise<u32(u32, u32)>([](u32 a, u32 b) {
                  return a >= 32 ? 0u : static_cast<u32>(((u64{1} << std::min(b, 32u)) - 1) << a);
                }),
        shadow::any);
}

/// addc, subc and the .cc forms keep the carry in a hidden predicate.
template <bool subtracts, bool takes_carry, bool multiplies>
void carry_run(Warp& w, const Instruction& in) {
  const bool wide = in.dst[0].wide;
  const int carry_source = in.src_count - 1;
  u32 carries = 0;
  const u32 incoming = takes_carry ? w.predicate(in.src[carry_source]) : 0;
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    unsigned __int128 a = w.value(in.src[0], lane);
    unsigned __int128 b = w.value(in.src[1], lane);
    if constexpr (multiplies) {
      const unsigned bits = wide ? 64 : 32;
      const bool is_signed = ptx::is_signed(in.type);
      unsigned __int128 product = a * b;
      if (is_signed) {
        const __int128 x = wide ? __int128{static_cast<s64>(a)} : __int128{static_cast<s32>(a)};
        const __int128 y = wide ? __int128{static_cast<s64>(b)} : __int128{static_cast<s32>(b)};
        product = static_cast<unsigned __int128>(x * y);
      }
      if ((in.mode & 1) != 0) product >>= bits;
      a = product & (wide ? ~u64{0} : u64{0xFFFFFFFF});
      b = w.value(in.src[2], lane);
    }
    const u64 c = incoming >> lane & 1;
    const unsigned __int128 result = subtracts ? a - b - c : a + b + c;
    w.set_value(in.dst[0], lane, static_cast<u64>(result));
    carries |= static_cast<u32>(result >> (wide ? 64 : 32) & 1) << lane;
  }
  if (in.dst_count > 1) w.set_predicate(in.dst[1], carries);
}

void carry_shadow(Warp& w, const Instruction& in) {
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    u64 bits = 0;
    for (int i = 0; i < in.src_count; ++i) bits |= w.undefined_bits(in.src[i], lane);
    for (int i = 0; i < in.dst_count; ++i) {
      w.set_undefined(in.dst[i], lane, bits == 0 ? 0 : ~u64{0} >> (in.dst[i].wide ? 0 : 32));
    }
  }
}

}  // namespace

// used by arithmetic.cpp's add, sub and mad too, where they have .cc
void decode_carry(Decoder& d, bool subtracts, bool takes, bool multiplies, Type type) {
  const bool sets = d.accept("cc");
  if (multiplies) {
    d.in().mode = d.accept("hi") ? 1 : 0;
    if (d.in().mode == 0) d.expect("lo");
  }
  d.in().type = type;
  take_operands(d, type, multiplies ? 3 : 2);
  if (takes) d.src_ref(d.carry());
  if (sets) d.dst_ref(d.carry());
  const Run run =
      multiplies  ? (takes ? carry_run<false, true, true> : carry_run<false, false, true>)
      : subtracts ? (takes ? carry_run<true, true, false> : carry_run<true, false, false>)
                  : (takes ? carry_run<false, true, false> : carry_run<false, false, false>);
  d.set(run, carry_shadow);
}

void register_integer(Registry& r) {
  r.add("popc", decode_popc);
  r.add("clz", decode_clz);
  r.add("bfind", decode_bfind);
  r.add("brev", decode_brev);
  r.add("bfe", decode_bfe);
  r.add("bfi", decode_bfi);
  r.add("fns", decode_fns);
  r.add("mul24", decode_24<false>);
  r.add("mad24", decode_24<true>);
  r.add("sad", decode_sad);
  r.add("dp4a", decode_dot<4>);
  r.add("dp2a", decode_dot<2>);
  r.add("bmsk", decode_bmsk);
  r.add("addc", [](Decoder& d) { decode_carry(d, false, true, false, d.take_type()); });
  r.add("subc", [](Decoder& d) { decode_carry(d, true, true, false, d.take_type()); });
  r.add("madc", [](Decoder& d) { decode_carry(d, false, true, true, d.take_type()); });
}

}  // namespace gpu::ops
