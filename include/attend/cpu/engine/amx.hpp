#pragma once

#if defined(__x86_64__)

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "avx512_bf16.hpp"

/// @file
/// The AMX engine for bfloat16: tdpbf16ps multiplies tiles of 16 x 32 by 32 x 16 (Sapphire Rapids).
/// Between the products it rounds as the AVX-512-BF16 engine does; few rows and the backward pass
/// are the AVX-512 engine's (only Intel's processors have tiles; see `pairs_pay`).

ATTEND_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,f16c,amx-tile,amx-bf16")
namespace attend::cpu::amx {

/// The AVX-512-BF16 layer with matrix tiles.
struct Layer : avx512_bf16::Layer {
  static constexpr int kStepsAtOnce = 16;
  static constexpr int kMaxVectors = 2;

  /// Tile registers of a block: sums in 0 to 3, the left factor in 4 and 5, the right in 6 and 7.
  class Tiles {
   public:
    /// The upper blocks have `low` rows, the lower ones `high`.
    ATTEND_INLINE Tiles(int low, int high) {
      Configuration c;
      for (int n = 0; n < 8; ++n) c.row_bytes[n] = 64;
      for (const int n : {0, 1, 4}) c.rows[n] = static_cast<std::uint8_t>(low);
      for (const int n : {2, 3, 5}) c.rows[n] = static_cast<std::uint8_t>(high > 0 ? high : 1);
      for (const int n : {6, 7}) c.rows[n] = 16;
      // What the tiles load must have been stored, and the compiler is not told what they load.
      std::atomic_signal_fence(std::memory_order_seq_cst);
      _tile_loadconfig(&c);
    }
    /// Afterwards the thread's state is as small as before.
    ATTEND_INLINE ~Tiles() { _tile_release(); }
    Tiles(const Tiles&) = delete;
    Tiles& operator=(const Tiles&) = delete;

    /// Sums of 0.
    ATTEND_INLINE void clear() {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    template <int kBlock>
    ATTEND_INLINE void load_rows(const char* from, std::int64_t row_bytes) {
      if constexpr (kBlock == 0)
        _tile_loadd(4, from, row_bytes);
      else
        _tile_loadd(5, from, row_bytes);
    }
    template <int kBlock>
    ATTEND_INLINE void load_factor(const char* from, std::int64_t step_bytes) {
      if constexpr (kBlock == 0)
        _tile_loadd(6, from, step_bytes);
      else
        _tile_loadd(7, from, step_bytes);
    }
    template <int kRow, int kColumn>
    ATTEND_INLINE void multiply_add() {
      if constexpr (kRow == 0 && kColumn == 0) _tile_dpbf16ps(0, 4, 6);
      if constexpr (kRow == 0 && kColumn == 1) _tile_dpbf16ps(1, 4, 7);
      if constexpr (kRow == 1 && kColumn == 0) _tile_dpbf16ps(2, 5, 6);
      if constexpr (kRow == 1 && kColumn == 1) _tile_dpbf16ps(3, 5, 7);
    }
    template <int kRow, int kColumn>
    ATTEND_INLINE void store(float* to) const {
      if constexpr (kRow == 0 && kColumn == 0) _tile_stored(0, to, 64);
      if constexpr (kRow == 0 && kColumn == 1) _tile_stored(1, to, 64);
      if constexpr (kRow == 1 && kColumn == 0) _tile_stored(2, to, 64);
      if constexpr (kRow == 1 && kColumn == 1) _tile_stored(3, to, 64);
    }

   private:
    /// As ldtilecfg reads it.
    struct alignas(64) Configuration {
      std::uint8_t palette = 1;
      std::uint8_t start_row = 0;
      std::uint8_t reserved[14] = {};
      std::uint16_t row_bytes[16] = {};
      std::uint8_t rows[16] = {};
    };
  };
};

#include "exp2.inl"
#include "matrix_tiles.inl"
#include "pack.inl"
#include "product.inl"
#include "softmax.inl"
#include "tile.inl"

/// Sizes, not measured on any machine yet.
constexpr Tuning kTuning{16, 2, 2, 16, 256, 8};

/// The AVX-512 engine with these products; other types than bfloat16 have none here.
template <std::same_as<Eigen::bfloat16> T>
constexpr Kernels<T> table() {
  return with_products<Layer, T>(avx512::table<T>(), "amx", kTuning);
}

}  // namespace attend::cpu::amx
ATTEND_TARGET_END

#include <cpuid.h>

namespace attend::cpu::amx {

/// Linux' number of the tiles' contents, among what processors keep of a thread.
inline constexpr long kTileData = 18;

/// Whether processor and kernel have tiles of bfloat16.
inline bool usable() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((edx & kBf16) == 0 || (edx & kTile) == 0) return false;
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr long kSupported = 0x1021;
  std::uint64_t features = 0;
  return syscall(SYS_arch_prctl, kSupported, &features) == 0 && (features >> kTileData & 1) != 0;
#else
  return false;
#endif
}

/// Whether this process may use them: Linux is asked when they are first wanted, as the stacks of
/// signal handlers must have room for them from then on.
inline bool permitted() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  static const bool answer = [] {
    constexpr long kRequest = 0x1023;
    return usable() && syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  }();
  return answer;
#else
  return false;
#endif
}

}  // namespace attend::cpu::amx

#endif
