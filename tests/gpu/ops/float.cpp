#include <cfenv>

#include "gpu/ops/arithmetic.hpp"

namespace gpu::ops {
namespace {

enum Flag : u8 { kFtz = 1, kSat = 2, kNan = 4, kXorSign = 8 };

template <class T>
[[gnu::always_inline]] inline T canonical(T x) {
  if constexpr (sizeof(T) == 4) {
    return x != x ? std::bit_cast<float>(kNan32) : x;
  } else {
    return x;
  }
}

template <bool ftz, class T>
[[gnu::always_inline]] inline T flushed(T x) {
  if constexpr (ftz && sizeof(T) == 4) return flush(x);
  return x;
}

template <Arithmetic op, class T>
[[gnu::always_inline]] inline T compute(T a, T b, [[maybe_unused]] T c) {
  if constexpr (op == Arithmetic::add) return a + b;
  if constexpr (op == Arithmetic::sub) return a - b;
  if constexpr (op == Arithmetic::mul) return a * b;
  if constexpr (op == Arithmetic::div) return a / b;
  if constexpr (op == Arithmetic::sqrt) return std::sqrt(a);
  if constexpr (op == Arithmetic::rcp) return T{1} / a;
  if constexpr (op == Arithmetic::fma) {
    if constexpr (sizeof(T) == 4) {
      return __builtin_fmaf(a, b, c);
    } else {
      return __builtin_fma(a, b, c);
    }
  }
  return T{};
}

/// Round to nearest, without .sat: what nearly all code uses.
template <Arithmetic op, class T, bool ftz>
Run nearest_run() {
  const auto f = [](T a, T b, T c) {
    return flushed<ftz>(
        canonical(compute<op, T>(flushed<ftz>(a), flushed<ftz>(b), flushed<ftz>(c))));
  };
  using F = decltype(f);
  if constexpr (op == Arithmetic::fma) {
    return lanewise<T(T, T, T)>(f);
  } else if constexpr (op == Arithmetic::sqrt || op == Arithmetic::rcp) {
    return lanewise<T(T)>([](T a) { return F{}(a, a, a); });
  } else {
    return lanewise<T(T, T)>([](T a, T b) { return F{}(a, b, a); });
  }
}

/// Every rounding, with .sat: by the host's rounding mode, one lane at a time.
template <Arithmetic op, class T>
void directed_run(Warp& w, const Instruction& in) {
  static constexpr int kModes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
  const bool ftz = (in.flags & kFtz) != 0;
  const auto apply = [&](T a, T b, T c) {
    volatile T x = ftz ? flushed<true>(a) : a;
    volatile T y = ftz ? flushed<true>(b) : b;
    volatile T z = ftz ? flushed<true>(c) : c;
    std::fesetround(kModes[in.mode]);
    volatile T result = compute<op, T>(x, y, z);
    std::fesetround(FE_TONEAREST);
    T out = canonical<T>(result);
    if (ftz) out = flushed<true>(out);
    return (in.flags & kSat) != 0 ? saturate<T>(out) : out;
  };
  if constexpr (op == Arithmetic::fma) {
    each_active<T, T, T, T>(w, in, apply);
  } else if constexpr (op == Arithmetic::sqrt || op == Arithmetic::rcp) {
    each_active<T, T>(w, in, [&](T a) { return apply(a, a, a); });
  } else {
    each_active<T, T, T>(w, in, [&](T a, T b) { return apply(a, b, a); });
  }
}

template <Arithmetic op, class T>
Run arithmetic_run(const Instruction& in) {
  if (in.mode != 0 || (in.flags & kSat) != 0) return directed_run<op, T>;
  return (in.flags & kFtz) != 0 ? nearest_run<op, T, true>() : nearest_run<op, T, false>();
}

template <class T>
T least(T a, T b, bool larger, u8 flags) {
  using Bits = std::conditional_t<sizeof(T) == 4, u32, u64>;
  constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
  const Bits sign = (std::bit_cast<Bits>(a) ^ std::bit_cast<Bits>(b)) & kSign;
  if ((flags & kXorSign) != 0) {
    a = std::fabs(a);
    b = std::fabs(b);
  }
  T out;
  if (a != a || b != b) {
    out = (flags & kNan) != 0 || (a != a && b != b) ? canonical(a + b) : a != a ? b : a;
  } else if (a == b) {  // -0 is below +0
    out = std::signbit(a) != larger ? a : b;
  } else {
    out = (a < b) != larger ? a : b;
  }
  if ((flags & kXorSign) != 0 && out == out) {
    out = std::bit_cast<T>((std::bit_cast<Bits>(out) & ~kSign) | sign);
  }
  return out;
}

template <class T, bool larger>
void least_run(Warp& w, const Instruction& in) {
  const auto apply = [&](T a, T b) {
    const bool ftz = (in.flags & kFtz) != 0;
    return least(ftz ? flushed<true>(a) : a, ftz ? flushed<true>(b) : b, larger, in.flags);
  };
  if (in.src_count == 3) {
    each_active<T, T, T, T>(w, in, [&](T a, T b, T c) { return apply(apply(a, b), c); });
  } else {
    each_active<T, T, T>(w, in, apply);
  }
}

/// The common case, without modifiers: vectorised.
template <class T, bool larger>
Run plain_least_run() {
  return lanewise<T(T, T)>([](T a, T b) {
    const bool first = larger ? a > b : a < b;
    const bool equal_first = a == b && std::signbit(a) != larger;
    const T chosen = first || equal_first ? a : b;
    const T with_nan = a != a ? b : b != b ? a : chosen;
    return canonical(with_nan);
  });
}

template <class T>
void decode_typed(Decoder& d, Arithmetic op, ptx::Type type) {
  Instruction& in = d.in();
  const int rounding = d.accept_one({"rn", "rz", "rm", "rp"});
  in.mode = static_cast<u8>(rounding < 0 ? 0 : rounding);
  if (d.accept("ftz")) in.flags |= kFtz;
  if (d.accept("sat")) in.flags |= kSat;
  int sources = sources_of(op);
  const auto set = [&](Run run) {
    take_operands(d, type, sources);
    d.set(run, shadow::any);
  };
  switch (op) {
    case Arithmetic::add:
      return set(arithmetic_run<Arithmetic::add, T>(in));
    case Arithmetic::sub:
      return set(arithmetic_run<Arithmetic::sub, T>(in));
    case Arithmetic::mul:
      return set(arithmetic_run<Arithmetic::mul, T>(in));
    case Arithmetic::mad:
    case Arithmetic::fma:
      return set(arithmetic_run<Arithmetic::fma, T>(in));
    case Arithmetic::div:
      return set(arithmetic_run<Arithmetic::div, T>(in));
    case Arithmetic::sqrt:
      return set(arithmetic_run<Arithmetic::sqrt, T>(in));
    case Arithmetic::rcp:
      return set(arithmetic_run<Arithmetic::rcp, T>(in));
    case Arithmetic::min:
    case Arithmetic::max: {
      if (d.accept("NaN")) in.flags |= kNan;
      if (d.accept("xorsign")) {
        d.expect("abs");
        in.flags |= kXorSign;
      }
      if (d.operand_count() == 4) sources = 3;
      const bool larger = op == Arithmetic::max;
      if (in.flags == 0 && sources == 2) {
        return set(larger ? plain_least_run<T, true>() : plain_least_run<T, false>());
      }
      return set(larger ? least_run<T, true> : least_run<T, false>);
    }
    case Arithmetic::abs:
      return set((in.flags & kFtz) != 0
                     ? lanewise<T(T)>([](T a) { return std::fabs(flushed<true>(a)); })
                     : lanewise<T(T)>([](T a) { return std::fabs(a); }));
    case Arithmetic::neg:
      return set((in.flags & kFtz) != 0 ? lanewise<T(T)>([](T a) { return -flushed<true>(a); })
                                        : lanewise<T(T)>([](T a) { return -a; }));
    default:
      throw Unsupported("no such floating-point operation");
  }
}

}  // namespace

void decode_approximate_division(Decoder& d);

void decode_float(Decoder& d, Arithmetic op, ptx::Type type) {
  if (op == Arithmetic::div && (d.has("approx") || d.has("full"))) {
    return decode_approximate_division(d);
  }
  if (type == ptx::Type::f32) return decode_typed<float>(d, op, type);
  decode_typed<double>(d, op, type);
}

}  // namespace gpu::ops
