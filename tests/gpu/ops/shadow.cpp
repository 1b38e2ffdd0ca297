#include "gpu/ops/shadow.hpp"

#include <bit>

#include "gpu/machine/warp.hpp"
#include "gpu/ops/numbers.hpp"

namespace gpu::ops::shadow {
namespace {

u64 mask_of(unsigned bytes) { return bytes >= 8 ? ~u64{0} : (u64{1} << (8 * bytes)) - 1; }

/// Bits from the lowest set one upward.
u64 smeared(u64 bits) { return bits | (0 - bits); }

template <class F>
void each_lane(Warp& w, const Instruction& in, F f) {
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    w.set_undefined(in.dst[0], lane, f(lane) & mask_of(in.dst[0].wide ? 8 : 4));
  }
}

u64 all_sources(Warp& w, const Instruction& in, u32 lane) {
  u64 bits = 0;
  for (int i = 0; i < in.src_count; ++i) bits |= w.undefined_bits(in.src[i], lane);
  return bits;
}

u64 width_of(Warp&, const Instruction& in) {
  return mask_of(in.bytes == 0 ? (in.dst[0].wide ? 8 : 4) : in.bytes);
}

}  // namespace

void any(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) { return all_sources(w, in, lane) != 0 ? width_of(w, in) : 0; });
}

void any_half(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    const u64 bits = all_sources(w, in, lane);
    return ((bits & 0xFFFFu) != 0 ? u64{0xFFFF} : 0) |
           ((bits & 0xFFFF0000u) != 0 ? u64{0xFFFF0000} : 0);
  });
}

void move(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) { return w.undefined_bits(in.src[0], lane); });
}

void bit_and(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    const u64 ua = w.undefined_bits(in.src[0], lane);
    const u64 ub = w.undefined_bits(in.src[1], lane);
    return (ua & (ub | w.value(in.src[1], lane))) | (ub & w.value(in.src[0], lane));
  });
}

void bit_or(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    const u64 ua = w.undefined_bits(in.src[0], lane);
    const u64 ub = w.undefined_bits(in.src[1], lane);
    return (ua & (ub | ~w.value(in.src[1], lane))) | (ub & ~w.value(in.src[0], lane));
  });
}

void bit_xor(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) { return all_sources(w, in, lane); });
}

void lop3(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    u64 a = w.value(in.src[0], lane), b = w.value(in.src[1], lane), c = w.value(in.src[2], lane);
    const u64 ua = w.undefined_bits(in.src[0], lane), ub = w.undefined_bits(in.src[1], lane),
              uc = w.undefined_bits(in.src[2], lane);
    // a bit is undefined if some choice of the undefined inputs changes it
    u64 zeros = 0, ones = 0;
    for (u32 i = 0; i < 8; ++i) {
      const u64 possible =
          ((i & 4 ? a : ~a) | ua) & ((i & 2 ? b : ~b) | ub) & ((i & 1 ? c : ~c) | uc);
      ((in.mode >> i & 1) != 0 ? ones : zeros) |= possible;
    }
    return zeros & ones;
  });
}

void add(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    const u64 ua = w.undefined_bits(in.src[0], lane), ub = w.undefined_bits(in.src[1], lane);
    const u64 a = w.value(in.src[0], lane), b = w.value(in.src[1], lane);
    const u64 least = (a & ~ua) + (b & ~ub);
    const u64 most = (a | ua) + (b | ub);
    return (ua | ub | (least ^ most)) & width_of(w, in);
  });
}

void sub(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    const u64 ua = w.undefined_bits(in.src[0], lane), ub = w.undefined_bits(in.src[1], lane);
    const u64 a = w.value(in.src[0], lane), b = w.value(in.src[1], lane);
    const u64 least = (a & ~ua) - (b | ub);
    const u64 most = (a | ua) - (b & ~ub);
    return (ua | ub | (least ^ most)) & width_of(w, in);
  });
}

void smear(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) { return smeared(all_sources(w, in, lane)) & width_of(w, in); });
}

void multiply(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    const u64 ua = w.undefined_bits(in.src[0], lane), ub = w.undefined_bits(in.src[1], lane);
    const u64 a = w.value(in.src[0], lane), b = w.value(in.src[1], lane);
    const u64 narrow = mask_of(in.src[0].wide ? 8 : 4);
    u64 product = smeared(ua | ub);
    if (ua == 0 && std::has_single_bit(a & narrow)) product = ub << std::countr_zero(a);
    if (ub == 0 && std::has_single_bit(b & narrow)) product = ua << std::countr_zero(b);
    if ((ua == 0 && (a & narrow) == 0) || (ub == 0 && (b & narrow) == 0)) product = 0;
    if (in.src_count > 2) {
      const u64 uc = w.undefined_bits(in.src[2], lane);
      product = smeared(product | uc);
    }
    return product & width_of(w, in);
  });
}

namespace {

/// Applies a shift to the undefined bits; an undefined amount spoils everything.
template <class F>
void shift(Warp& w, const Instruction& in, F f) {
  each_lane(w, in, [&](u32 lane) {
    if (w.undefined_bits(in.src[1], lane) != 0) return width_of(w, in);
    const unsigned bits = 8u * in.bytes;
    const auto amount =
        static_cast<unsigned>(std::min<u64>(w.value(in.src[1], lane) & 0xFFFFFFFFu, bits));
    return f(w.undefined_bits(in.src[0], lane) & width_of(w, in), amount, bits) & width_of(w, in);
  });
}

}  // namespace

void shift_left(Warp& w, const Instruction& in) {
  shift(w, in, [](u64 u, unsigned n, unsigned) { return n >= 64 ? 0 : u << n; });
}

void shift_right(Warp& w, const Instruction& in) {
  shift(w, in, [](u64 u, unsigned n, unsigned) { return n >= 64 ? 0 : u >> n; });
}

void shift_right_signed(Warp& w, const Instruction& in) {
  shift(w, in, [](u64 u, unsigned n, unsigned bits) {
    const auto widened = static_cast<s64>(u << (64 - bits)) >> (64 - bits);
    return static_cast<u64>(widened >> std::min(n, 63u));
  });
}

void select(Warp& w, const Instruction& in) {
  const u32 choice = in.src[2].predicate ? w.predicate(in.src[2]) : 0;
  each_lane(w, in, [&](u32 lane) {
    const u64 ua = w.undefined_bits(in.src[0], lane), ub = w.undefined_bits(in.src[1], lane);
    if (w.undefined_bits(in.src[2], lane) != 0) {
      return ua | ub | (w.value(in.src[0], lane) ^ w.value(in.src[1], lane));
    }
    return (choice >> lane & 1) != 0 ? ua : ub;
  });
}

void permute(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) -> u64 {
    if (w.undefined_bits(in.src[2], lane) != 0) return 0xFFFFFFFFu;
    const u64 bytes = w.undefined_bits(in.src[0], lane) | w.undefined_bits(in.src[1], lane) << 32;
    const u64 control = w.value(in.src[2], lane);
    u64 out = 0;
    for (u32 i = 0; i < 4; ++i) {
      const u64 selector = control >> (4 * i) & 0xF;
      u64 byte = bytes >> (8 * (selector & 7)) & 0xFF;
      if ((selector & 8) != 0) byte = (byte & 0x80) != 0 ? 0xFF : 0;
      out |= byte << (8 * i);
    }
    return out;
  });
}

void convert(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    const unsigned bits = 8u * in.bytes;
    const u64 u = w.undefined_bits(in.src[0], lane) & mask_of(in.bytes);
    if (!ptx::is_signed(in.type)) return u;
    return static_cast<u64>(static_cast<s64>(u << (64 - bits)) >> (64 - bits));
  });
}

void reverse(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    const u64 u = w.undefined_bits(in.src[0], lane);
    u64 out = 0;
    const unsigned bits = 8u * in.bytes;
    for (unsigned i = 0; i < bits; ++i) out |= (u >> i & 1) << (bits - 1 - i);
    return out;
  });
}

void extract(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    if ((w.undefined_bits(in.src[1], lane) | w.undefined_bits(in.src[2], lane)) != 0) {
      return width_of(w, in);
    }
    const u64 start = w.value(in.src[1], lane) & 0xFF;
    const u64 length = w.value(in.src[2], lane) & 0xFF;
    const u64 u = w.undefined_bits(in.src[0], lane) & width_of(w, in);
    if (length == 0 || start >= 64) return u64{0};
    u64 field = u >> start;
    if (length < 64) field &= (u64{1} << length) - 1;
    const bool sign_undefined =
        ptx::is_signed(in.type) && length < 64 && (field >> (length - 1) & 1);
    return sign_undefined ? field | ~((u64{1} << length) - 1) : field;
  });
}

void insert(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    if ((w.undefined_bits(in.src[2], lane) | w.undefined_bits(in.src[3], lane)) != 0) {
      return width_of(w, in);
    }
    const u64 start = w.value(in.src[2], lane) & 0xFF;
    const u64 length = w.value(in.src[3], lane) & 0xFF;
    const u64 below = w.undefined_bits(in.src[1], lane);
    if (length == 0 || start >= 8u * in.bytes) return below;
    const u64 ones = length >= 64 ? ~u64{0} : (u64{1} << length) - 1;
    const u64 field = ones << start;
    return (below & ~field) | ((w.undefined_bits(in.src[0], lane) << start) & field);
  });
}

void funnel(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) -> u64 {
    if (w.undefined_bits(in.src[2], lane) != 0) return 0xFFFFFFFFu;
    const u64 both =
        w.undefined_bits(in.src[1], lane) << 32 | (w.undefined_bits(in.src[0], lane) & 0xFFFFFFFFu);
    const u64 amount = w.value(in.src[2], lane) & 0xFFFFFFFFu;
    const u64 n = (in.flags & 1) != 0 ? amount & 31 : std::min<u64>(amount, 32);
    return (in.mode == 0 ? both << n >> 32 : both >> n) & 0xFFFFFFFFu;
  });
}

void compare(Warp& w, const Instruction& in) {
  // the relation is defined if the least and the most each side can be give the same answer
  u32 undefined = 0;
  const u64 mask = mask_of(in.bytes);
  const u64 sign = ptx::is_signed(in.type) ? u64{1} << (8 * in.bytes - 1) : 0;
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    const u64 ua = w.undefined_bits(in.src[0], lane) & mask;
    const u64 ub = w.undefined_bits(in.src[1], lane) & mask;
    u32 doubt = in.src_count > 2 && w.undefined_bits(in.src[2], lane) != 0 ? 1u << lane : 0;
    if ((ua | ub) != 0) {
      const u64 a = (w.value(in.src[0], lane) ^ sign) & mask;
      const u64 b = (w.value(in.src[1], lane) ^ sign) & mask;
      const bool differ = ((a ^ b) & ~ua & ~ub) != 0;
      const bool below = (a | ua) < (b & ~ub);
      const bool above = (a & ~ua) > (b | ub);
      const bool not_below = (a & ~ua) >= (b | ub);
      const bool not_above = (a | ua) <= (b & ~ub);
      bool known = false;
      switch (in.mode & 7) {  // lt 1, eq 2, gt 4
        case 2:
        case 5:
          known = differ;
          break;
        case 1:
        case 6:
          known = below || not_below;
          break;
        case 4:
        case 3:
          known = above || not_above;
          break;
        default:
          known = true;
      }
      if (!known) doubt |= 1u << lane;
    }
    undefined |= doubt;
  }
  for (int i = 0; i < in.dst_count; ++i) {
    w.set_defined(in.dst[i], w.active);
    w.undefine(in.dst[i], undefined);
  }
}

void predicates(Warp& w, const Instruction& in) {
  u32 undefined = 0;
  for (int i = 0; i < in.src_count; ++i) undefined |= w.undefined(in.src[i]);
  undefined &= w.active;
  for (int i = 0; i < in.dst_count; ++i) {
    w.set_defined(in.dst[i], w.active);
    w.undefine(in.dst[i], undefined);
  }
}

void pack(Warp& w, const Instruction& in) {
  each_lane(w, in, [&](u32 lane) {
    u64 out = 0;
    for (int i = 0; i < in.src_count; ++i) {
      out |= (w.undefined_bits(in.src[i], lane) & mask_of(in.bytes)) << (8 * in.bytes * i);
    }
    return out;
  });
}

void unpack(Warp& w, const Instruction& in) {
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    const u64 bits = w.undefined_bits(in.src[0], lane);
    for (int i = 0; i < in.dst_count; ++i) {
      w.set_undefined(in.dst[i], lane, bits >> (8 * in.bytes * i) & mask_of(in.bytes));
    }
  }
}

}  // namespace gpu::ops::shadow
