#include <cstring>

#include "gpu/ops/access.hpp"
#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"
#include "gpu/ops/warp_wide.hpp"

namespace gpu::ops {
namespace {

using ptx::Operand;
using ptx::Space;
using ptx::Type;

// An 8 x 8 matrix of 16-bit elements as a warp holds it: lane i has row i / 4, columns 2 (i % 4)
// and the next (PTX manual, "ldmatrix"); transposed: column i / 4, rows 2 (i % 4) and the next.
using Matrix = std::array<std::array<u16, 8>, 8>;

struct Elements {
  u32 row[2];
  u32 column[2];
};

Elements elements_of(u32 lane, bool transposed) {
  const u32 outer = lane / 4, inner = 2 * (lane % 4);
  if (transposed) return {{inner, inner + 1}, {outer, outer}};
  return {{outer, outer}, {inner, inner + 1}};
}

u32 fragment(const Matrix& m, u32 lane, bool transposed) {
  const Elements e = elements_of(lane, transposed);
  return u32{m[e.row[1]][e.column[1]]} << 16 | m[e.row[0]][e.column[0]];
}

void put_fragment(Matrix& m, u32 lane, bool transposed, u32 value) {
  const Elements e = elements_of(lane, transposed);
  m[e.row[0]][e.column[0]] = static_cast<u16>(value);
  m[e.row[1]][e.column[1]] = static_cast<u16>(value >> 16);
}

/// Lanes 8 m to 8 m + 7 hold the addresses of the rows of matrix m.
bool resolve_rows(Warp& w, const Instruction& in, Intent intent, Access& access) {
  const u32 rows = 8u * in.lanes;
  const u32 addressed = rows == 32 ? ~0u : (1u << rows) - 1;
  const u32 all = w.active;
  w.active = addressed;
  resolve(w, in, 0, 16, 16, intent, access);
  w.active = all;
  if (access.lanes == addressed && access.shared_lanes != addressed) {
    w.fail(Fault::out_of_bounds, addressed & ~access.shared_lanes,
           "the address of a matrix row is not in shared memory");
  }
  return access.lanes == addressed && access.shared_lanes == addressed;
}

void load_run(Warp& w, const Instruction& in) {
  if (!gather_whole_warp(w)) return;
  Access access;
  if (!resolve_rows(w, in, Intent::read, access)) return;
  check_read_races(w, access, 16, Strength::weak);
  const bool transposed = in.mode != 0;
  for (u32 m = 0; m < in.lanes; ++m) {
    Matrix data, defined;
    bool all_defined = true;
    for (u32 row = 0; row < 8; ++row) {
      std::memcpy(data[row].data(), access.data[8 * m + row], 16);
      std::memcpy(defined[row].data(), access.defined[8 * m + row], 16);
      for (const u16 bits : defined[row]) all_defined &= bits == 0xFFFF;
    }
    u32* to = w.words(in.dst[m]);
    for (u32 lane = 0; lane < 32; ++lane) to[lane] = fragment(data, lane, transposed);
    w.set_defined(in.dst[m], ~0u);
    if (all_defined) continue;
    for (u32 lane = 0; lane < 32; ++lane) {
      w.set_undefined(in.dst[m], lane, ~fragment(defined, lane, transposed));
    }
  }
}

void store_run(Warp& w, const Instruction& in) {
  if (!gather_whole_warp(w)) return;
  Access access;
  if (!resolve_rows(w, in, Intent::write, access)) return;
  const bool transposed = in.mode != 0;
  for (u32 m = 0; m < in.lanes; ++m) {
    Matrix data{}, undefined{};
    const Ref src = in.src[1 + m];
    for (u32 lane = 0; lane < 32; ++lane) {
      put_fragment(data, lane, transposed, w.words(src)[lane]);
      put_fragment(undefined, lane, transposed, static_cast<u32>(w.undefined_bits(src, lane)));
    }
    for (u32 row = 0; row < 8; ++row) {
      const u32 lane = 8 * m + row;
      const bool same = std::memcmp(access.data[lane], data[row].data(), 16) == 0;
      check_write_race(w, lane, static_cast<u32>(access.address[lane] - kSharedBase), 16,
                       Strength::weak, same);
      std::memcpy(access.data[lane], data[row].data(), 16);
      std::array<u16, 8> defined;
      for (std::size_t i = 0; i < 8; ++i) defined[i] = static_cast<u16>(~undefined[row][i]);
      std::memcpy(access.defined[lane], defined.data(), 16);
    }
  }
}

void move_run(Warp& w, const Instruction& in) {
  if (!gather_whole_warp(w)) return;
  Matrix data{}, undefined{};
  for (u32 lane = 0; lane < 32; ++lane) {
    put_fragment(data, lane, false, w.words(in.src[0])[lane]);
    put_fragment(undefined, lane, false, static_cast<u32>(w.undefined_bits(in.src[0], lane)));
  }
  for (u32 lane = 0; lane < 32; ++lane) {
    w.set_value(in.dst[0], lane, fragment(data, lane, true));
    w.set_undefined(in.dst[0], lane, fragment(undefined, lane, true));
  }
}

void take_shape(Decoder& d) {
  Instruction& in = d.in();
  d.expect("sync");
  d.expect("aligned");
  d.expect("m8n8");
  in.lanes = d.accept("x4") ? 4 : d.accept("x2") ? 2 : 1;
  d.accept("x1");
  in.mode = d.accept("trans") ? 1 : 0;
  in.space = d.take_space();
  d.expect("b16");
  in.effect = true;
}

std::vector<Operand> items_of(const Operand& operand, std::size_t count) {
  std::vector<Operand> items =
      operand.kind == Operand::Kind::vector ? operand.items : std::vector<Operand>{operand};
  if (items.size() != count) throw Unsupported("vector of another length");
  return items;
}

void decode_ldmatrix(Decoder& d) {
  take_shape(d);
  d.address(d.operand(1));
  for (const Operand& item : items_of(d.operand(0), d.in().lanes)) d.dst(item, Type::b32);
  d.set(load_run, nullptr);
}

void decode_stmatrix(Decoder& d) {
  take_shape(d);
  d.address(d.operand(0));
  for (const Operand& item : items_of(d.operand(1), d.in().lanes)) d.src(item, Type::b32);
  d.set(store_run, nullptr);
}

void decode_movmatrix(Decoder& d) {
  d.expect("sync");
  d.expect("aligned");
  d.expect("m8n8");
  d.expect("trans");
  d.expect("b16");
  d.in().effect = true;
  d.dst(0, Type::b32);
  d.src(1, Type::b32);
  d.set(move_run, nullptr);
}

}  // namespace

void register_matrix_move(Registry& r) {
  r.add("ldmatrix", decode_ldmatrix);
  r.add("stmatrix", decode_stmatrix);
  r.add("movmatrix", decode_movmatrix);
}

}  // namespace gpu::ops
