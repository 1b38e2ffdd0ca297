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

[[gnu::always_inline]] inline void multiply_body(const float* a, const float* b, float* c,
                                                 u32 columns, const AddingOrder& order) {
  constexpr u32 kRows = 4;
  for (u32 n = 0; n < columns; n += 8) {
    V8 column[16];  // of B, in the order of adding
    for (u32 k = 0; k < 16; ++k) std::memcpy(&column[k], b + order.at[k] * columns + n, 32);
    for (u32 row = 0; row < 16; row += kRows) {
      V8 sum[kRows];
      for (u32 r = 0; r < kRows; ++r) {
        std::memcpy(&sum[r], c + (row + r) * columns + n, 32);
        if (order.products_first) sum[r] = V8{};
      }
      for (u32 k = 0; k < 16; ++k) {
        for (u32 r = 0; r < kRows; ++r) sum[r] += a[(row + r) * 16 + order.at[k]] * column[k];
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

[[gnu::flatten]] void multiply_plain(const float* a, const float* b, float* c, u32 columns,
                                     const AddingOrder& order) {
  multiply_body(a, b, c, columns, order);
}
[[gnu::target("avx2,fma,bmi,bmi2,lzcnt,popcnt"), gnu::flatten]] void multiply_wide(
    const float* a, const float* b, float* c, u32 columns, const AddingOrder& order) {
  multiply_body(a, b, c, columns, order);
}

[[gnu::always_inline]] inline void floats_body(const u16* from, u32 count, bool bf16, float* to) {
  if (bf16) {
    for (u32 i = 0; i < count; ++i) to[i] = to_float(Bf16{from[i]});
  } else {
    for (u32 i = 0; i < count; ++i) to[i] = to_float(Half{from[i]});
  }
}
[[gnu::flatten]] void floats_plain(const u16* from, u32 count, bool bf16, float* to) {
  floats_body(from, count, bf16, to);
}
[[gnu::target("avx2,fma,bmi,bmi2,lzcnt,popcnt"), gnu::flatten]] void floats_wide(const u16* from,
                                                                                 u32 count,
                                                                                 bool bf16,
                                                                                 float* to) {
  floats_body(from, count, bf16, to);
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

// A piece is 8 elements. The layouts are those of CUTLASS's make_gmma_desc
// (include/cute/atom/mma_traits_sm90_gmma.hpp) and of the PTX manual's "Strides":
//   K-major, without swizzle: 8 rows of 16 bytes follow each other; `stride` leads to the next 8
//     rows, `leading` to the next 8 along K. With it: rows of 32, 64 or 128 bytes; `stride` leads
//     to the next 8 rows; the next 8 along K follow in the row.
//   Outer-major, without swizzle: 8 of K, each 16 bytes, follow each other; `stride` leads to the
//     next 8 outer ones, `leading` to the next 8 of K. With it: 8 of K, each of 32, 64 or 128 bytes
//     of outer ones; `leading` leads to the next 32, 64 or 128 bytes of outer ones, `stride` to the
//     next 8 of K.
std::vector<u32> Descriptor::pieces(u32 outer, Major major) const {
  std::vector<u32> out;
  out.reserve(outer * 2);
  const u32 row = swizzle == 0 ? 16 : swizzle;
  if (major == Major::k) {
    const u32 next = swizzle == 0 ? leading : 16;
    for (u32 i = 0; i < outer; ++i) {
      const u32 at = start + i / 8 * stride + i % 8 * row;
      out.push_back(swizzled(at, swizzle));
      out.push_back(swizzled(at + next, swizzle));
    }
    return out;
  }
  const u32 per_row = row / 16;
  const u32 next_outer = swizzle == 0 ? stride : leading;
  const u32 next_k = swizzle == 0 ? leading : stride;
  for (u32 i = 0; i < outer / 8; ++i) {
    for (u32 k = 0; k < 16; ++k) {
      const u32 at =
          start + i / per_row * next_outer + i % per_row * 16 + k / 8 * next_k + k % 8 * row;
      out.push_back(swizzled(at, swizzle));
    }
  }
  return out;
}

void place_elements(const float* values, u32 outer, Major major, float* out, u32 outer_step,
                    u32 k_step) {
  if (major == Major::k) {
    for (u32 i = 0; i < outer; ++i) {
      for (u32 k = 0; k < 16; ++k) out[i * outer_step + k * k_step] = values[i * 16 + k];
    }
    return;
  }
  for (u32 i = 0; i < outer; i += 8) {
    for (u32 k = 0; k < 16; ++k) {
      for (u32 e = 0; e < 8; ++e) out[(i + e) * outer_step + k * k_step] = *values++;
    }
  }
}

void to_floats(const u16* from, u32 count, bool bf16, float* to) {
  static const bool is_wide = host_is_wide();
  (is_wide ? floats_wide : floats_plain)(from, count, bf16, to);
}

AddingOrder adding_order(u64 seed, bool perturb) {
  const u64 draw = perturb ? Random::mix(seed + 0x33A) & 3 : 0;
  AddingOrder order{};
  order.products_first = draw >= 2;
  for (u8 i = 0; i < 16; ++i) {
    order.at[i] = draw == 1   ? static_cast<u8>(15 - i)
                  : draw == 3 ? static_cast<u8>(i % 2 * 8 + i / 2)
                              : i;
  }
  return order;
}

void multiply_add(const float* a, const float* b, float* c, u32 columns, const AddingOrder& order) {
  static const bool is_wide = host_is_wide();
  (is_wide ? multiply_wide : multiply_plain)(a, b, c, columns, order);
}

}  // namespace gpu::ops
