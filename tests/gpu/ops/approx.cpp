#include <cmath>

#include "gpu/machine/random.hpp"
#include "gpu/machine/worker.hpp"
#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"

namespace gpu::ops {
namespace {

using ptx::Type;

enum Flag : u8 { kFtz = 1 };

/// How far a result may lie from the exact one.
struct Bound {
  double relative = 0, absolute = 0;
};

/// The nearest number of the type, as a double.
template <class T>
double rounded(double x) {
  const auto single = static_cast<float>(x);
  if constexpr (std::is_same_v<T, Half>) return double{to_float(to_half(single))};
  if constexpr (std::is_same_v<T, Bf16>) return double{to_float(to_bf16(single))};
  return double{single};
}

/// Moves a result by at most the documented error, by a number that depends on the seed and the
/// input only: a function stays a function.
template <class T>
double perturbed(Warp& w, double exact, u32 input, Bound bound) {
  const double nearest = rounded<T>(exact);
  if (!w.worker().launch.options.perturb || !std::isfinite(nearest) || exact == 0) return nearest;
  const u64 hash = Random::mix(w.worker().seed() * 0x9E3779B97F4A7C15u + input);
  const double unit = static_cast<double>(static_cast<s64>(hash) >> 11) * 0x1p-52;  // in [-1, 1)
  const double margin = std::fabs(exact) * bound.relative + bound.absolute;
  const double moved = rounded<T>(exact + 0.75 * unit * margin);
  // rounding must not lead out of the bound, nor into infinity
  return std::isfinite(moved) && std::fabs(moved - exact) <= margin ? moved : nearest;
}

using Function1 = double (*)(double);

struct Approximation {
  Function1 function;
  Bound f32;
  Bound f16{}, bf16{};  ///< zeros: there is no such form

  template <class T>
  Bound bound() const {
    return std::is_same_v<T, Half> ? f16 : std::is_same_v<T, Bf16> ? bf16 : f32;
  }
};

double reciprocal(double x) { return 1 / x; }
double reciprocal_root(double x) { return 1 / std::sqrt(x); }
double exp2_of(double x) { return std::exp2(x); }
double log2_of(double x) { return std::log2(x); }
double root_of(double x) { return std::sqrt(x); }
double sine_of(double x) { return std::isfinite(x) ? std::sin(x) : std::nan(""); }
double cosine_of(double x) { return std::isfinite(x) ? std::cos(x) : std::nan(""); }
double tanh_of(double x) { return std::tanh(x); }

// error bounds: PTX ISA manual, under each instruction
constexpr Approximation kApproximations[] = {
    // ex2.approx: 2 ulp; f16: 2^-9.9 relative; bf16: 2^-7
    {exp2_of, {0x1p-22, 0}, {0x1.12p-10, 0}, {0x1p-7, 0}},
    {log2_of, {0, 0x1p-22}},          // lg2.approx: 2^-22 absolute near 1 (2^-22.6 elsewhere)
    {reciprocal, {0x1p-23, 0}},       // rcp.approx: 1 ulp
    {reciprocal_root, {0x1p-22, 0}},  // rsqrt.approx: 2^-22.4
    {root_of, {0x1p-23, 0}},          // sqrt.approx: 2^-23 relative
    {sine_of, {0, 0x1p-21}},          // sin.approx: 2^-20.5 absolute in [-pi, pi]
    {cosine_of, {0, 0x1p-21}},        // cos.approx
    // tanh.approx: 2^-11 relative; f16: 2^-10.987 absolute; bf16: 2^-8
    {tanh_of, {0x1p-11, 0}, {0, 0x1.02p-11}, {0, 0x1p-8}},
};
enum Which : u8 { kEx2, kLg2, kRcp, kRsqrt, kSqrt, kSin, kCos, kTanh };

template <class T>
float approximate(Warp& w, u8 which, float x, bool ftz) {
  if (ftz) x = flush(x);
  const Approximation& a = kApproximations[which];
  // the single-precision exponential of the host is correct to well within the bound and faster
  const double exact =
      which == kEx2 && std::fabs(x) < 126 ? double{std::exp2(x)} : a.function(double{x});
  if (exact != exact) return std::bit_cast<float>(kNan32);
  const bool exact_power = which == kEx2 && x == std::floor(x) && std::fabs(x) < 127;
  auto out =
      static_cast<float>(exact_power ? rounded<T>(exact)
                                     : perturbed<T>(w, exact, std::bit_cast<u32>(x), a.bound<T>()));
  if (which == kTanh) out = std::fmin(1.0f, std::fmax(-1.0f, out));
  return ftz ? flush(out) : out;
}

void approximate_run(Warp& w, const Instruction& in) {
  const bool ftz = (in.flags & kFtz) != 0;
  each_active<float, float>(w, in, [&](float x) { return approximate<float>(w, in.mode, x, ftz); });
}

template <class H, bool pair>
void approximate_half_run(Warp& w, const Instruction& in) {
  const bool ftz = (in.flags & kFtz) != 0;
  each_active<u32, u32>(w, in, [&](u32 x) {
    const auto part = [&](int shift) -> u32 {
      const float value = to_float(H{static_cast<u16>(x >> shift)});
      const float out = approximate<H>(w, in.mode, value, ftz);
      return u32{(std::is_same_v<H, Half> ? to_half(out).bits : to_bf16(out).bits)} << shift;
    };
    return pair ? part(0) | part(16) : part(0);
  });
}

/// rcp.approx.ftz.f64 and rsqrt.approx.f64: the upper 20 bits of the mantissa count.
void approximate_double_run(Warp& w, const Instruction& in) {
  each_active<double, double>(w, in, [&](double x) {
    const double exact = kApproximations[in.mode].function(x);
    return std::bit_cast<double>(std::bit_cast<u64>(exact) & ~u64{0xFFFFFFFF});
  });
}

template <u8 which>
void decode_approximate(Decoder& d) {
  constexpr bool exact_form = which == kRcp || which == kSqrt;
  if (exact_form && !d.has("approx")) {
    const Type type = d.take_type();
    return decode_float(d, which == kRcp ? Arithmetic::rcp : Arithmetic::sqrt, type);
  }
  d.expect("approx");
  if (d.accept("ftz")) d.in().flags |= kFtz;
  const Type type = d.take_type();
  const bool pair = type == Type::f16x2 || type == Type::bf16x2;
  take_operands(d, pair ? Type::b32 : type, 1);
  d.in().mode = which;
  d.in().bytes = static_cast<u8>(ptx::bytes_of(type));
  const bool half = pair || type == Type::f16 || type == Type::bf16;
  if (half && which != kEx2 && which != kTanh) throw Unsupported("approximation of this type");
  const Run shadow = pair ? shadow::any_half : shadow::any;
  switch (type) {
    case Type::f32:
      return d.set(approximate_run, shadow);
    case Type::f64:
      return d.set(approximate_double_run, shadow);
    case Type::f16:
      return d.set(approximate_half_run<Half, false>, shadow);
    case Type::f16x2:
      return d.set(approximate_half_run<Half, true>, shadow);
    case Type::bf16:
      return d.set(approximate_half_run<Bf16, false>, shadow);
    case Type::bf16x2:
      return d.set(approximate_half_run<Bf16, true>, shadow);
    default:
      throw Unsupported("approximation of this type");
  }
}

void division_run(Warp& w, const Instruction& in) {
  const bool ftz = (in.flags & kFtz) != 0;
  each_active<float, float, float>(w, in, [&](float a, float b) {
    if (ftz) {
      a = flush(a);
      b = flush(b);
    }
    const double exact = double{a} / double{b};
    if (exact != exact) return std::bit_cast<float>(kNan32);
    const u32 key = std::bit_cast<u32>(a) * 31 + std::bit_cast<u32>(b);
    const auto out = static_cast<float>(perturbed<float>(w, exact, key, {0x1p-22, 0}));  // 2 ulp
    return ftz ? flush(out) : out;
  });
}

}  // namespace

void decode_approximate_division(Decoder& d) {
  if (!d.accept("approx")) d.expect("full");
  if (d.accept("ftz")) d.in().flags |= kFtz;
  take_operands(d, Type::f32, 2);
  d.set(division_run, shadow::any);
}

void register_approx(Registry& r) {
  r.add("ex2", decode_approximate<kEx2>);
  r.add("lg2", decode_approximate<kLg2>);
  r.add("rcp", decode_approximate<kRcp>);
  r.add("rsqrt", decode_approximate<kRsqrt>);
  r.add("sqrt", decode_approximate<kSqrt>);
  r.add("sin", decode_approximate<kSin>);
  r.add("cos", decode_approximate<kCos>);
  r.add("tanh", decode_approximate<kTanh>);
}

}  // namespace gpu::ops
