// Operands of a warpgroup's product in shared memory, and its arithmetic.
#include "gpu/ops/warpgroup_matrix.hpp"

#include <cstring>

#include "gpu/machine/random.hpp"
#include "gpu/ops/arithmetic.hpp"

namespace gpu::ops {
namespace {

/// Swizzling exchanges the 16-byte pieces of a row by the number of the row within its pattern. It
/// acts on address bits, so a start address may lie within a row: 128 bytes: bits 4 to 6 ^= bits 7
/// to 9; 64 bytes: bits 4 and 5 ^= bits 7 and 8; 32 bytes: bit 4 ^= bit 7 (CUTLASS:
/// Swizzle<3, 4, 3>, <2, 4, 3>, <1, 4, 3> in include/cute/atom/mma_traits_sm90_gmma.hpp).
u32 swizzled(u32 address, u32 swizzle) {
  const u32 mask = swizzle == 0 ? 0 : swizzle / 16 - 1;
  return address ^ (address >> 7 & mask) << 4;
}

using V8 [[gnu::vector_size(32)]] = float;

template <u32 kDepth>
struct Multiply {
  [[gnu::always_inline]] static inline void body(const float* a, const float* b, float* c,
                                                 u32 columns, const AddingOrder& order) {
    constexpr u32 kRows = 4;
    for (u32 n = 0; n < columns; n += 8) {
      V8 column[kDepth];  // of B, in the order of adding
      for (u32 k = 0; k < kDepth; ++k) std::memcpy(&column[k], b + order.at[k] * columns + n, 32);
      for (u32 row = 0; row < 16; row += kRows) {
        V8 sum[kRows];
        for (u32 r = 0; r < kRows; ++r) {
          std::memcpy(&sum[r], c + (row + r) * columns + n, 32);
          if (order.products_first) sum[r] = V8{};
        }
        for (u32 k = 0; k < kDepth; ++k) {
          for (u32 r = 0; r < kRows; ++r) sum[r] += a[(row + r) * kDepth + order.at[k]] * column[k];
        }
        for (u32 r = 0; r < kRows; ++r) {
          float* to = c + (row + r) * columns + n;
          if (order.products_first) {
            V8 before;
            std::memcpy(&before, to, 32);
            sum[r] += before;
          }
          std::memcpy(to, &sum[r], 32);
        }
      }
    }
  }
  [[gnu::flatten]] static void plain(const float* a, const float* b, float* c, u32 columns,
                                     const AddingOrder& order) {
    body(a, b, c, columns, order);
  }
  [[gnu::target("avx2,fma,bmi,bmi2,lzcnt,popcnt"), gnu::flatten]] static void wide(
      const float* a, const float* b, float* c, u32 columns, const AddingOrder& order) {
    body(a, b, c, columns, order);
  }
};

template <class Number>
struct Floats {
  [[gnu::always_inline]] static inline void body(const void* from, u32 count, float* to) {
    for (u32 i = 0; i < count; ++i) {
      Number number;
      std::memcpy(&number, static_cast<const u8*>(from) + i * sizeof number, sizeof number);
      to[i] = to_float(number);
    }
  }
  [[gnu::flatten]] static void plain(const void* from, u32 count, float* to) {
    body(from, count, to);
  }
  [[gnu::target("avx2,fma,bmi,bmi2,lzcnt,popcnt"), gnu::flatten]] static void wide(const void* from,
                                                                                   u32 count,
                                                                                   float* to) {
    body(from, count, to);
  }
};

/// The variant of a function for this host.
template <class Function>
auto chosen() {
  static const bool is_wide = host_is_wide();
  return is_wide ? Function::wide : Function::plain;
}

}  // namespace

Descriptor::Descriptor(u64 bits)
    : start(static_cast<u32>(bits & 0x3FFF) << 4),
      leading(static_cast<u32>(bits >> 16 & 0x3FFF) << 4),
      stride(static_cast<u32>(bits >> 32 & 0x3FFF) << 4),
      base(static_cast<u32>(bits >> 49 & 7)),
      is_clean((bits & 0x3FF1C000C000C000u) == 0) {
  constexpr u32 kBytes[4] = {0, 128, 64, 32};
  swizzle = kBytes[bits >> 62];
}

// A piece is 8 elements, or 4 of tf32. The layouts are those of CUTLASS's make_gmma_desc
// (include/cute/atom/mma_traits_sm90_gmma.hpp) and of the PTX manual's "Strides":
//   K-major, without swizzle: 8 rows of 16 bytes follow each other; `stride` leads to the next 8
//     rows, `leading` to the next 16 bytes along K. With it: rows of 32, 64 or 128 bytes; `stride`
//     leads to the next 8 rows; the next 16 bytes along K follow in the row.
//   Outer-major, without swizzle: 8 of K, each 16 bytes, follow each other; `stride` leads to the
//     next 8 outer ones, `leading` to the next 8 of K. With it: 8 of K, each of 32, 64 or 128 bytes
//     of outer ones; `leading` leads to the next 32, 64 or 128 bytes of outer ones, `stride` to the
//     next 8 of K.
std::vector<u32> Descriptor::pieces(const SharedMatrix& m) const {
  std::vector<u32> out;
  out.reserve(m.outer * 2);
  const u32 row = swizzle == 0 ? 16 : swizzle;
  if (m.major == Major::k) {
    const u32 next = swizzle == 0 ? leading : 16;
    for (u32 i = 0; i < m.outer; ++i) {
      const u32 at = start + i / 8 * stride + i % 8 * row;
      out.push_back(swizzled(at, swizzle));
      out.push_back(swizzled(at + next, swizzle));
    }
    return out;
  }
  const u32 per_row = row / 16;
  const u32 next_outer = swizzle == 0 ? stride : leading;
  const u32 next_k = swizzle == 0 ? leading : stride;
  for (u32 i = 0; i < m.outer / 8; ++i) {
    for (u32 k = 0; k < 16; ++k) {
      const u32 at =
          start + i / per_row * next_outer + i % per_row * 16 + k / 8 * next_k + k % 8 * row;
      out.push_back(swizzled(at, swizzle));
    }
  }
  return out;
}

void place_elements(const float* values, const SharedMatrix& m, float* out, u32 outer_step,
                    u32 k_step) {
  if (m.major == Major::k) {
    const u32 depth = depth_of(m.element);
    for (u32 i = 0; i < m.outer; ++i) {
      for (u32 k = 0; k < depth; ++k) out[i * outer_step + k * k_step] = *values++;
    }
    return;
  }
  for (u32 i = 0; i < m.outer; i += 8) {
    for (u32 k = 0; k < 16; ++k) {
      for (u32 e = 0; e < 8; ++e) out[(i + e) * outer_step + k * k_step] = *values++;
    }
  }
}

void to_floats(const void* from, u32 count, ptx::Type element, float* to) {
  switch (element) {
    case ptx::Type::tf32:
      return chosen<Floats<Tf32>>()(from, count, to);
    case ptx::Type::bf16:
      return chosen<Floats<Bf16>>()(from, count, to);
    default:
      return chosen<Floats<Half>>()(from, count, to);
  }
}

AddingOrder adding_order(u64 seed, bool perturb, u32 depth) {
  const u64 draw = perturb ? Random::mix(seed + 0x33A) & 3 : 0;
  AddingOrder order{};
  order.products_first = draw >= 2;
  for (u32 i = 0; i < depth; ++i) {
    const u32 at = draw == 1 ? depth - 1 - i : draw == 3 ? i % 2 * (depth / 2) + i / 2 : i;
    order.at[i] = static_cast<u8>(at);
  }
  return order;
}

void multiply_add(const float* a, const float* b, float* c, const ProductShape& shape,
                  const AddingOrder& order) {
  const auto multiply = shape.depth == 16 ? chosen<Multiply<16>>() : chosen<Multiply<8>>();
  multiply(a, b, c, shape.columns, order);
}

}  // namespace gpu::ops
