#include <cstring>

#include "gpu/machine/random.hpp"
#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"
#include "gpu/ops/warp_wide.hpp"

namespace gpu::ops {
namespace {

using ptx::Operand;
using ptx::Type;

// mma.sync: D (m x n) = A (m x k) B (k x n) + C. Lane l is in group g = l / 4 and is number t = l %
// 4 of it. Fragment layouts: PTX manual, "Matrix Fragments for mma.m16n8k8", "...k16", "...k4",
// "m8n8k4".

/// Where element `i` of a lane's fragment lies.
struct Place {
  u8 row;
  u8 column;
};

enum class Layout : u8 { half_k16, half_k8, tf32_k8, tf32_k4, double_k4 };
enum Flag : u8 { kBf16 = 1, kHalfC = 2, kHalfD = 4 };

Place place_of_a(Layout layout, u32 lane, u32 i) {
  const u32 g = lane / 4, t = lane % 4;
  u32 row = g, column = t;
  switch (layout) {
    case Layout::half_k16:
      row = g + (i / 2 % 2 == 1 ? 8 : 0);
      column = 2 * t + i % 2 + (i >= 4 ? 8 : 0);
      break;
    case Layout::half_k8:
      row = g + (i >= 2 ? 8 : 0);
      column = 2 * t + i % 2;
      break;
    case Layout::tf32_k8:
      row = g + (i % 2 == 1 ? 8 : 0);
      column = t + (i >= 2 ? 4 : 0);
      break;
    case Layout::tf32_k4:
      row = g + (i == 1 ? 8 : 0);
      break;
    case Layout::double_k4:
      break;
  }
  return {static_cast<u8>(row), static_cast<u8>(column)};
}

Place place_of_b(Layout layout, u32 lane, u32 i) {
  const u32 g = lane / 4, t = lane % 4;
  u32 row = t;
  switch (layout) {
    case Layout::half_k16:
      row = 2 * t + i % 2 + (i >= 2 ? 8 : 0);
      break;
    case Layout::half_k8:
      row = 2 * t + i;
      break;
    case Layout::tf32_k8:
      row = t + (i == 1 ? 4 : 0);
      break;
    default:
      break;
  }
  return {static_cast<u8>(row), static_cast<u8>(g)};
}

Place place_of_c(u32 lane, u32 i) {
  const u32 g = lane / 4, t = lane % 4;
  return {static_cast<u8>(g + (i >= 2 ? 8 : 0)), static_cast<u8>(2 * t + i % 2)};
}

struct Counts {
  u32 k, a, b, c;  ///< depth; elements per lane
};

constexpr Counts counts_of(Layout layout) {
  switch (layout) {
    case Layout::half_k16:
      return {16, 8, 4, 4};
    case Layout::half_k8:
      return {8, 4, 2, 4};
    case Layout::tf32_k8:
      return {8, 4, 2, 4};
    case Layout::tf32_k4:
      return {4, 2, 1, 4};
    default:
      return {4, 1, 1, 2};
  }
}

/// For each layout: where each element of each lane goes, as offsets into row-major matrices.
struct Tables {
  u16 a[8][32];  ///< into 16 x 16
  u16 b[4][32];  ///< into 16 x 8
  u16 c[4][32];  ///< into 16 x 8
};

const Tables& tables_of(Layout layout) {
  static const std::array<Tables, 5> all = [] {
    std::array<Tables, 5> tables{};
    for (u32 l = 0; l < 5; ++l) {
      const auto which = static_cast<Layout>(l);
      const Counts counts = counts_of(which);
      for (u32 lane = 0; lane < 32; ++lane) {
        for (u32 i = 0; i < counts.a; ++i) {
          const Place p = place_of_a(which, lane, i);
          tables[l].a[i][lane] = static_cast<u16>(p.row * 16 + p.column);
        }
        for (u32 i = 0; i < counts.b; ++i) {
          const Place p = place_of_b(which, lane, i);
          tables[l].b[i][lane] = static_cast<u16>(p.row * 8 + p.column);
        }
        for (u32 i = 0; i < counts.c; ++i) {
          const Place p = place_of_c(lane, i);
          tables[l].c[i][lane] = static_cast<u16>(p.row * 8 + p.column);
        }
      }
    }
    return tables;
  }();
  return all[static_cast<std::size_t>(layout)];
}

/// Two 16-bit elements per register, or one tf32.
template <int kind>  // 0: f16, 1: bf16, 2: tf32
[[gnu::always_inline]] inline void spread(const u32* words, float* low, float* high) {
  for (int i = 0; i < 32; ++i) {
    if constexpr (kind == 0) {
      low[i] = to_float(Half{static_cast<u16>(words[i])});
      high[i] = to_float(Half{static_cast<u16>(words[i] >> 16)});
    } else if constexpr (kind == 1) {
      low[i] = std::bit_cast<float>(words[i] << 16);
      high[i] = std::bit_cast<float>(words[i] & 0xFFFF0000u);
    } else {
      low[i] = to_float(Tf32{words[i]});
    }
  }
}

/// In which order the products are added: hardware doesn't say.
enum class Order : u8 { forward, backward, products_first, halves };

template <int kind, Layout layout>
struct Product {
  static constexpr Counts kCounts = counts_of(layout);
  static constexpr u32 kPer = kind == 2 ? 1 : 2;  // elements per register

  [[gnu::always_inline]] static inline void body(Warp& w, const Instruction& in, Order order) {
    const Tables& tables = tables_of(layout);
    alignas(64) float a[16 * 16], b[16 * 8], c[16 * 8], sum[16 * 8];
    alignas(64) float low[32], high[32];
    for (u32 r = 0; r < kCounts.a / kPer; ++r) {
      spread<kind>(w.words(in.src[r]), low, high);
      for (int i = 0; i < 32; ++i) {
        a[tables.a[r * kPer][i]] = low[i];
        if constexpr (kPer == 2) a[tables.a[r * kPer + 1][i]] = high[i];
      }
    }
    const u32 first_b = kCounts.a / kPer;
    for (u32 r = 0; r < kCounts.b / kPer; ++r) {
      spread<kind>(w.words(in.src[first_b + r]), low, high);
      for (int i = 0; i < 32; ++i) {
        b[tables.b[r * kPer][i]] = low[i];
        if constexpr (kPer == 2) b[tables.b[r * kPer + 1][i]] = high[i];
      }
    }
    const u32 first_c = first_b + kCounts.b / kPer;
    if ((in.flags & kHalfC) != 0) {
      for (u32 r = 0; r < 2; ++r) {
        spread<0>(w.words(in.src[first_c + r]), low, high);
        for (int i = 0; i < 32; ++i) {
          c[tables.c[2 * r][i]] = low[i];
          c[tables.c[2 * r + 1][i]] = high[i];
        }
      }
    } else {
      for (u32 r = 0; r < 4; ++r) {
        const u32* words = w.words(in.src[first_c + r]);
        for (int i = 0; i < 32; ++i) c[tables.c[r][i]] = std::bit_cast<float>(words[i]);
      }
    }
    multiply(a, b, c, sum, order);
    if ((in.flags & kHalfD) != 0) {
      for (u32 r = 0; r < 2; ++r) {
        u32* words = w.words(in.dst[r]);
        for (int i = 0; i < 32; ++i) {
          words[i] = u32{to_half(sum[tables.c[2 * r + 1][i]]).bits} << 16 |
                     to_half(sum[tables.c[2 * r][i]]).bits;
        }
      }
    } else {
      for (u32 r = 0; r < 4; ++r) {
        u32* words = w.words(in.dst[r]);
        for (int i = 0; i < 32; ++i) words[i] = std::bit_cast<u32>(sum[tables.c[r][i]]);
      }
    }
  }

  [[gnu::always_inline]] static inline void multiply(const float* a, const float* b, const float* c,
                                                     float* sum, Order order) {
    constexpr u32 k = kCounts.k;
    for (u32 row = 0; row < 16; ++row) {
      float s[8];
      for (u32 n = 0; n < 8; ++n) {
        s[n] = order == Order::products_first || order == Order::halves ? 0.0f : c[row * 8 + n];
      }
      if (order == Order::halves) {
        float upper[8] = {};
        for (u32 i = 0; i < k / 2; ++i) {
          for (u32 n = 0; n < 8; ++n) {
            s[n] += a[row * 16 + i] * b[i * 8 + n];
            upper[n] += a[row * 16 + k / 2 + i] * b[(k / 2 + i) * 8 + n];
          }
        }
        for (u32 n = 0; n < 8; ++n) s[n] += upper[n];
      } else {
        for (u32 i = 0; i < k; ++i) {
          const u32 at = order == Order::backward ? k - 1 - i : i;
          for (u32 n = 0; n < 8; ++n) s[n] += a[row * 16 + at] * b[at * 8 + n];
        }
      }
      for (u32 n = 0; n < 8; ++n) {
        const bool late = order == Order::products_first || order == Order::halves;
        const float total = late ? s[n] + c[row * 8 + n] : s[n];
        sum[row * 8 + n] = total != total ? std::bit_cast<float>(kNan32) : total;
      }
    }
  }

  [[gnu::flatten]] static void plain(Warp& w, const Instruction& in, Order order) {
    body(w, in, order);
  }
  [[gnu::target("avx2,fma,bmi,bmi2,lzcnt,popcnt"), gnu::flatten]] static void wide(
      Warp& w, const Instruction& in, Order order) {
    body(w, in, order);
  }
};

/// Undefined elements of A spoil their row of D, those of B their column, those of C themselves.
void spread_undefined(Warp& w, const Instruction& in, Layout layout, u32 per) {
  const Tables& tables = tables_of(layout);
  const Counts counts = counts_of(layout);
  u32 rows = 0, columns = 0;
  std::array<bool, 16 * 8> spoiled{};
  const auto each = [&](u32 first, u32 elements, u32 packed, auto&& note) {
    for (u32 e = 0; e < elements; ++e) {
      const Ref src = in.src[first + e / packed];
      for (u32 set = w.undefined(src); set != 0; set &= set - 1) {
        const auto lane = static_cast<u32>(std::countr_zero(set));
        const u64 bits = w.undefined_bits(src, lane);
        const u64 part = packed == 2 ? bits >> (16 * (e % 2)) & 0xFFFF : bits;
        if (part != 0) note(e, lane);
      }
    }
  };
  each(0, counts.a, per, [&](u32 e, u32 lane) { rows |= 1u << tables.a[e][lane] / 16; });
  const u32 first_b = counts.a / per;
  each(first_b, counts.b, per, [&](u32 e, u32 lane) { columns |= 1u << tables.b[e][lane] % 8; });
  const u32 first_c = first_b + counts.b / per;
  const u32 packed_c = (in.flags & kHalfC) != 0 ? 2 : 1;
  each(first_c, counts.c, packed_c, [&](u32 e, u32 lane) { spoiled[tables.c[e][lane]] = true; });
  const u32 packed_d = (in.flags & kHalfD) != 0 ? 2 : 1;
  for (u32 lane = 0; lane < 32; ++lane) {
    for (u32 r = 0; r < counts.c / packed_d; ++r) {
      u64 bits = 0;
      for (u32 part = 0; part < packed_d; ++part) {
        const u32 at = tables.c[r * packed_d + part][lane];
        if (spoiled[at] || (rows >> at / 8 & 1) != 0 || (columns >> at % 8 & 1) != 0) {
          bits |= packed_d == 2 ? u64{0xFFFF} << (16 * part) : ~u64{0};
        }
      }
      w.set_undefined(in.dst[r], lane, in.dst[r].wide ? bits : bits & 0xFFFFFFFFu);
    }
  }
}

Order order_of(Warp& w) {
  if (!w.worker().launch.options.perturb) return Order::forward;
  return static_cast<Order>(Random::mix(w.worker().seed() + 0x33A) & 3);
}

template <int kind, Layout layout>
void product_run(Warp& w, const Instruction& in) {
  if (!gather_whole_warp(w)) return;
  u32 undefined = 0;
  for (int i = 0; i < in.src_count; ++i) undefined |= w.undefined(in.src[i]);
  static const bool is_wide = host_is_wide();
  // D may be C: definedness first, while the sources are still there
  if (undefined != 0) {
    spread_undefined(w, in, layout, kind == 2 ? 1 : 2);
  } else {
    w.define_results(in);
  }
  (is_wide ? Product<kind, layout>::wide : Product<kind, layout>::plain)(w, in, order_of(w));
}

void double_run(Warp& w, const Instruction& in) {
  if (!gather_whole_warp(w)) return;
  u32 undefined = 0;
  for (int i = 0; i < in.src_count; ++i) undefined |= w.undefined(in.src[i]);
  const Order order = order_of(w);
  std::array<double, 64> sum;
  for (u32 lane = 0; lane < 32; ++lane) {
    for (u32 i = 0; i < 2; ++i) {
      const Place p = place_of_c(lane, i);
      double s = std::bit_cast<double>(w.quads(in.src[2 + i])[lane]);
      for (u32 step = 0; step < 4; ++step) {
        const u32 k = order == Order::backward ? 3 - step : step;
        const double a = std::bit_cast<double>(w.quads(in.src[0])[p.row * 4 + k]);
        const double b = std::bit_cast<double>(w.quads(in.src[1])[p.column * 4 + k]);
        s = std::fma(a, b, s);
      }
      sum[2 * lane + i] = s;
    }
  }
  if (undefined != 0) {
    spread_undefined(w, in, Layout::double_k4, 1);
  } else {
    w.define_results(in);
  }
  for (u32 lane = 0; lane < 32; ++lane) {
    for (u32 i = 0; i < 2; ++i) w.quads(in.dst[i])[lane] = std::bit_cast<u64>(sum[2 * lane + i]);
  }
}

void take_vector(Decoder& d, std::size_t i, Type type, u32 count, bool is_result) {
  const Operand& operand = d.operand(i);
  const std::vector<Operand> items =
      operand.kind == Operand::Kind::vector ? operand.items : std::vector<Operand>{operand};
  if (items.size() != count) throw Unsupported("fragment of another length");
  for (const Operand& item : items) is_result ? d.dst(item, type) : d.src(item, type);
}

void decode_mma(Decoder& d) {
  Instruction& in = d.in();
  d.expect("sync");
  d.expect("aligned");
  const int shape = d.accept_one({"m16n8k16", "m16n8k8", "m16n8k4", "m8n8k4"});
  if (shape < 0) throw Unsupported("mma of this shape");
  d.expect("row");
  d.expect("col");
  const Type type_d = d.take_type(), type_a = d.take_type(), type_b = d.take_type(),
             type_c = d.take_type();
  if (type_a != type_b) throw Unsupported("mma of two types");
  in.effect = true;
  if (shape == 3) {
    if (type_a != Type::f64) throw Unsupported("m8n8k4 of this type");
    d.accept("rn");
    take_vector(d, 0, Type::f64, 2, true);
    take_vector(d, 1, Type::f64, 1, false);
    take_vector(d, 2, Type::f64, 1, false);
    take_vector(d, 3, Type::f64, 2, false);
    return d.set(double_run, nullptr);
  }
  if (type_c == Type::f16) in.flags |= kHalfC;
  if (type_d == Type::f16) in.flags |= kHalfD;
  Layout layout;
  Run run;
  if (type_a == Type::tf32) {
    if (shape == 0) throw Unsupported("m16n8k16 of tf32");
    layout = shape == 1 ? Layout::tf32_k8 : Layout::tf32_k4;
    run = shape == 1 ? product_run<2, Layout::tf32_k8> : product_run<2, Layout::tf32_k4>;
  } else if (type_a == Type::f16 || type_a == Type::bf16) {
    if (shape == 2) throw Unsupported("m16n8k4 of this type");
    layout = shape == 0 ? Layout::half_k16 : Layout::half_k8;
    const bool bf16 = type_a == Type::bf16;
    run = shape == 0 ? (bf16 ? product_run<1, Layout::half_k16> : product_run<0, Layout::half_k16>)
                     : (bf16 ? product_run<1, Layout::half_k8> : product_run<0, Layout::half_k8>);
  } else {
    throw Unsupported("mma of this type");
  }
  const Counts counts = counts_of(layout);
  const u32 per = type_a == Type::tf32 ? 1 : 2;
  take_vector(d, 0, Type::b32, (in.flags & kHalfD) != 0 ? 2 : 4, true);
  take_vector(d, 1, Type::b32, counts.a / per, false);
  take_vector(d, 2, Type::b32, counts.b / per, false);
  take_vector(d, 3, Type::b32, (in.flags & kHalfC) != 0 ? 2 : 4, false);
  d.set(run, nullptr);
}

}  // namespace

void register_matrix(Registry& r) { r.add("mma", decode_mma); }

}  // namespace gpu::ops
