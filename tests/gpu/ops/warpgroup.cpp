// wgmma: D (64 x N, float, in registers) = A (64 x 16) B (16 x N) + D for a warpgroup, four
// consecutive warps. A product is started by all four, and done when they have waited for it: see
// PTX manual, "Asynchronous warpgroup level matrix instructions".
#include "gpu/ops/warpgroup.hpp"

#include <algorithm>
#include <cstring>

#include "gpu/ops/access.hpp"
#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"
#include "gpu/ops/warp_wide.hpp"

namespace gpu::ops {
namespace {

using ptx::Operand;
using ptx::Type;

constexpr u32 kRows = 16;  // of D, per warp

enum Flag : u8 { kBf16 = 1, kRegistersA = 2, kOuterA = 4, kOuterB = 8, kNegative = 16 };

/// Sources: the accumulators, A (a descriptor or four registers), the descriptor of B, scale-d.
struct Operands {
  explicit Operands(const Instruction& in)
      : columns(in.extra), accumulators(in.dst_count), a(accumulators) {
    b = a + ((in.flags & kRegistersA) != 0 ? 4 : 1);
    scale = b + 1;
  }
  u32 columns;
  int accumulators, a, b, scale;
};

Major major_a(const Instruction& in) { return (in.flags & kOuterA) != 0 ? Major::outer : Major::k; }
Major major_b(const Instruction& in) { return (in.flags & kOuterB) != 0 ? Major::outer : Major::k; }

/// Where element `i` of a lane's accumulators lies in the 16 rows of its warp (PTX manual,
/// "Register fragments and shared memory matrix layouts" of wgmma: Figure "WGMMA .m64nNk16 D").
u32 place_in_d(u32 i, u32 lane, u32 columns) {
  const u32 row = lane / 4 + i / 2 % 2 * 8;
  return row * columns + i / 4 * 8 + lane % 4 * 2 + i % 2;
}

std::string place_of(const Instruction& in, u32 site) {
  const Site& s = in.function->sites[site];
  return "'" + s.text + "' (line " + std::to_string(s.line) + ")";
}

/// In a called function registers in flight would outlive their frame.
bool in_kernel(Warp& w) {
  if (w.frame->parent == nullptr) return true;
  w.fail(Fault::unsupported, w.active,
         "wgmma is supported in kernels and what is inlined into them, not in called functions");
  return false;
}

/// All lanes have the same defined value.
bool is_uniform(Warp& w, const Instruction& in, int source, const char* what) {
  const bool address = in.src[source].wide;
  if (w.require_defined(in, source, 1,
                        address ? Fault::undefined_address : Fault::undefined_operand, what) != 0) {
    return false;
  }
  const Ref r = in.src[source];
  u32 different = 0;
  if (r.predicate) {
    const u32 lanes = w.predicate(r);
    if (lanes != 0 && lanes != ~0u) different = ~lanes;
  } else {
    for (u32 lane = 1; lane < 32; ++lane) {
      if (w.value(r, lane) != w.value(r, 0)) different |= 1u << lane;
    }
  }
  if (different == 0) return true;
  w.fail(Fault::divergence, different, std::string(what) + " differs between lanes of the warp");
  return false;
}

/// wgmma.fence orders accesses of the warp to registers that the product uses.
bool check_fences(Warp& w, const Instruction& in, const Operands& o) {
  const u32 stamp = w.fences + 1;
  if (w.fences == 0) {
    w.fail(Fault::missing_fence, w.active,
           "wgmma.fence must come before the first product of a kernel");
    return false;
  }
  for (int i = 0; i < o.accumulators; ++i) {
    const HeldRegister& h = w.held[in.src[i].unit];
    if (h.accumulators != nullptr) continue;
    if (h.accessed == stamp) {
      w.fail(Fault::missing_fence, w.active,
             "accumulator " + std::to_string(i) + " was used by " + place_of(in, h.by) +
                 ", no wgmma.fence since");
      return false;
    }
    if (h.produced == stamp && h.columns != o.columns) {
      w.fail(Fault::missing_fence, w.active,
             "accumulator " + std::to_string(i) +
                 " belongs to a product of another shape, no wgmma.fence since");
      return false;
    }
  }
  if ((in.flags & kRegistersA) == 0) return true;
  for (int i = 0; i < 4; ++i) {
    const HeldRegister& h = w.held[in.src[o.a + i].unit];
    if (h.written != stamp) continue;
    w.fail(Fault::missing_fence, w.active,
           "register " + std::to_string(i) + " of A was written by " + place_of(in, h.by) +
               ", no wgmma.fence since");
    return false;
  }
  return true;
}

/// The accumulators are not in flight, or those of one earlier product of the same shape.
bool check_in_flight(Warp& w, const Instruction& in, const Operands& o) {
  const auto fail = [&](std::string what, u32 site) {
    w.fail(Fault::product_in_flight, w.active,
           std::move(what) + ": " + place_of(in, site) +
               "; wgmma.wait_group must come first, unless both have the same shape and the same "
               "accumulators");
    return false;
  };
  const auto& first = w.held[in.src[0].unit].accumulators;
  for (int i = 0; i < o.accumulators; ++i) {
    const HeldRegister& h = w.held[in.src[i].unit];
    const std::string name = "accumulator " + std::to_string(i);
    if (h.readers != 0) return fail(name + " is a part of A in flight", h.by);
    if (h.accumulators == nullptr && first == nullptr) continue;
    const bool same =
        h.accumulators == first && h.element == static_cast<u32>(i) && first->columns == o.columns;
    if (!same)
      return fail(name + " is in flight otherwise",
                  (h.accumulators ? h.accumulators : first)->site);
  }
  if ((in.flags & kRegistersA) == 0) return true;
  for (int i = 0; i < 4; ++i) {
    const HeldRegister& h = w.held[in.src[o.a + i].unit];
    if (h.accumulators != nullptr) {
      return fail("register " + std::to_string(i) + " of A is an accumulator in flight",
                  h.accumulators->site);
    }
  }
  return true;
}

/// The warp's accumulators go out of its hands.
std::shared_ptr<Accumulators> take_accumulators(Warp& w, const Instruction& in, const Operands& o,
                                                bool accumulates) {
  std::shared_ptr<Accumulators> acc = w.held[in.src[0].unit].accumulators;
  const auto count = static_cast<u32>(o.accumulators);
  if (acc != nullptr && acc->names.size() == count) return acc;
  auto taken = std::make_shared<Accumulators>();
  taken->columns = o.columns;
  taken->values.resize(std::size_t{kRows} * o.columns);
  if (acc != nullptr) {
    // copies made in flight keep the values up to here
    const auto is_mine = [&](const auto& name) { return in.src[name.first].unit == name.second; };
    std::erase_if(acc->names, is_mine);
    if (accumulates) taken->before = acc;
  }
  for (u32 i = 0; i < count; ++i) {
    const Ref r = in.src[i];
    if (acc == nullptr && accumulates) {
      const u32* words = w.words(r);
      for (u32 lane = 0; lane < 32; ++lane) {
        taken->values[place_in_d(i, lane, o.columns)] = std::bit_cast<float>(words[lane]);
      }
      for (u32 set = w.undefined(r); set != 0; set &= set - 1) {
        if (taken->doubts.empty()) taken->doubts.resize(taken->values.size());
        taken->doubts[place_in_d(i, static_cast<u32>(std::countr_zero(set)), o.columns)] = 1;
      }
    }
    HeldRegister& h = w.held[r.unit];
    h.accumulators = taken;
    h.element = i;
    h.columns = o.columns;
    taken->names.emplace_back(i, r.unit);
    w.undefine(r, ~0u);
  }
  return taken;
}

/// A's fragment as that of mma.m16n8k16.
void take_a(Warp& w, const Instruction& in, const Operands& o, Product& p) {
  const u32 first = w.index % 4 * kRows;
  const bool bf16 = (in.flags & kBf16) != 0;
  for (u32 r = 0; r < 4; ++r) {
    const Ref ref = in.src[o.a + static_cast<int>(r)];
    std::array<u16, 64> halves;
    std::array<float, 64> values;
    std::memcpy(halves.data(), w.words(ref), sizeof halves);
    to_floats(halves.data(), 64, bf16, values.data());
    for (u32 lane = 0; lane < 32; ++lane) {
      const u32 row = first + lane / 4 + r % 2 * 8;
      const u32 k = lane % 4 * 2 + r / 2 * 8;
      p.a[row * 16 + k] = values[2 * lane];
      p.a[row * 16 + k + 1] = values[2 * lane + 1];
      if (w.undefined_bits(ref, lane) != 0) p.undefined_rows |= u64{1} << row;
    }
  }
}

/// The pieces' offsets in shared memory, if all of them are there.
bool place_operand(Warp& w, u64 bits, u32 outer, Major major, const char* what,
                   std::vector<u32>& places) {
  const Descriptor d(bits);
  if (!d.is_clean || d.base != 0) {
    w.fail(d.is_clean ? Fault::unsupported : Fault::misaligned, w.active,
           std::string("the descriptor of ") + what +
               (d.is_clean ? " has a base offset; tiles must start where their pattern does"
                           : " has bits outside its fields"));
    return false;
  }
  std::vector<u32> pieces = d.pieces(outer, major);
  const Block& block = w.block;
  for (u32& piece : pieces) {
    const u32 offset = piece - kSharedBase;
    const bool in_gap =
        offset >= block.static_shared && offset < block.dynamic_shared - kSharedBase;
    if (piece < kSharedBase || offset + 16 > block.shared_bytes || in_gap) {
      w.fail(Fault::out_of_bounds, w.active,
             std::string("the descriptor of ") + what + " leads to 16 bytes at shared address " +
                 std::to_string(piece) + "; the block's " + std::to_string(block.shared_bytes) +
                 " bytes lie from " + std::to_string(kSharedBase) + " to " +
                 std::to_string(kSharedBase + block.shared_bytes));
      return false;
    }
    piece = offset;
  }
  places = std::move(pieces);
  return true;
}

/// Reads an operand: floats, and which outer indices have undefined elements.
template <class Note>
void read_operand(const Block& block, const std::vector<u32>& places, u32 outer, Major major,
                  bool bf16, float* out, u32 outer_step, u32 k_step, Note note) {
  std::vector<u16> raw(places.size() * 8), defined(places.size() * 8);
  u16 all = 0xFFFF;
  for (std::size_t i = 0; i < places.size(); ++i) {
    std::memcpy(&raw[i * 8], block.shared.data() + places[i], 16);
    std::memcpy(&defined[i * 8], block.shared_defined.data() + places[i], 16);
  }
  for (const u16 d : defined) all &= d;
  std::vector<float> values(raw.size());
  to_floats(raw.data(), static_cast<u32>(raw.size()), bf16, values.data());
  place_elements(values.data(), outer, major, out, outer_step, k_step);
  if (all == 0xFFFF) return;
  each_outer(outer, major, [&](u32 i, u32 index) {
    if (defined[i] != 0xFFFF) note(index);
  });
}

void read_operands(const Block& block, Product& p) {
  if (p.taken) return;
  p.taken = true;
  const Instruction& in = *p.in;
  const bool bf16 = (in.flags & kBf16) != 0;
  if (!p.sound) {
    p.undefined_rows = ~u64{0};
    return;
  }
  if (!p.places_a.empty()) {
    read_operand(block, p.places_a, 64, major_a(in), bf16, p.a.data(), 16, 1,
                 [&](u32 row) { p.undefined_rows |= u64{1} << row; });
  }
  read_operand(block, p.places_b, p.columns, major_b(in), bf16, p.b.data(), 1, p.columns,
               [&](u32 column) { p.undefined_columns.set(column); });
  if ((in.flags & kNegative) != 0) {
    for (float& a : p.a) a = -a;
  }
}

/// All four warps are there.
void start(Warp& w, Product& p) {
  Block& block = w.block;
  const Instruction& in = *p.in;
  const u32 first = w.index / 4 * 4;
  if (p.sound && (in.flags & kRegistersA) == 0) {
    p.sound = place_operand(w, p.descriptor_a, 64, major_a(in), "A", p.places_a);
  }
  p.sound = p.sound && place_operand(w, p.descriptor_b, p.columns, major_b(in), "B", p.places_b);
  if (!p.sound) p.places_a.clear();
  for (const auto* places : {&p.places_a, &p.places_b}) {
    report_race(w, 0, block.races.begin_read(first, p.site, *places));
  }
  const CopyTiming timing = w.worker().launch.options.copies;
  const bool early =
      timing == CopyTiming::by_seed ? (block.random.next() & 1) != 0 : timing == CopyTiming::early;
  if (early) read_operands(block, p);
  for (u32 i = first; i < first + 4; ++i) {
    if (i != w.index) block.warps[i]->release(~0u);
  }
}

/// The warps of a warpgroup execute one product.
std::shared_ptr<Product> join(Warp& w, const Instruction& in, const Operands& o) {
  Block& block = w.block;
  if (block.warpgroups.empty()) block.warpgroups.resize((block.warps.size() + 3) / 4);
  Warpgroup& group = block.warpgroups[w.index / 4];
  if (w.index / 4 * 4 + 4 > block.warps.size()) {
    w.fail(Fault::barrier, w.active,
           "the warpgroup has fewer than four warps: the block's threads are no multiple of 128");
    return nullptr;
  }
  if (group.gathering == nullptr) {
    auto p = std::make_shared<Product>();
    p->in = &in;
    p->site = w.site();
    p->columns = o.columns;
    p->a.resize(64 * 16);
    p->b.resize(std::size_t{16} * o.columns);
    group.gathering = p;
  } else if (group.gathering->in != &in) {
    w.fail(Fault::barrier, w.active,
           "another warp of the warpgroup waits at " + place_of(in, group.gathering->site) +
               "; all four must execute the same product");
    return nullptr;
  }
  return group.gathering;
}

void product_run(Warp& w, const Instruction& in) {
  if (!gather_whole_warp(w) || !in_kernel(w)) return;
  const Operands o(in);
  const auto p = join(w, in, o);
  if (p == nullptr) return;
  const bool from_registers = (in.flags & kRegistersA) != 0;
  bool sound = check_in_flight(w, in, o) && check_fences(w, in, o);
  sound = sound && (from_registers || is_uniform(w, in, o.a, "the descriptor of A"));
  sound = sound && is_uniform(w, in, o.b, "the descriptor of B");
  sound = sound && is_uniform(w, in, o.scale, "scale-d");
  const bool accumulates = (w.predicate(in.src[o.scale]) & 1) != 0;
  const u64 a = from_registers ? 0 : w.value(in.src[o.a], 0);
  const u64 b = w.value(in.src[o.b], 0);
  if (p->arrived == 0) {
    p->accumulates = accumulates;
    p->descriptor_a = a;
    p->descriptor_b = b;
  } else if (sound && p->sound &&
             (p->descriptor_a != a || p->descriptor_b != b || p->accumulates != accumulates)) {
    w.fail(Fault::divergence, w.active,
           "the descriptors or scale-d differ between warps of the warpgroup");
    sound = false;
  }
  p->sound = p->sound && sound;

  StartedProduct started;
  started.product = p;
  if (sound) {
    if (from_registers) {
      take_a(w, in, o, *p);
      for (int i = 0; i < 4; ++i) {
        HeldRegister& h = w.held[in.src[o.a + i].unit];
        ++h.readers;
        h.by = w.site();
        started.registers_a.push_back(in.src[o.a + i].unit);
      }
    }
    started.accumulators = take_accumulators(w, in, o, accumulates);
    started.accumulators->site = w.site();
    ++started.accumulators->pending;
    for (int i = 0; i < o.accumulators; ++i) w.held[in.src[i].unit].produced = w.fences + 1;
  }
  w.products.open.push_back(std::move(started));
  // each warp is counted for a quarter of what the warpgroup reads
  w.tally().product_bytes += (from_registers ? 0 : 16 * 16 * 2) + o.columns * 16 * 2 / 4;

  if (++p->arrived < 4) return w.wait_at_barrier(Wait::warpgroup);
  w.block.warpgroups[w.index / 4].gathering = nullptr;
  start(w, *p);
}

/// The registers get the values.
void land(Warp& w, Accumulators& acc) {
  for (const auto& [element, unit] : acc.names) {
    Ref r;
    r.unit = unit;
    u32* words = w.words(r);
    w.set_defined(r, ~0u);
    for (u32 lane = 0; lane < 32; ++lane) {
      const u32 at = place_in_d(element, lane, acc.columns);
      const float value = acc.values[at];
      words[lane] = value != value ? kNan32 : std::bit_cast<u32>(value);
      if (!acc.doubts.empty() && acc.doubts[at] != 0) w.set_undefined(r, lane, 0xFFFFFFFFu);
    }
    w.held[unit].accumulators = nullptr;
    w.held[unit].is_result = true;
  }
  acc.names.clear();
}

/// The warp's part of a product is done.
void finish(Warp& w, StartedProduct& s) {
  Product& p = *s.product;
  read_operands(w.block, p);
  for (const auto* places : {&p.places_a, &p.places_b}) {
    w.block.races.end_read(w.index, p.site, *places);
  }
  for (const u32 unit : s.registers_a) --w.held[unit].readers;
  if (s.accumulators == nullptr) return;
  Accumulators& acc = *s.accumulators;
  if (!p.accumulates) {
    std::fill(acc.values.begin(), acc.values.end(), 0.0f);
    acc.doubts.clear();
  } else if (acc.before != nullptr) {
    acc.values = acc.before->values;
    acc.doubts = acc.before->doubts;
  }
  acc.before = nullptr;
  const u32 first = w.index % 4 * kRows;
  const auto& options = w.worker().launch.options;
  multiply_add(p.a.data() + first * 16, p.b.data(), acc.values.data(), acc.columns,
               adding_order(w.worker().seed(), options.perturb));
  const u64 rows = p.undefined_rows >> first & 0xFFFF;
  if (rows != 0 || p.undefined_columns.any()) {
    acc.doubts.resize(acc.values.size());
    for (u32 i = 0; i < acc.doubts.size(); ++i) {
      if ((rows >> i / acc.columns & 1) != 0 || p.undefined_columns[i % acc.columns]) {
        acc.doubts[i] = 1;
      }
    }
  }
  if (--acc.pending == 0) land(w, acc);
}

void fence_run(Warp& w, const Instruction&) {
  if (gather_whole_warp(w) && in_kernel(w)) ++w.fences;
}

void commit_run(Warp& w, const Instruction&) {
  if (!gather_whole_warp(w) || !in_kernel(w)) return;
  w.products.groups.push_back(std::move(w.products.open));
  w.products.open.clear();
}

/// All but the newest `offset` groups are done.
void wait_run(Warp& w, const Instruction& in) {
  if (!gather_whole_warp(w) || !in_kernel(w)) return;
  auto& groups = w.products.groups;
  while (groups.size() > static_cast<std::size_t>(in.offset)) {
    for (StartedProduct& s : groups.front()) finish(w, s);
    groups.pop_front();
  }
}

/// setmaxnreg gives registers back or asks for more: here they are there anyway.
void limit_run(Warp& w, const Instruction& in) {
  if (!gather_whole_warp(w)) return;
  Block& block = w.block;
  if (block.warpgroups.empty()) block.warpgroups.resize((block.warps.size() + 3) / 4);
  auto& limits = block.warpgroups[w.index / 4].limits;
  if (w.limits == limits.size()) limits.push_back(&in);
  if (limits[w.limits++] == &in) return;
  w.fail(Fault::divergence, w.active,
         "another warp of the warpgroup executes another setmaxnreg; all four must agree");
}

void expect_aligned(Decoder& d) {
  d.expect("sync");
  d.expect("aligned");
}

s64 literal_of(Decoder& d, std::size_t i, s64 one, s64 other) {
  const s64 value = d.literal(i);
  if (value != one && value != other) throw Unsupported("an immediate of another value");
  return value;
}

u32 take_columns(Decoder& d) {
  for (u32 n = 8; n <= 256; n += 8) {
    if (d.accept("m64n" + std::to_string(n) + "k16")) return n;
  }
  throw Unsupported("wgmma of this shape");
}

void decode_product(Decoder& d) {
  Instruction& in = d.in();
  expect_aligned(d);
  in.extra = take_columns(d);
  const Type type_d = d.take_type(), type_a = d.take_type(), type_b = d.take_type();
  if (type_d != Type::f32 || type_a != type_b || (type_a != Type::f16 && type_a != Type::bf16)) {
    throw Unsupported("wgmma of these types");
  }
  if (type_a == Type::bf16) in.flags |= kBf16;
  const Operand& to = d.operand(0);
  if (to.kind != Operand::Kind::vector || to.items.size() != in.extra / 2) {
    throw Unsupported("fragment of another length");
  }
  for (const Operand& item : to.items) {
    if (item.kind != Operand::Kind::reg) throw Unsupported("an accumulator must be a register");
    d.dst(item, Type::b32);
    d.src(item, Type::b32);
  }
  const Operand& a = d.operand(1);
  const bool from_registers = a.kind == Operand::Kind::vector;
  if (from_registers) {
    if (a.items.size() != 4) throw Unsupported("fragment of another length");
    in.flags |= kRegistersA;
    for (const Operand& item : a.items) {
      if (item.kind != Operand::Kind::reg) throw Unsupported("A must be in registers");
      d.src(item, Type::b32);
    }
  } else {
    d.src(a, Type::b64);
  }
  d.src(2, Type::b64);
  d.src(3, Type::pred);
  if (d.operand_count() != (from_registers ? 7u : 8u))
    throw Unsupported("another number of operands");
  if (literal_of(d, 4, 1, -1) * literal_of(d, 5, 1, -1) < 0) in.flags |= kNegative;
  if (!from_registers && literal_of(d, 6, 0, 1) == 1) in.flags |= kOuterA;
  if (literal_of(d, from_registers ? 6 : 7, 0, 1) == 1) in.flags |= kOuterB;
  in.holds = true;
  d.set(product_run, nullptr);
}

void decode_wgmma(Decoder& d) {
  Instruction& in = d.in();
  in.effect = true;
  if (d.accept("mma_async")) return decode_product(d);
  if (d.accept("fence")) {
    d.set(fence_run, nullptr);
  } else if (d.accept("commit_group")) {
    d.set(commit_run, nullptr);
  } else {
    d.expect("wait_group");
    in.offset = d.literal(0);
    d.set(wait_run, nullptr);
  }
  expect_aligned(d);
}

void decode_limit(Decoder& d) {
  d.in().effect = true;
  if (d.accept_one({"inc", "dec"}) < 0) throw Unsupported("expected .inc or .dec");
  expect_aligned(d);
  d.expect("u32");
  const s64 registers = d.literal(0);
  if (registers % 8 != 0 || registers < 24 || registers > 256) {
    throw Unsupported("the number of registers is a multiple of 8 from 24 to 256");
  }
  d.set(limit_run, nullptr);
}

}  // namespace

void register_warpgroup(Registry& r) {
  r.add("wgmma", decode_wgmma);
  r.add("setmaxnreg", decode_limit);
}

}  // namespace gpu::ops
