#include <cstring>

#include "gpu/ops/access.hpp"
#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"

namespace gpu::ops {
namespace {

using ptx::Operand;
using ptx::Space;
using ptx::Type;

enum class Atomic : u8 {
  add,
  min,
  max,
  inc,
  dec,
  conjunction,
  disjunction,
  exclusive,
  exchange,
  cas
};
enum Flag : u8 { kAcquire = 1, kRelease = 2 };

template <class T>
u64 widen(T value) {
  if constexpr (sizeof(T) == 8)
    return std::bit_cast<u64>(value);
  else if constexpr (sizeof(T) == 4)
    return std::bit_cast<u32>(value);
  else
    return std::bit_cast<u16>(value);
}

u64 float_result(Atomic op, Type type, u64 old, u64 b) {
  const auto half = [&](u64 x, u64 y) -> u64 {
    const bool is_half = type == Type::f16 || type == Type::f16x2;
    const auto value = [&](u64 bits) {
      return is_half ? to_float(Half{static_cast<u16>(bits)})
                     : to_float(Bf16{static_cast<u16>(bits)});
    };
    float out = value(x) + value(y);
    if (op == Atomic::min) out = std::fmin(value(x), value(y));
    if (op == Atomic::max) out = std::fmax(value(x), value(y));
    return is_half ? to_half(out).bits : to_bf16(out).bits;
  };
  switch (type) {
    case Type::f32:
      return widen(std::bit_cast<float>(static_cast<u32>(old)) +
                   std::bit_cast<float>(static_cast<u32>(b)));
    case Type::f64:
      return widen(std::bit_cast<double>(old) + std::bit_cast<double>(b));
    case Type::f16x2:
    case Type::bf16x2:
      return half(old & 0xFFFF, b & 0xFFFF) | half(old >> 16, b >> 16) << 16;
    default:
      return half(old, b);
  }
}

u64 result_of(const Instruction& in, u64 old, u64 b, u64 c) {
  const auto op = static_cast<Atomic>(in.mode);
  if (op == Atomic::exchange) return b;
  if (op == Atomic::cas) return old == b ? c : old;
  if (ptx::is_float(in.type)) return float_result(op, in.type, old, b);
  const bool wide = in.bytes == 8;
  const bool is_signed = ptx::is_signed(in.type);
  const bool less = is_signed ? (wide ? static_cast<s64>(b) < static_cast<s64>(old)
                                      : static_cast<s32>(b) < static_cast<s32>(old))
                              : b < old;
  switch (op) {
    case Atomic::add:
      return old + b;
    case Atomic::min:
      return less ? b : old;
    case Atomic::max:
      return less ? old : b;
    case Atomic::inc:
      return old >= b ? 0 : old + 1;
    case Atomic::dec:
      return old == 0 || old > b ? b : old - 1;
    case Atomic::conjunction:
      return old & b;
    case Atomic::disjunction:
      return old | b;
    default:
      return old ^ b;
  }
}

/// Applies the operation to memory that other host threads may be changing.
template <class T>
u64 update(std::byte* place, const Instruction& in, u64 b, u64 c) {
  auto* word = reinterpret_cast<T*>(place);
  T old = __atomic_load_n(word, __ATOMIC_SEQ_CST);
  for (;;) {
    const auto desired = static_cast<T>(result_of(in, old, b, c));
    if (__atomic_compare_exchange_n(word, &old, desired, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
      return old;
    }
  }
}

u64 mask_of(u32 bytes) { return bytes >= 8 ? ~u64{0} : (u64{1} << (8 * bytes)) - 1; }

/// Definedness of an element: memory becomes undefined where its old or the new bits are.
/// Returns the old undefined bits.
u64 update_definedness(Warp& w, const Instruction& in, std::byte* place, u64 b, u64 c, bool changed,
                       bool& spoiled) {
  u64 defined = 0;
  std::memcpy(&defined, place, in.bytes);
  const u64 mask = mask_of(in.bytes);
  const u64 old = ~defined & mask;
  u64 now = 0;
  switch (static_cast<Atomic>(in.mode)) {
    case Atomic::exchange:
      now = b & mask;
      break;
    case Atomic::cas:
      now = changed ? c & mask : old;
      break;
    case Atomic::conjunction:
    case Atomic::disjunction:
    case Atomic::exclusive:
      now = (old | b) & mask;
      break;
    default:
      now = (old | b) != 0 ? mask : 0;
  }
  if (now != 0 || old != 0) {
    const u64 after = ~now;
    std::memcpy(place, &after, in.bytes);
  }
  spoiled = now != 0;
  static_cast<void>(w);
  return old;
}

/// Sources: address, then b (and c) for each element of the vector.
void atomic_run(Warp& w, const Instruction& in) {
  Access access;
  const u32 bytes = u32{in.bytes} * in.lanes;
  resolve(w, in, 0, bytes, bytes, Intent::atomic, access);
  if ((in.flags & kRelease) != 0) w.block.races.fence(w.index);
  const u32 per_element = static_cast<Atomic>(in.mode) == Atomic::cas ? 2 : 1;
  u32 spoiled_lanes = 0;
  const auto start = w.worker().launch.options.shuffle ? w.block.random.below(32) : 0;
  for (u32 i = 0; i < 32; ++i) {
    const u32 lane = (i + start) & 31;
    if ((access.lanes >> lane & 1) == 0) continue;
    if ((access.shared_lanes >> lane & 1) != 0) {
      check_write_race(w, lane, static_cast<u32>(access.address[lane] - kSharedBase), bytes,
                       Strength::strong, false);
    }
    for (u32 e = 0; e < in.lanes; ++e) {
      const Ref b = in.src[1 + e * per_element];
      const Ref c = in.src[e * per_element + per_element];
      const u64 vb = w.value(b, lane) & mask_of(in.bytes), vc = w.value(c, lane);
      const u64 ub = w.undefined_bits(b, lane), uc = w.undefined_bits(c, lane);
      std::byte* place = access.data[lane] + e * in.bytes;
      const u64 old = in.bytes == 2   ? update<u16>(place, in, vb, vc)
                      : in.bytes == 4 ? update<u32>(place, in, vb, vc)
                                      : update<u64>(place, in, vb, vc);
      bool spoiled = false;
      const u64 undefined = update_definedness(w, in, access.defined[lane] + e * in.bytes, ub, uc,
                                               old == vb, spoiled);
      if (spoiled && (access.global_lanes >> lane & 1) != 0) spoiled_lanes |= 1u << lane;
      if (in.dst_count != 0) {
        w.set_value(in.dst[e], lane, old);
        w.set_undefined(in.dst[e], lane, undefined);
      }
    }
  }
  w.block.races.strong_write(w.index);
  w.block.races.strong_read(w.index);
  if (static_cast<Atomic>(in.mode) == Atomic::cas && access.global_lanes != 0) w.block.spend(100);
  if ((in.flags & kAcquire) != 0) w.block.races.fence(w.index);
  if (spoiled_lanes != 0 && w.worker().launch.options.undefined_stores == UndefinedStores::fail) {
    w.fail(Fault::undefined_store, spoiled_lanes,
           "an atomic operation leaves undefined bits in global memory: the value there or the "
           "operand was never written");
  }
}

template <bool returns>
void decode_atomic(Decoder& d) {
  Instruction& in = d.in();
  in.effect = true;
  d.accept("noftz");
  d.accept("async");
  const Decoder::Ordering ordering = d.take_ordering();
  in.flags = static_cast<u8>((ordering.acquire ? kAcquire : 0) | (ordering.release ? kRelease : 0));
  in.space = d.take_space();
  in.lanes = d.accept("v8") ? 8 : d.accept("v4") ? 4 : d.accept("v2") ? 2 : 1;
  const int op =
      d.accept_one({"add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas"});
  if (op < 0) throw Unsupported("expected an atomic operation");
  in.mode = static_cast<u8>(op);
  in.type = d.take_type();
  in.bytes = static_cast<u8>(ptx::bytes_of(in.type));
  if (in.bytes < 2 || in.bytes > 8) throw Unsupported("atomic operation on this type");
  if (ptx::is_float(in.type) && (in.type == Type::f32 || in.type == Type::f64) && op != 0) {
    throw Unsupported("this atomic operation on floats");
  }
  const Type storage = in.type == Type::f16x2 || in.type == Type::bf16x2 ? Type::b32 : in.type;
  const std::size_t at = returns ? 1 : 0;
  const Space named = d.address(d.operand(at));
  if (in.space == Space::generic && named != Space::generic) in.space = named;
  const auto items = [&](std::size_t i) {
    const Operand& operand = d.operand(i);
    if (operand.kind == Operand::Kind::vector) return operand.items;
    return std::vector<Operand>{operand};
  };
  if (returns) {
    for (const Operand& item : items(0)) d.dst(item, storage);
  }
  const auto values = items(at + 1);
  if (values.size() != in.lanes) throw Unsupported("vector of another length");
  for (const Operand& item : values) {
    d.src(item, storage);
    if (static_cast<Atomic>(op) == Atomic::cas) d.src(d.operand(at + 2), storage);
  }
  d.set(atomic_run, nullptr);
}

}  // namespace

void register_atomics(Registry& r) {
  r.add("atom", decode_atomic<true>);
  r.add("red", decode_atomic<false>);
}

}  // namespace gpu::ops
