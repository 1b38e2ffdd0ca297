#include "gpu/ops/arithmetic.hpp"

#include "gpu/ops/groups.hpp"

namespace gpu::ops {

int sources_of(Arithmetic op) {
  switch (op) {
    case Arithmetic::mad:
    case Arithmetic::fma:
      return 3;
    case Arithmetic::abs:
    case Arithmetic::neg:
    case Arithmetic::sqrt:
    case Arithmetic::rcp:
      return 1;
    default:
      return 2;
  }
}

void take_operands(Decoder& d, ptx::Type type, int sources) {
  d.dst(0, type);
  for (int i = 1; i <= sources; ++i) d.src(static_cast<std::size_t>(i), type);
}

namespace {

template <Arithmetic op>
void decode(Decoder& d) {
  using ptx::Type;
  const Type type = d.take_type();
  if (d.has("cc")) {
    return decode_carry(d, op == Arithmetic::sub, false, op == Arithmetic::mad, type);
  }
  switch (type) {
    case Type::f16:
    case Type::f16x2:
    case Type::bf16:
    case Type::bf16x2:
      decode_half(d, op, type);
      break;
    case Type::f32:
    case Type::f64:
      decode_float(d, op, type);
      break;
    default:
      decode_integer(d, op, type);
  }
}

}  // namespace

void register_arithmetic(Registry& r) {
  r.add("add", decode<Arithmetic::add>);
  r.add("sub", decode<Arithmetic::sub>);
  r.add("mul", decode<Arithmetic::mul>);
  r.add("mad", decode<Arithmetic::mad>);
  r.add("fma", decode<Arithmetic::fma>);
  r.add("rem", decode<Arithmetic::rem>);
  r.add("min", decode<Arithmetic::min>);
  r.add("max", decode<Arithmetic::max>);
  r.add("abs", decode<Arithmetic::abs>);
  r.add("neg", decode<Arithmetic::neg>);
  r.add("div", decode<Arithmetic::div>);
}

}  // namespace gpu::ops
