#include "loops.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace bench {
namespace {

// Whatever is written here counts as used.
volatile double float_sink;
volatile std::int64_t integer_sink;

typedef float Float4 __attribute__((vector_size(16)));
typedef float Float8 __attribute__((vector_size(32)));
typedef float Float16 __attribute__((vector_size(64)));
typedef double Double2 __attribute__((vector_size(16)));
typedef double Double4 __attribute__((vector_size(32)));
typedef double Double8 __attribute__((vector_size(64)));
typedef std::int64_t Integer8 __attribute__((vector_size(64)));

constexpr int kChains = 12;  // hide the latency of two pipes, and fit 16 registers with the factors

// Inlined into functions that name their instruction set, so that it is compiled for that set.
template <class V>
[[gnu::always_inline]] inline void multiply_add(std::int64_t rounds) {
  const V x = V{} + 0.5f, y = V{} + 0.25f;
  // No chain begins with x, where it would stay: compilers see that and leave it out.
  V a = x + y, b = a + x, c = b + x, d = c + x, e = d + x, f = e + x;
  V g = f + x, h = g + x, k = h + x, l = k + x, m = l + x, n = m + x;
  for (std::int64_t round = 0; round < rounds; ++round) {
    a = a * x + y, b = b * x + y, c = c * x + y, d = d * x + y, e = e * x + y, f = f * x + y;
    g = g * x + y, h = h * x + y, k = k * x + y, l = l * x + y, m = m * x + y, n = n * x + y;
  }
  const V sum = a + b + c + d + e + f + g + h + k + l + m + n;
  float_sink = sum[0];
}

[[gnu::always_inline]] inline void read_lines(const char* data, std::int64_t bytes) {
  const Integer8* line = reinterpret_cast<const Integer8*>(data);
  const Integer8* const end = line + bytes / 64;
  Integer8 a{}, b{}, c{}, d{};
  for (; line < end; line += 4) a += line[0], b += line[1], c += line[2], d += line[3];
  const Integer8 sum = a + b + c + d;
  integer_sink = sum[0];
}

void plain(std::int64_t rounds) { multiply_add<Float4>(rounds); }
void plain_double(std::int64_t rounds) { multiply_add<Double2>(rounds); }
void plain_read(const char* data, std::int64_t bytes) { read_lines(data, bytes); }

#if defined(__x86_64__)

[[gnu::target("avx2,fma")]] void avx2(std::int64_t rounds) { multiply_add<Float8>(rounds); }
[[gnu::target("avx512f")]] void avx512(std::int64_t rounds) { multiply_add<Float16>(rounds); }
[[gnu::target("avx2,fma")]] void avx2_double(std::int64_t rounds) { multiply_add<Double4>(rounds); }
[[gnu::target("avx512f")]] void avx512_double(std::int64_t rounds) {
  multiply_add<Double8>(rounds);
}
[[gnu::target("avx2")]] void avx2_read(const char* data, std::int64_t bytes) {
  read_lines(data, bytes);
}
[[gnu::target("avx512f")]] void avx512_read(const char* data, std::int64_t bytes) {
  read_lines(data, bytes);
}

[[gnu::target("avx512f,avx512bf16")]] void avx512_bf16(std::int64_t rounds) {
  const __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.25f));
  __m512 a = _mm512_set1_ps(1), b = a + a, c = b + a, d = c + a, e = d + a, f = e + a;
  __m512 g = f + a, h = g + a, k = h + a, l = k + a, m = l + a, n = m + a;
  for (std::int64_t round = 0; round < rounds; ++round) {
    a = _mm512_dpbf16_ps(a, x, x), b = _mm512_dpbf16_ps(b, x, x), c = _mm512_dpbf16_ps(c, x, x);
    d = _mm512_dpbf16_ps(d, x, x), e = _mm512_dpbf16_ps(e, x, x), f = _mm512_dpbf16_ps(f, x, x);
    g = _mm512_dpbf16_ps(g, x, x), h = _mm512_dpbf16_ps(h, x, x), k = _mm512_dpbf16_ps(k, x, x);
    l = _mm512_dpbf16_ps(l, x, x), m = _mm512_dpbf16_ps(m, x, x), n = _mm512_dpbf16_ps(n, x, x);
  }
  const __m512 sum = a + b + c + d + e + f + g + h + k + l + m + n;
  float_sink = sum[0];
}

// The configuration of palette 1 (Intel SDM, volume 1, section 18.3): bytes per row and rows of
// each tile.
struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

[[gnu::target("amx-tile,amx-bf16")]] void amx_bf16(std::int64_t rounds) {
  const TileConfiguration configuration;
  _tile_loadconfig(&configuration);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (std::int64_t round = 0; round < rounds; ++round) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

// Whether the processor has AMX's bf16 products and the system lets this process use its tiles.
bool amx_allowed() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  if ((d & kBf16) == 0 || (d & kTile) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // arch_prctl(2)
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

#endif

}  // namespace

std::vector<ComputeLoop> compute_loops() {
  using attend::Dtype;
  std::vector<ComputeLoop> loops{{"baseline", Dtype::f32, kChains * 4 * 2, plain}};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    loops.push_back({"AVX2", Dtype::f32, kChains * 8 * 2, avx2});
  if (__builtin_cpu_supports("avx512f"))
    loops.push_back({"AVX-512", Dtype::f32, kChains * 16 * 2, avx512});
  if (__builtin_cpu_supports("avx512bf16"))
    loops.push_back({"AVX-512-BF16", Dtype::bf16, kChains * 16 * 4, avx512_bf16});
  if (__builtin_cpu_supports("avx512f"))
    loops.push_back({"AVX-512", Dtype::f64, kChains * 8 * 2, avx512_double});
  else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    loops.push_back({"AVX2", Dtype::f64, kChains * 4 * 2, avx2_double});
  else
    loops.push_back({"baseline", Dtype::f64, kChains * 2 * 2, plain_double});
  if (amx_allowed()) loops.push_back({"AMX-BF16", Dtype::bf16, 4.0 * 16 * 16 * 32 * 2, amx_bf16});
#else
  loops.push_back({"baseline", Dtype::f64, kChains * 2 * 2, plain_double});
#endif
  return loops;
}

void read_all(const char* data, std::int64_t bytes) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return avx512_read(data, bytes);
  if (__builtin_cpu_supports("avx2")) return avx2_read(data, bytes);
#endif
  plain_read(data, bytes);
}

}  // namespace bench
