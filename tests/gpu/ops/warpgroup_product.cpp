// A product of a warpgroup: it takes the warps' registers, reads shared memory and adds.
#include <algorithm>
#include <cstring>
#include <span>

#include "gpu/ops/access.hpp"
#include "gpu/ops/async.hpp"
#include "gpu/ops/warpgroup.hpp"

namespace gpu::ops::wgmma {
namespace {

constexpr u32 kRows = 16;  // of D, per warp

SharedMatrix matrix_a(const Instruction& in) {
  return {64, (in.flags & kOuterA) != 0 ? Major::outer : Major::k, in.type};
}
SharedMatrix matrix_b(const Instruction& in) {
  return {in.extra, (in.flags & kOuterB) != 0 ? Major::outer : Major::k, in.type};
}

/// Where element `i` of a lane's accumulators lies in the 16 rows of its warp (PTX manual,
/// "Register fragments and shared memory matrix layouts" of wgmma: Figure "WGMMA .m64nNk16 D").
u32 place_in_d(u32 i, u32 lane, u32 columns) {
  const u32 row = lane / 4 + i / 2 % 2 * 8;
  return row * columns + i / 4 * 8 + lane % 4 * 2 + i % 2;
}

/// The warp's accumulators go out of its hands.
std::shared_ptr<Accumulators> take_accumulators(Warp& w, const Instruction& in, const Operands& o,
                                                bool accumulates) {
  std::shared_ptr<Accumulators> acc = w.held[in.src[0].unit].accumulators;
  const auto count = static_cast<u32>(o.accumulators);
  if (acc != nullptr && acc->names.size() == count) return acc;
  auto taken = std::make_shared<Accumulators>();
  const u32 columns = o.shape.columns;
  taken->shape = o.shape;
  taken->values.resize(std::size_t{kRows} * columns);
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
        taken->values[place_in_d(i, lane, columns)] = std::bit_cast<float>(words[lane]);
      }
      for (u32 set = w.undefined(r); set != 0; set &= set - 1) {
        if (taken->doubts.empty()) taken->doubts.resize(taken->values.size());
        taken->doubts[place_in_d(i, static_cast<u32>(std::countr_zero(set)), columns)] = 1;
      }
    }
    HeldRegister& h = w.held[r.unit];
    h.accumulators = taken;
    h.element = i;
    h.shape = o.shape;
    taken->names.emplace_back(i, r.unit);
    w.undefine(r, ~0u);
  }
  return taken;
}

/// A's fragment as that of mma.m16n8k16, or of tf32's mma.m16n8k8.
void take_a(Warp& w, const Instruction& in, const Operands& o, Product& p) {
  const u32 first = w.index % 4 * kRows;
  const u32 depth = o.shape.depth, per_word = depth / 8;  // elements
  for (u32 r = 0; r < 4; ++r) {
    const Ref ref = in.src[o.a + static_cast<int>(r)];
    std::array<float, 64> values;
    to_floats(w.words(ref), 32 * per_word, in.type, values.data());
    for (u32 lane = 0; lane < 32; ++lane) {
      const u32 row = first + lane / 4 + r % 2 * 8;
      const u32 k = lane % 4 * per_word + r / 2 * (depth / 2);
      for (u32 e = 0; e < per_word; ++e) p.a[row * depth + k + e] = values[lane * per_word + e];
      if (w.undefined_bits(ref, lane) != 0) p.undefined_rows |= u64{1} << row;
    }
  }
}

/// The pieces' offsets in shared memory, if all of them are there.
bool place_operand(Warp& w, u64 bits, const SharedMatrix& m, const char* what,
                   std::vector<u32>& places) {
  const Descriptor d(bits);
  if (!d.is_clean || d.base != 0) {
    w.fail(d.is_clean ? Fault::unsupported : Fault::misaligned, w.active,
           std::string("the descriptor of ") + what +
               (d.is_clean ? " has a base offset; tiles must start where their pattern does"
                           : " has bits outside its fields"));
    return false;
  }
  std::vector<u32> pieces = d.pieces(m);
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
void read_operand(const Block& block, const std::vector<u32>& places, const SharedMatrix& m,
                  float* out, u32 outer_step, u32 k_step, Note note) {
  std::vector<u8> raw(places.size() * 16), defined(places.size() * 16);
  u8 all = 0xFF;
  for (std::size_t i = 0; i < places.size(); ++i) {
    std::memcpy(&raw[i * 16], block.shared.data() + places[i], 16);
    std::memcpy(&defined[i * 16], block.shared_defined.data() + places[i], 16);
  }
  for (const u8 d : defined) all &= d;
  const u32 bytes = ptx::bytes_of(m.element);
  std::vector<float> values(raw.size() / bytes);
  to_floats(raw.data(), static_cast<u32>(values.size()), m.element, values.data());
  place_elements(values.data(), m, out, outer_step, k_step);
  if (all == 0xFF) return;
  each_outer(m, [&](u32 i, u32 index) {
    const auto bits = std::span(defined).subspan(i * bytes, bytes);
    if (std::any_of(bits.begin(), bits.end(), [](u8 d) { return d != 0xFF; })) note(index);
  });
}

void read_operands(const Block& block, Product& p) {
  if (p.taken) return;
  p.taken = true;
  const Instruction& in = *p.in;
  if (!p.sound) {
    p.undefined_rows = ~u64{0};
    return;
  }
  if (!p.places_a.empty()) {
    read_operand(block, p.places_a, matrix_a(in), p.a.data(), p.shape.depth, 1,
                 [&](u32 row) { p.undefined_rows |= u64{1} << row; });
  }
  read_operand(block, p.places_b, matrix_b(in), p.b.data(), 1, p.shape.columns,
               [&](u32 column) { p.undefined_columns.set(column); });
  if ((in.flags & kNegative) != 0) {
    for (float& a : p.a) a = -a;
  }
}

/// The registers get the values.
void land(Warp& w, Accumulators& acc) {
  for (const auto& [element, unit] : acc.names) {
    Ref r;
    r.unit = unit;
    u32* words = w.words(r);
    w.set_defined(r, ~0u);
    for (u32 lane = 0; lane < 32; ++lane) {
      const u32 at = place_in_d(element, lane, acc.shape.columns);
      const float value = acc.values[at];
      words[lane] = value != value ? kNan32 : std::bit_cast<u32>(value);
      if (!acc.doubts.empty() && acc.doubts[at] != 0) w.set_undefined(r, lane, 0xFFFFFFFFu);
    }
    w.held[unit].accumulators = nullptr;
    w.held[unit].is_result = true;
  }
  acc.names.clear();
}

}  // namespace

StartedProduct take_registers(Warp& w, const Instruction& in, const Operands& o, Product& p) {
  StartedProduct started;
  if ((in.flags & kRegistersA) != 0) {
    take_a(w, in, o, p);
    for (int i = 0; i < 4; ++i) {
      HeldRegister& h = w.held[in.src[o.a + i].unit];
      ++h.readers;
      h.by = w.site();
      started.registers_a.push_back(in.src[o.a + i].unit);
    }
  }
  started.accumulators = take_accumulators(w, in, o, p.accumulates);
  started.accumulators->site = w.site();
  ++started.accumulators->pending;
  for (int i = 0; i < o.accumulators; ++i) w.held[in.src[i].unit].produced = w.fences + 1;
  return started;
}

void start(Warp& w, Product& p) {
  Block& block = w.block;
  const Instruction& in = *p.in;
  const u32 first = w.index / 4 * 4;
  if (p.sound && (in.flags & kRegistersA) == 0) {
    p.sound = place_operand(w, p.descriptor_a, matrix_a(in), "A", p.places_a);
  }
  p.sound = p.sound && place_operand(w, p.descriptor_b, matrix_b(in), "B", p.places_b);
  if (!p.sound) p.places_a.clear();
  for (const auto* places : {&p.places_a, &p.places_b}) {
    report_race(w, 0, block.races.begin_read(first, p.site, *places));
  }
  if (happens_early(w)) read_operands(block, p);
  for (u32 i = first; i < first + 4; ++i) {
    if (i != w.index) block.warps[i]->release(~0u);
  }
}

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
  multiply_add(p.a.data() + first * p.shape.depth, p.b.data(), acc.values.data(), acc.shape,
               adding_order(w.worker().seed(), options.perturb, acc.shape.depth));
  const u64 rows = p.undefined_rows >> first & 0xFFFF;
  const u32 columns = acc.shape.columns;
  if (rows != 0 || p.undefined_columns.any()) {
    acc.doubts.resize(acc.values.size());
    for (u32 i = 0; i < acc.doubts.size(); ++i) {
      if ((rows >> i / columns & 1) != 0 || p.undefined_columns[i % columns]) {
        acc.doubts[i] = 1;
      }
    }
  }
  if (--acc.pending == 0) land(w, acc);
}

}  // namespace gpu::ops::wgmma
