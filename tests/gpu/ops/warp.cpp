#include <algorithm>

#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"
#include "gpu/ops/warp_wide.hpp"

namespace gpu::ops {

bool gather_members(Warp& w, const Instruction& in, int i, u32& mask) {
  const u32 undefined = w.undefined(in.src[i]) & w.active;
  if (undefined != 0) {
    w.fail(Fault::undefined_operand, undefined, "the member mask has undefined bits");
    return false;
  }
  const u32* masks = w.words(in.src[i]);
  const u32 named = masks[std::countr_zero(w.active)];
  u32 different = 0, outside = 0;
  for (u32 lane = 0; lane < 32; ++lane) {
    if ((w.active >> lane & 1) == 0) continue;
    if (masks[lane] != named) different |= 1u << lane;
    if ((masks[lane] >> lane & 1) == 0) outside |= 1u << lane;
  }
  if (outside != 0) {
    w.fail(Fault::divergence, outside, "the lane executes this but is not in its own member mask");
    return false;
  }
  if (different != 0) {
    // groups of lanes with masks of their own execute one after the other
    const u32 first = w.active & ~different;
    w.split_active(first);
  }
  if (!w.gathered(named)) return false;
  mask = named & w.active;
  return true;
}

bool gather_whole_warp(Warp& w) {
  if (!w.gathered_all()) return false;
  if (w.active == ~0u) return true;
  w.fail(Fault::divergence, w.active,
         "all 32 lanes of the warp must execute this, but some have ended or do not exist");
  return false;
}

namespace {

using ptx::Type;

enum Shuffle : u8 { kUp, kDown, kButterfly, kIndex };

void shuffle_run(Warp& w, const Instruction& in) {
  u32 mask = 0;
  if (!gather_members(w, in, 3, mask)) return;
  const u32* a = w.words(in.src[0]);
  const u32* b = w.words(in.src[1]);
  const u32* c = w.words(in.src[2]);
  const u32 source_undefined = w.undefined(in.src[0]);
  const u32 steering = (w.undefined(in.src[1]) | w.undefined(in.src[2])) & w.active;
  alignas(64) u32 out[32];
  alignas(64) u32 undefined[32];
  u32 in_range = 0;
  u32 doubtful = 0;
  for (u32 lane = 0; lane < 32; ++lane) {
    const u32 distance = b[lane] & 31, segment = c[lane] >> 8 & 31;
    const u32 last = (lane & segment) | (c[lane] & 31 & ~segment);
    s32 from = 0;
    bool valid = false;
    switch (in.mode) {
      case kUp:
        from = static_cast<s32>(lane) - static_cast<s32>(distance);
        valid = from >= static_cast<s32>(last);
        break;
      case kDown:
        from = static_cast<s32>(lane + distance);
        valid = from <= static_cast<s32>(last);
        break;
      case kButterfly:
        from = static_cast<s32>(lane ^ distance);
        valid = from <= static_cast<s32>(last);
        break;
      default:
        from = static_cast<s32>((lane & segment) | (distance & ~segment));
        valid = from <= static_cast<s32>(last);
    }
    if (!valid) from = static_cast<s32>(lane);
    const auto source = static_cast<u32>(from) & 31;
    out[lane] = a[source];
    if (valid) in_range |= 1u << lane;
    const bool absent = (mask >> source & 1) == 0;
    undefined[lane] = absent || (steering >> lane & 1) != 0
                          ? ~0u
                          : static_cast<u32>(w.undefined_bits(in.src[0], source));
    if (undefined[lane] != 0) doubtful |= 1u << lane;
  }
  commit(w, in.dst[0], out);
  if (in.dst_count > 1) w.set_predicate(in.dst[1], in_range);
  w.define_results(in);
  if ((source_undefined | doubtful) != 0) {
    for (u32 set = doubtful & w.active; set != 0; set &= set - 1) {
      const auto lane = static_cast<u32>(std::countr_zero(set));
      w.set_undefined(in.dst[0], lane, undefined[lane]);
    }
  }
}

/// d or d|p
void take_result(Decoder& d, Type type) {
  const ptx::Operand& to = d.operand(0);
  d.dst(to, type);
  if (to.second >= 0) d.dst_ref(d.predicate(to.second));
}

void decode_shfl(Decoder& d) {
  d.expect("sync");
  const int mode = d.accept_one({"up", "down", "bfly", "idx"});
  if (mode < 0) throw Unsupported("expected a kind of shuffle");
  d.expect("b32");
  d.in().mode = static_cast<u8>(mode);
  d.in().effect = true;
  take_result(d, Type::b32);
  for (std::size_t i = 1; i < 5; ++i) d.src(i, Type::b32);
  d.set(shuffle_run, nullptr);
}

enum Vote : u8 { kAll, kAny, kUniform, kBallot };

void vote_run(Warp& w, const Instruction& in) {
  u32 mask = 0;
  if (!gather_members(w, in, 1, mask)) return;
  const u32 votes = w.predicate(in.src[0]) & mask;
  const u32 undefined = w.undefined(in.src[0]) & mask;
  if (in.mode == kBallot) {
    for (u32 set = w.active; set != 0; set &= set - 1) {
      const auto lane = static_cast<u32>(std::countr_zero(set));
      w.set_value(in.dst[0], lane, votes);
      w.set_undefined(in.dst[0], lane, undefined);
    }
    return;
  }
  const bool truth = in.mode == kAll   ? votes == mask
                     : in.mode == kAny ? votes != 0
                                       : votes == 0 || votes == mask;
  w.set_predicate(in.dst[0], truth ? ~0u : 0);
  w.define_results(in);
  // one defined no decides "all", one defined yes "any"
  const bool decided = (in.mode == kAll && ((mask & ~votes) & ~undefined) != 0) ||
                       (in.mode == kAny && (votes & ~undefined) != 0);
  if (undefined != 0 && !decided) w.undefine(in.dst[0], w.active);
}

void decode_vote(Decoder& d) {
  d.expect("sync");
  const int mode = d.accept_one({"all", "any", "uni", "ballot"});
  if (mode < 0) throw Unsupported("expected a kind of vote");
  d.in().mode = static_cast<u8>(mode);
  d.in().effect = true;
  const Type type = d.take_type();
  d.dst(0, type);
  d.src(1, Type::pred);
  d.src(2, Type::b32);
  d.set(vote_run, nullptr);
}

void match_run(Warp& w, const Instruction& in) {
  u32 mask = 0;
  if (!gather_members(w, in, 1, mask)) return;
  const u32 undefined = w.undefined(in.src[0]) & mask;
  u32 all_equal = 0;
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    u32 same = 0;
    for (u32 other = mask; other != 0; other &= other - 1) {
      const auto peer = static_cast<u32>(std::countr_zero(other));
      if (w.value(in.src[0], peer) == w.value(in.src[0], lane)) same |= 1u << peer;
    }
    if (in.mode == 1) {  // all
      if (same == mask) all_equal |= 1u << lane;
      same = same == mask ? mask : 0;
    }
    w.set_value(in.dst[0], lane, same);
  }
  if (in.dst_count > 1) w.set_predicate(in.dst[1], all_equal);
  w.define_results(in);
  if (undefined != 0) {
    for (int i = 0; i < in.dst_count; ++i) w.undefine(in.dst[i], w.active);
  }
}

void decode_match(Decoder& d) {
  const bool all = d.accept("all");
  if (!all) d.expect("any");
  d.expect("sync");
  const Type type = d.take_type();
  d.in().mode = all ? 1 : 0;
  d.in().effect = true;
  take_result(d, Type::b32);
  d.src(1, type);
  d.src(2, Type::b32);
  d.set(match_run, nullptr);
}

enum Reduction : u8 { kAdd, kMin, kMax, kAnd, kOr, kXor };

void redux_run(Warp& w, const Instruction& in) {
  u32 mask = 0;
  if (!gather_members(w, in, 1, mask)) return;
  const u32* a = w.words(in.src[0]);
  const bool is_signed = in.type == Type::s32;
  bool first = true;
  u32 result = 0;
  u32 undefined = 0;
  for (u32 set = mask; set != 0; set &= set - 1) {
    const auto lane = static_cast<u32>(std::countr_zero(set));
    const u32 x = a[lane];
    undefined |= static_cast<u32>(w.undefined_bits(in.src[0], lane));
    const bool less = is_signed ? static_cast<s32>(x) < static_cast<s32>(result) : x < result;
    if (first) {
      result = x;
    } else {
      switch (in.mode) {
        case kAdd:
          result += x;
          break;
        case kMin:
          result = less ? x : result;
          break;
        case kMax:
          result = less ? result : x;
          break;
        case kAnd:
          result &= x;
          break;
        case kOr:
          result |= x;
          break;
        default:
          result ^= x;
      }
    }
    first = false;
  }
  for (u32 set = w.active; set != 0; set &= set - 1) {
    w.set_value(in.dst[0], static_cast<u32>(std::countr_zero(set)), result);
  }
  w.define_results(in);
  if (undefined != 0) w.undefine(in.dst[0], w.active);
}

void decode_redux(Decoder& d) {
  d.expect("sync");
  const int mode = d.accept_one({"add", "min", "max", "and", "or", "xor"});
  if (mode < 0) throw Unsupported("expected a kind of reduction");
  d.in().mode = static_cast<u8>(mode);
  d.in().type = d.take_type();
  if (d.in().type == Type::f32) throw Unsupported("redux of floats");
  d.in().effect = true;
  d.dst(0, Type::b32);
  d.src(1, Type::b32);
  d.src(2, Type::b32);
  d.set(redux_run, nullptr);
}

void decode_activemask(Decoder& d) {
  d.expect("b32");
  d.dst(0, Type::b32);
  d.set(
      [](Warp& w, const Instruction& in) {
        for (u32 set = w.active; set != 0; set &= set - 1) {
          w.set_value(in.dst[0], static_cast<u32>(std::countr_zero(set)), w.active);
        }
        w.define_results(in);
      },
      nullptr);
}

/// elect.sync d|p, mask: p in one lane, its number in d.
void decode_elect(Decoder& d) {
  d.expect("sync");
  d.in().effect = true;
  take_result(d, Type::b32);
  d.src(1, Type::b32);
  d.set(
      [](Warp& w, const Instruction& in) {
        u32 mask = 0;
        if (!gather_members(w, in, 0, mask)) return;
        const auto leader = static_cast<u32>(std::countr_zero(mask));
        for (u32 set = w.active; set != 0; set &= set - 1) {
          w.set_value(in.dst[0], static_cast<u32>(std::countr_zero(set)), leader);
        }
        if (in.dst_count > 1) w.set_predicate(in.dst[1], 1u << leader);
        w.define_results(in);
      },
      nullptr);
}

}  // namespace

void register_warp(Registry& r) {
  r.add("shfl", decode_shfl);
  r.add("vote", decode_vote);
  r.add("match", decode_match);
  r.add("redux", decode_redux);
  r.add("activemask", decode_activemask);
  r.add("elect", decode_elect);
}

}  // namespace gpu::ops
