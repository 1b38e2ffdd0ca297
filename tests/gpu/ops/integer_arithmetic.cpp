#include <algorithm>
#include <limits>

#include "gpu/ops/arithmetic.hpp"

namespace gpu::ops {
namespace {

/// Arithmetic modulo 2^n, without the undefined overflow of signed types.
template <class T>
using Wrapping = std::make_unsigned_t<T>;

template <class T>
using Twice = std::conditional_t<
    sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, s32, u32>,
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, s64, u64>,
                       std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;

template <class T>
T low_product(T a, T b) {
  if constexpr (sizeof(T) == 2) return static_cast<T>(static_cast<u32>(a) * static_cast<u32>(b));
  return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
}

template <class T>
T high_product(T a, T b) {
  return static_cast<T>((Twice<T>{a} * Twice<T>{b}) >> (8 * sizeof(T)));
}

template <class T>
T sum(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
}

template <class T>
T difference(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) - static_cast<Wrapping<T>>(b));
}

/// Division by zero gives all ones, as hardware does; the PTX manual leaves it open.
template <class T>
T quotient(T a, T b) {
  if (b == 0) return static_cast<T>(~Wrapping<T>{0});
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return difference<T>(0, a);
  }
  return static_cast<T>(a / b);
}

template <class T>
T remainder(T a, T b) {
  if (b == 0) return a;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
  }
  return static_cast<T>(a % b);
}

s32 saturated(s64 x) {
  return static_cast<s32>(x > std::numeric_limits<s32>::max()   ? std::numeric_limits<s32>::max()
                          : x < std::numeric_limits<s32>::min() ? std::numeric_limits<s32>::min()
                                                                : x);
}

/// .min and .max; .relu cuts off what is negative.
template <bool least, bool relu, class T>
T extreme(T a, T b) {
  const T out = (a < b) == least ? a : b;
  return relu ? std::max(out, T{0}) : out;
}

template <class T, bool least>
Run extreme_run(bool relu) {
  return relu ? lanewise<T(T, T)>([](T a, T b) { return extreme<least, true>(a, b); })
              : lanewise<T(T, T)>([](T a, T b) { return extreme<least, false>(a, b); });
}

/// An operation on the halves of 32-bit words.
template <class T, class F>
Run pair_run(F) {
  return lanewise<u32(u32, u32)>([](u32 a, u32 b) {
    const auto half = [&](int shift) {
      const T out = F{}(static_cast<T>(a >> shift), static_cast<T>(b >> shift));
      return u32{static_cast<u16>(out)} << shift;
    };
    return half(0) | half(16);
  });
}

template <class T, bool least>
Run extreme_pair_run(bool relu) {
  return relu ? pair_run<T>([](T a, T b) { return extreme<least, true>(a, b); })
              : pair_run<T>([](T a, T b) { return extreme<least, false>(a, b); });
}

/// .u16x2 and .s16x2
template <class T>
void decode_pair(Decoder& d, Arithmetic op) {
  take_operands(d, ptx::Type::b32, 2);
  const bool relu = std::is_signed_v<T> && op != Arithmetic::add && d.accept("relu");
  switch (op) {
    case Arithmetic::add:
      return d.set(pair_run<T>([](T a, T b) { return sum(a, b); }), shadow::any_half);
    case Arithmetic::min:
      return d.set(extreme_pair_run<T, true>(relu), shadow::any_half);
    case Arithmetic::max:
      return d.set(extreme_pair_run<T, false>(relu), shadow::any_half);
    default:
      throw Unsupported("no such operation on packed integers");
  }
}

template <class T>
void decode_plain(Decoder& d, Arithmetic op, ptx::Type type) {
  take_operands(d, type, sources_of(op));
  d.in().type = type;
  d.in().bytes = sizeof(T);
  switch (op) {
    case Arithmetic::add:
      if constexpr (std::is_same_v<T, s32>) {
        if (d.accept("sat")) {
          return d.set(lanewise<T(T, T)>([](T a, T b) { return saturated(s64{a} + b); }),
                       shadow::any);
        }
      }
      return d.set(lanewise<T(T, T)>([](T a, T b) { return sum(a, b); }), shadow::add);
    case Arithmetic::sub:
      if constexpr (std::is_same_v<T, s32>) {
        if (d.accept("sat")) {
          return d.set(lanewise<T(T, T)>([](T a, T b) { return saturated(s64{a} - b); }),
                       shadow::any);
        }
      }
      return d.set(lanewise<T(T, T)>([](T a, T b) { return difference(a, b); }), shadow::sub);
    case Arithmetic::div:
      return d.set(lanewise<T(T, T)>([](T a, T b) { return quotient(a, b); }), shadow::any);
    case Arithmetic::rem:
      return d.set(lanewise<T(T, T)>([](T a, T b) { return remainder(a, b); }), shadow::any);
    case Arithmetic::min:
      return d.set(extreme_run<T, true>(std::is_same_v<T, s32> && d.accept("relu")), shadow::any);
    case Arithmetic::max:
      return d.set(extreme_run<T, false>(std::is_same_v<T, s32> && d.accept("relu")), shadow::any);
    case Arithmetic::abs:
      return d.set(lanewise<T(T)>([](T a) { return a < 0 ? difference<T>(0, a) : a; }),
                   shadow::any);
    case Arithmetic::neg:
      return d.set(lanewise<T(T)>([](T a) { return difference<T>(0, a); }), shadow::smear);
    default:
      throw Unsupported("no such integer operation");
  }
}

/// mul and mad, .lo .hi .wide
template <class T>
void decode_product(Decoder& d, Arithmetic op, ptx::Type type, ptx::Type wide_type) {
  const bool adds = op == Arithmetic::mad;
  d.in().type = type;
  d.in().bytes = sizeof(T);
  if constexpr (sizeof(T) < 8) {
    using W = Twice<T>;
    if (d.accept("wide")) {
      d.in().bytes = sizeof(W);
      d.dst(0, wide_type);
      d.src(1, type);
      d.src(2, type);
      if (adds) d.src(3, wide_type);
      const Run run =
          adds ? lanewise<W(T, T, W)>([](T a, T b, W c) { return sum<W>(W{a} * W{b}, c); })
               : lanewise<W(T, T)>([](T a, T b) { return static_cast<W>(W{a} * W{b}); });
      // the sign extension of an undefined upper bit reaches everything above: smearing covers it
      return d.set(run, shadow::multiply);
    }
  }
  take_operands(d, type, adds ? 3 : 2);
  if (d.accept("hi")) {
    if (d.accept("sat")) throw Unsupported("mad.hi.sat");
    const Run run =
        adds ? lanewise<T(T, T, T)>([](T a, T b, T c) { return sum(high_product(a, b), c); })
             : lanewise<T(T, T)>([](T a, T b) { return high_product(a, b); });
    return d.set(run, shadow::any);
  }
  d.expect("lo");
  const Run run =
      adds ? lanewise<T(T, T, T)>([](T a, T b, T c) { return sum(low_product(a, b), c); })
           : lanewise<T(T, T)>([](T a, T b) { return low_product(a, b); });
  d.set(run, shadow::multiply);
}

}  // namespace

void decode_integer(Decoder& d, Arithmetic op, ptx::Type type) {
  using ptx::Type;
  if (op == Arithmetic::mul || op == Arithmetic::mad) {
    switch (type) {
      case Type::u16:
        return decode_product<u16>(d, op, type, Type::u32);
      case Type::s16:
        return decode_product<s16>(d, op, type, Type::s32);
      case Type::u32:
        return decode_product<u32>(d, op, type, Type::u64);
      case Type::s32:
        return decode_product<s32>(d, op, type, Type::s64);
      case Type::u64:
        return decode_product<u64>(d, op, type, Type::none);
      case Type::s64:
        return decode_product<s64>(d, op, type, Type::none);
      default:
        throw Unsupported("mul and mad need an integer type");
    }
  }
  switch (type) {
    case Type::u16:
      return decode_plain<u16>(d, op, type);
    case Type::s16:
      return decode_plain<s16>(d, op, type);
    case Type::u32:
    case Type::b32:
      return decode_plain<u32>(d, op, type);
    case Type::s32:
      return decode_plain<s32>(d, op, type);
    case Type::u64:
    case Type::b64:
      return decode_plain<u64>(d, op, type);
    case Type::s64:
      return decode_plain<s64>(d, op, type);
    case Type::u16x2:
      return decode_pair<u16>(d, op);
    case Type::s16x2:
      return decode_pair<s16>(d, op);
    default:
      throw Unsupported("no arithmetic on type ." + std::string(ptx::to_string(type)));
  }
}

}  // namespace gpu::ops
