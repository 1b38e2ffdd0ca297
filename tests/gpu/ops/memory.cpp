#include <emmintrin.h>

#include <atomic>
#include <cstring>

#include "gpu/ops/access.hpp"
#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"

namespace gpu::ops {
namespace {

using ptx::Operand;
using ptx::Space;
using ptx::Type;

enum Flag : u8 { kStrong = 1, kAcquire = 2, kRelease = 4, kNarrow = 8, kVolatile = 16, kPair = 32 };

u32 lane_of(u32 set) { return static_cast<u32>(std::countr_zero(set)); }

/// Strong accesses to global memory are how blocks wait for each other.
void note_strong(Warp& w, const Instruction& in, const Access& access) {
  if ((in.flags & kStrong) == 0) return;
  w.block.races.strong_read(w.index);
  if (access.global_lanes != 0) w.block.spend(300);
}

Strength strength_of(const Instruction& in) {
  if ((in.flags & kVolatile) != 0) return Strength::within_block;
  return (in.flags & kStrong) != 0 ? Strength::strong : Strength::weak;
}

/// Copies up to 16 aligned bytes at once: blocks on other host threads see all of them or none.
void copy_whole(std::byte* to, const std::byte* from, u32 bytes) {
  switch (bytes) {
    case 16:
      _mm_store_si128(reinterpret_cast<__m128i*>(to),
                      _mm_load_si128(reinterpret_cast<const __m128i*>(from)));
      break;
    case 8: {
      const u64 value = __atomic_load_n(reinterpret_cast<const u64*>(from), __ATOMIC_RELAXED);
      __atomic_store_n(reinterpret_cast<u64*>(to), value, __ATOMIC_RELAXED);
      break;
    }
    default:
      std::memcpy(to, from, bytes);
  }
}

/// What a strong read sees: data first, then whether it is defined; writers go the other way round.
struct Snapshot {
  alignas(16) std::array<std::array<std::byte, 32>, 32> data;
  alignas(16) std::array<std::array<std::byte, 32>, 32> defined;

  void take(Access& access, u32 bytes) {
    for (u32 set = access.lanes; set != 0; set &= set - 1) {
      const u32 lane = lane_of(set);
      copy_whole(data[lane].data(), access.data[lane], bytes);
      std::atomic_thread_fence(std::memory_order_acquire);
      copy_whole(defined[lane].data(), access.defined[lane], bytes);
      access.data[lane] = data[lane].data();
      access.defined[lane] = defined[lane].data();
    }
  }
};

template <class T>
u64 read_element(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// Loads element `e` of each lane into a register; Bytes is the element's size in memory.
template <class T>
void load_element(Warp& w, const Instruction& in, const Access& access, u32 e) {
  const Ref dst = in.dst[e];
  const bool extends = ptx::is_signed(in.type) && sizeof(T) < 8;
  const u64 mask = (in.flags & kNarrow) != 0 ? 0xFFFFu : dst.wide ? ~u64{0} : 0xFFFFFFFFu;
  u32 undefined = 0;
  for (u32 set = access.lanes; set != 0; set &= set - 1) {
    const u32 lane = lane_of(set);
    const u64 defined = read_element<T>(access.defined[lane] + e * sizeof(T));
    u64 value = read_element<T>(access.data[lane] + e * sizeof(T));
    if (extends) {
      value = static_cast<u64>(s64{static_cast<std::make_signed_t<T>>(value)}) & mask;
    }
    w.set_value(dst, lane, value);
    if (defined != static_cast<T>(~T{0})) undefined |= 1u << lane;
  }
  w.set_defined(dst, access.lanes);
  for (; undefined != 0; undefined &= undefined - 1) {
    const u32 lane = lane_of(undefined);
    u64 bits = static_cast<T>(~read_element<T>(access.defined[lane] + e * sizeof(T)));
    if (extends) bits = static_cast<u64>(s64{static_cast<std::make_signed_t<T>>(bits)}) & mask;
    w.set_undefined(dst, lane, bits);
  }
}

/// All 32 lanes, whole words: the common case without branches per lane.
void load_words(Warp& w, const Instruction& in, const Access& access, u32 e) {
  u32* to = w.words(in.dst[e]);
  u32 all = ~0u;
  for (u32 lane = 0; lane < 32; ++lane) {
    u32 value, defined;
    std::memcpy(&value, access.data[lane] + 4 * e, 4);
    std::memcpy(&defined, access.defined[lane] + 4 * e, 4);
    to[lane] = value;
    all &= defined;
  }
  if (all == ~0u) {
    w.set_defined(in.dst[e], ~0u);
  } else {
    load_element<u32>(w, in, access, e);
  }
}

void load_run(Warp& w, const Instruction& in) {
  Access access;
  const u32 bytes = u32{in.bytes} * in.lanes;
  resolve(w, in, 0, bytes, bytes, Intent::read, access);
  if (access.shared_lanes != 0) {
    check_read_races(w, access, bytes, strength_of(in));
  }
  note_strong(w, in, access);
  Snapshot snapshot;
  if ((in.flags & kStrong) != 0) snapshot.take(access, bytes);
  for (u32 e = 0; e < in.lanes; ++e) {
    switch (in.bytes) {
      case 1:
        load_element<u8>(w, in, access, e);
        break;
      case 2:
        load_element<u16>(w, in, access, e);
        break;
      case 4:
        if (access.lanes == ~0u && !in.dst[e].wide) {
          load_words(w, in, access, e);
        } else {
          load_element<u32>(w, in, access, e);
        }
        break;
      default:
        load_element<u64>(w, in, access, e);
    }
  }
  if ((in.flags & kAcquire) != 0) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    w.block.races.fence(w.index);
  }
}

template <class T>
void store_element(Warp& w, const Instruction& in, const Access& access, u32 e) {
  const Ref src = in.src[1 + e];
  const u32 doubtful = w.undefined(src);
  for (u32 set = access.lanes; set != 0; set &= set - 1) {
    const u32 lane = lane_of(set);
    const auto value = static_cast<T>(w.value(src, lane));
    T defined = static_cast<T>(~T{0});
    if ((doubtful >> lane & 1) != 0) defined = static_cast<T>(~w.undefined_bits(src, lane));
    // data first: who sees the flag that says it is there finds it defined too
    std::memcpy(access.defined[lane] + e * sizeof(T), &defined, sizeof defined);
    std::memcpy(access.data[lane] + e * sizeof(T), &value, sizeof value);
  }
}

template <class F>
void by_size(u8 bytes, F f) {
  switch (bytes) {
    case 1:
      return f(u8{});
    case 2:
      return f(u16{});
    case 4:
      return f(u32{});
    default:
      return f(u64{});
  }
}

/// Whether all bytes that lane is about to store are there already.
bool stores_same(Warp& w, const Instruction& in, const Access& access, u32 lane) {
  for (u32 e = 0; e < in.lanes; ++e) {
    const u64 value = w.value(in.src[1 + e], lane);
    if (std::memcmp(access.data[lane] + e * in.bytes, &value, in.bytes) != 0) return false;
  }
  return true;
}

void check_defined_store(Warp& w, const Instruction& in, const Access& access) {
  if (access.global_lanes == 0 ||
      w.worker().launch.options.undefined_stores == UndefinedStores::mark) {
    return;
  }
  u32 lanes = 0;
  const u64 mask = in.bytes >= 8 ? ~u64{0} : (u64{1} << (8 * in.bytes)) - 1;
  for (u32 e = 0; e < in.lanes; ++e) {
    const Ref src = in.src[1 + e];
    for (u32 set = w.undefined(src) & access.global_lanes; set != 0; set &= set - 1) {
      const u32 lane = lane_of(set);
      if ((w.undefined_bits(src, lane) & mask) != 0) lanes |= 1u << lane;
    }
  }
  if (lanes != 0) {
    w.fail(Fault::undefined_store, lanes,
           "stores bits to global memory that depend on registers or memory never written");
  }
}

/// A strong write: what it says is defined before it can be seen.
void store_whole(Warp& w, const Instruction& in, const Access& access) {
  const u32 bytes = u32{in.bytes} * in.lanes;
  for (u32 set = access.lanes; set != 0; set &= set - 1) {
    const u32 lane = lane_of(set);
    alignas(16) std::array<std::byte, 32> data, defined;
    for (u32 e = 0; e < in.lanes; ++e) {
      const u64 value = w.value(in.src[1 + e], lane);
      const u64 known = ~w.undefined_bits(in.src[1 + e], lane);
      std::memcpy(data.data() + e * in.bytes, &value, in.bytes);
      std::memcpy(defined.data() + e * in.bytes, &known, in.bytes);
    }
    copy_whole(access.defined[lane], defined.data(), bytes);
    std::atomic_thread_fence(std::memory_order_release);
    copy_whole(access.data[lane], data.data(), bytes);
  }
}

void store_run(Warp& w, const Instruction& in) {
  Access access;
  const u32 bytes = u32{in.bytes} * in.lanes;
  const bool strong = (in.flags & kStrong) != 0;
  resolve(w, in, 0, bytes, bytes, Intent::write, access);
  if ((in.flags & kRelease) != 0) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    w.block.races.fence(w.index);
  }
  if (strong) w.block.races.strong_write(w.index);
  check_defined_store(w, in, access);
  if (strong && access.shared_lanes == 0) return store_whole(w, in, access);
  if (access.shared_lanes == 0) {
    for (u32 e = 0; e < in.lanes; ++e) {
      by_size(in.bytes, [&](auto t) { store_element<decltype(t)>(w, in, access, e); });
    }
    return;
  }
  // lane by lane, so that two lanes that write different values to one place are seen
  const u32 all = access.lanes;
  for (u32 set = all; set != 0; set &= set - 1) {
    const u32 lane = lane_of(set);
    access.lanes = 1u << lane;
    if ((access.shared_lanes >> lane & 1) != 0) {
      check_write_race(w, lane, static_cast<u32>(access.address[lane] - kSharedBase), bytes,
                       strength_of(in), stores_same(w, in, access, lane));
    }
    for (u32 e = 0; e < in.lanes; ++e) {
      by_size(in.bytes, [&](auto t) { store_element<decltype(t)>(w, in, access, e); });
    }
  }
}

void take_access(Decoder& d) {
  Instruction& in = d.in();
  const Decoder::Ordering ordering = d.take_ordering();
  in.flags =
      static_cast<u8>((ordering.strong() ? kStrong : 0) | (ordering.acquire ? kAcquire : 0) |
                      (ordering.release ? kRelease : 0) | (ordering.is_volatile ? kVolatile : 0));
  in.space = d.take_space();
  in.lanes = d.accept("v8") ? 8 : d.accept("v4") ? 4 : d.accept("v2") ? 2 : 1;
  in.type = d.take_type();
  if (in.type == Type::b128 && in.lanes == 1) {  // as two of 64 bits: aligned as a whole too
    in.type = Type::b64;
    in.lanes = 2;
    in.flags |= kPair;
  }
  in.bytes = static_cast<u8>(ptx::bytes_of(in.type));
  if (in.bytes == 0 || in.bytes > 8) throw Unsupported("access of this type");
}

/// The space by the instruction, refined by what the symbol in the address is.
void take_address(Decoder& d, std::size_t i) {
  const Space named = d.address(d.operand(i));
  Instruction& in = d.in();
  if (named != Space::generic && (in.space == Space::generic || in.space == Space::param)) {
    in.space = named;  // parameters of functions lie in local memory
  } else if (in.space == Space::param && !d.source().is_kernel) {
    in.space = Space::local;
  }
}

void decode_ld(Decoder& d) {
  take_access(d);
  Instruction& in = d.in();
  take_address(d, 1);
  const Operand& to = d.operand(0);
  const auto add = [&](const Operand& register_operand) {
    d.dst_any(register_operand);
    if (ptx::bytes_of(d.register_type(register_operand)) == 2) in.flags |= kNarrow;
  };
  if ((in.flags & kPair) != 0) {
    d.dst_pair(to);
  } else if (to.kind == Operand::Kind::vector) {
    if (to.items.size() != in.lanes) throw Unsupported("vector of another length");
    for (const Operand& item : to.items) add(item);
  } else {
    if (in.lanes != 1) throw Unsupported("expected a vector");
    add(to);
  }
  d.set(load_run, nullptr);
}

void decode_st(Decoder& d) {
  take_access(d);
  Instruction& in = d.in();
  in.effect = true;
  take_address(d, 0);
  const Operand& from = d.operand(1);
  if ((in.flags & kPair) != 0) {
    d.src_pair(from);
  } else if (from.kind == Operand::Kind::vector) {
    if (from.items.size() != in.lanes) throw Unsupported("vector of another length");
    for (const Operand& item : from.items) d.src_any(item, in.type);
  } else {
    if (in.lanes != 1) throw Unsupported("expected a vector");
    d.src_any(from, in.type);
  }
  d.set(store_run, nullptr);
}

}  // namespace

void register_memory(Registry& r) {
  r.add("ld", decode_ld);
  r.add("ldu", decode_ld);
  r.add("st", decode_st);
}

}  // namespace gpu::ops
