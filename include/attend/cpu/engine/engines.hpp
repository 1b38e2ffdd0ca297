#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "../../core/error.hpp"
#include "amx.hpp"
#include "avx2.hpp"
#include "avx512.hpp"
#include "avx512_bf16.hpp"
#include "neon.hpp"
#include "portable.hpp"

// Only tests ask for the emulated engines; nobody else should have to compile them.
#if defined(ATTEND_EMULATED_ENGINES)
#include "emulated.hpp"
#endif

/// @file
/// The engines there are, and which of them runs: the fastest this processor has, unless
/// `ATTEND_ENGINE` or an `EngineOverride` names another.

namespace attend::cpu {

/// Tile engines, from the plainest to the most demanding. Each is taken to be faster than those
/// before it, but for `pairs_pay`.
enum class Engine {
  emulated_bf16,  ///< the logic of avx512_bf16 in plain C++: with ATTEND_EMULATED_ENGINES defined
  emulated_amx,   ///< the logic of amx in plain C++: with ATTEND_EMULATED_ENGINES defined
  portable,       ///< the compiler's own vectors; any architecture
  neon,           ///< 4 floats; AArch64
  avx2,           ///< 8 floats; AVX2, FMA, F16C
  avx512,         ///< 16 floats; F, BW, DQ, VL
  avx512_bf16,    ///< vdpbf16ps for bfloat16, else as avx512
  amx,            ///< tiles for bfloat16, else as avx512
};

/// As `ATTEND_ENGINE` has it.
constexpr const char* name(Engine engine) {
  switch (engine) {
    case Engine::emulated_bf16:
      return "emulated_bf16";
    case Engine::emulated_amx:
      return "emulated_amx";
    case Engine::portable:
      return "portable";
    case Engine::neon:
      return "neon";
    case Engine::avx2:
      return "avx2";
    case Engine::avx512:
      return "avx512";
    case Engine::avx512_bf16:
      return "avx512_bf16";
    case Engine::amx:
      return "amx";
  }
  return "unknown";
}

/// All engines.
constexpr Engine kEngines[] = {Engine::emulated_bf16, Engine::emulated_amx, Engine::portable,
                               Engine::neon,          Engine::avx2,         Engine::avx512,
                               Engine::avx512_bf16,   Engine::amx};

/// Whether this processor (and operating system) can run it.
inline bool available(Engine engine) {
  switch (engine) {
    case Engine::portable:
      return true;
#if defined(ATTEND_EMULATED_ENGINES)
    case Engine::emulated_bf16:
    case Engine::emulated_amx:
      return true;
#endif
#if defined(__aarch64__)
    case Engine::neon:
      return true;
#endif
#if defined(__x86_64__)
    case Engine::avx2:  // every processor with AVX2 and FMA has F16C, which clang 14 can't ask for
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Engine::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("fma");
    case Engine::avx512_bf16:
      return available(Engine::avx512) && __builtin_cpu_supports("avx512bf16");
    case Engine::amx:
      return available(Engine::avx512_bf16) && amx::usable();
#endif
    default:
      return false;
  }
}

/// The engines that this processor can run.
inline std::vector<Engine> available_engines() {
  std::vector<Engine> engines;
  for (const Engine engine : kEngines)
    if (available(engine)) engines.push_back(engine);
  return engines;
}

/// The engine of a name.
/// @throws value_error if there is none, or this processor can't run it.
inline Engine engine_named(std::string_view text) {
  std::string known;
  for (const Engine engine : kEngines) {
    if (!available(engine)) continue;
    if (text == name(engine)) return engine;
    known += std::string(known.empty() ? "" : ", ") + name(engine);
  }
  throw value_error("ATTEND_ENGINE is \"" + std::string(text) +
                    "\"; expected an engine that this processor has: " + known);
}

/// Whether vdpbf16ps multiplies faster than multiply-adds of widened elements: on AMD's cores twice
/// as fast. Intel's take one in the time of four multiply-adds, which do twice as much (Emerald
/// Rapids).
inline bool pairs_pay() {
#if defined(__x86_64__)
  return !__builtin_cpu_is("intel");
#else
  return false;
#endif
}

/// The fastest of some engines.
inline Engine fastest(const std::vector<Engine>& engines, bool pairs_pay) {
  Engine best = Engine::portable;
  for (const Engine engine : engines)
    if (engine > best && (engine != Engine::avx512_bf16 || pairs_pay)) best = engine;
  return best;
}

/// What runs if nobody overrides it; looked up once.
inline Engine default_engine() {
  static const Engine engine = [] {
    const char* const forced = std::getenv("ATTEND_ENGINE");
    return forced != nullptr && *forced != '\0' ? engine_named(forced)
                                                : fastest(available_engines(), pairs_pay());
  }();
  return engine;
}

/// While it lives, calls from this thread use the given engine. Overrides nest.
class EngineOverride {
 public:
  /// @throws value_error if this processor can't run the engine.
  explicit EngineOverride(Engine engine) : engine_(engine_named(name(engine))), outer_(current()) {
    current() = this;
  }
  ~EngineOverride() { current() = outer_; }
  EngineOverride(const EngineOverride&) = delete;
  EngineOverride& operator=(const EngineOverride&) = delete;

  /// The engine for calls from this thread.
  static Engine engine() { return current() != nullptr ? current()->engine_ : default_engine(); }

 private:
  static const EngineOverride*& current() {
    static thread_local const EngineOverride* top = nullptr;
    return top;
  }

  Engine engine_;
  const EngineOverride* outer_;
};

/// An engine's operations on elements of type T; the portable ones where it has none of its own.
template <class T>
const Kernels<T>& kernels_of(Engine engine) {
  static constexpr Kernels<T> kPortable = portable::table<T>();
  if constexpr (std::is_same_v<T, Eigen::bfloat16>) {
#if defined(ATTEND_EMULATED_ENGINES)
    static constexpr Kernels<T> kEmulatedBf16 = emulated::pair_table<T>();
    static constexpr Kernels<T> kEmulatedAmx = emulated::tile_table<T>();
    if (engine == Engine::emulated_bf16) return kEmulatedBf16;
    if (engine == Engine::emulated_amx) return kEmulatedAmx;
#endif
#if defined(__x86_64__)
    static constexpr Kernels<T> kAvx512Bf16 = avx512_bf16::table<T>();
    if (engine == Engine::avx512_bf16) return kAvx512Bf16;
    static constexpr Kernels<T> kAmx = amx::table<T>();
    if (engine == Engine::amx && amx::permitted()) return kAmx;
#endif
  }
#if defined(__aarch64__)
  if constexpr (std::is_same_v<RealOf<T>, float>) {
    static constexpr Kernels<T> kNeon = neon::table<T>();
    if (engine == Engine::neon) return kNeon;
  }
#endif
#if defined(__x86_64__)
  static constexpr Kernels<T> kAvx512 = avx512::table<T>();
  static constexpr Kernels<T> kAvx2 = avx2::table<T>();
  if (engine == Engine::avx2) return kAvx2;
  if (engine == Engine::avx512 || engine == Engine::avx512_bf16 || engine == Engine::amx)
    return kAvx512;
#endif
  static_cast<void>(engine);
  return kPortable;
}

}  // namespace attend::cpu
