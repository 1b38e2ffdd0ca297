#include "gpu/ops/arithmetic.hpp"

namespace gpu::ops {
namespace {

enum Flag : u8 { kFtz = 1, kSat = 2, kNan = 4, kXorSign = 8, kRelu = 16 };

template <class H>
H narrow(float f) {
  if constexpr (std::is_same_v<H, Half>)
    return to_half(f);
  else
    return to_bf16(f);
}

/// The sum of a product and a number, rounded once. The double sum is exact or sticky enough: its
/// 53 bits hold two more than twice the format's precision beside the product.
template <class H>
H fused(H a, H b, H c) {
  const double sum = double{to_float(a)} * double{to_float(b)} + double{to_float(c)};
  auto single = static_cast<float>(sum);
  // round to odd, so that the second rounding sees that something was cut off
  if (std::isfinite(single) && double{single} != sum) {
    u32 bits = std::bit_cast<u32>(single);
    if (std::fabs(double{single}) > std::fabs(sum)) --bits;
    single = std::bit_cast<float>(bits | 1u);
  }
  return narrow<H>(single);
}

template <class H>
H flushed(H h) {
  constexpr u16 kExponent = std::is_same_v<H, Half> ? 0x7C00 : 0x7F80;
  return (h.bits & kExponent) == 0 ? H{static_cast<u16>(h.bits & 0x8000u)} : h;
}

template <class H>
bool is_nan(H h) {
  constexpr u16 kInfinity = std::is_same_v<H, Half> ? 0x7C00 : 0x7F80;
  return (h.bits & 0x7FFFu) > kInfinity;
}

template <class H>
H least(H a, H b, bool larger, u8 flags) {
  const u16 sign = (a.bits ^ b.bits) & 0x8000u;
  if ((flags & kXorSign) != 0) {
    a.bits &= 0x7FFFu;
    b.bits &= 0x7FFFu;
  }
  H out = a;
  if (is_nan(a) || is_nan(b)) {
    if ((flags & kNan) != 0 || (is_nan(a) && is_nan(b))) return {0x7FFF};
    out = is_nan(a) ? b : a;
  } else {
    const float x = to_float(a), y = to_float(b);
    const bool first = x == y ? ((a.bits >> 15) != 0) != larger : (x < y) != larger;
    out = first ? a : b;
  }
  if ((flags & kXorSign) != 0) out.bits = static_cast<u16>((out.bits & 0x7FFFu) | sign);
  return out;
}

template <Arithmetic op, class H>
H compute(H a, H b, H c, u8 flags) {
  if ((flags & kFtz) != 0) {
    a = flushed(a);
    b = flushed(b);
    c = flushed(c);
  }
  H out{};
  if constexpr (op == Arithmetic::add) out = narrow<H>(to_float(a) + to_float(b));
  if constexpr (op == Arithmetic::sub) out = narrow<H>(to_float(a) - to_float(b));
  if constexpr (op == Arithmetic::mul) out = narrow<H>(to_float(a) * to_float(b));
  if constexpr (op == Arithmetic::fma) out = fused(a, b, c);
  if constexpr (op == Arithmetic::min) out = least(a, b, false, flags);
  if constexpr (op == Arithmetic::max) out = least(a, b, true, flags);
  if constexpr (op == Arithmetic::abs) out = {static_cast<u16>(a.bits & 0x7FFFu)};
  if constexpr (op == Arithmetic::neg) out = {static_cast<u16>(a.bits ^ 0x8000u)};
  if ((flags & kFtz) != 0) out = flushed(out);
  if ((flags & kSat) != 0) out = narrow<H>(saturate(to_float(out)));
  if ((flags & kRelu) != 0 && (is_nan(out) ? false : (out.bits & 0x8000u) != 0)) out = {0};
  return out;
}

template <Arithmetic op, class H, bool pair>
void half_run(Warp& w, const Instruction& in) {
  const u32* a = w.words(in.src[0]);
  const u32* b = in.src_count > 1 ? w.words(in.src[1]) : a;
  const u32* c = in.src_count > 2 ? w.words(in.src[2]) : a;
  alignas(64) u32 out[32];
  const u8 flags = in.flags;
  for (int i = 0; i < 32; ++i) {
    const auto part = [&](int shift) {
      const auto cut = [shift](u32 x) { return H{static_cast<u16>(x >> shift)}; };
      return u32{compute<op, H>(cut(a[i]), cut(b[i]), cut(c[i]), flags).bits} << shift;
    };
    out[i] = pair ? part(0) | part(16) : part(0);
  }
  commit(w, in.dst[0], out);
}

template <Arithmetic op>
Run run_for(ptx::Type type) {
  switch (type) {
    case ptx::Type::f16:
      return half_run<op, Half, false>;
    case ptx::Type::f16x2:
      return half_run<op, Half, true>;
    case ptx::Type::bf16:
      return half_run<op, Bf16, false>;
    default:
      return half_run<op, Bf16, true>;
  }
}

}  // namespace

void decode_half(Decoder& d, Arithmetic op, ptx::Type type) {
  using ptx::Type;
  Instruction& in = d.in();
  d.accept("rn");
  if (d.accept("ftz")) in.flags |= kFtz;
  if (d.accept("sat")) in.flags |= kSat;
  if (d.accept("relu")) in.flags |= kRelu;
  if (d.accept("NaN")) in.flags |= kNan;
  if (d.accept("xorsign")) {
    d.expect("abs");
    in.flags |= kXorSign;
  }
  const bool pair = type == Type::f16x2 || type == Type::bf16x2;
  take_operands(d, pair ? Type::b32 : type, sources_of(op));
  in.bytes = pair ? 4 : 2;
  const auto set = [&](Run run) { d.set(run, pair ? shadow::any_half : shadow::any); };
  switch (op) {
    case Arithmetic::add:
      return set(run_for<Arithmetic::add>(type));
    case Arithmetic::sub:
      return set(run_for<Arithmetic::sub>(type));
    case Arithmetic::mul:
      return set(run_for<Arithmetic::mul>(type));
    case Arithmetic::fma:
      return set(run_for<Arithmetic::fma>(type));
    case Arithmetic::min:
      return set(run_for<Arithmetic::min>(type));
    case Arithmetic::max:
      return set(run_for<Arithmetic::max>(type));
    case Arithmetic::abs:
      return set(run_for<Arithmetic::abs>(type));
    case Arithmetic::neg:
      return set(run_for<Arithmetic::neg>(type));
    default:
      throw Unsupported("no such operation on half types");
  }
}

}  // namespace gpu::ops
