#pragma once

#include "engines.hpp"

/// @file
/// Functions that each program brings along, compiled for the instructions of the engine that runs.

namespace attend::cpu {

/// A function compiled once for each set of instructions: copies that the compiler makes, by
/// inlining it whole into functions that differ in nothing else.
template <auto kFunction, class Pointer = decltype(kFunction)>
struct Compiled;

/// @copydoc Compiled
template <auto kFunction, class Result, class... Arguments>
struct Compiled<kFunction, Result (*)(Arguments...)> {
#if defined(__x86_64__)
  /// Beside the engine avx2.
  ATTEND_TARGET("avx2,fma") static Result avx2(Arguments... arguments) {
    return kFunction(arguments...);
  }
  /// Beside the engines of avx512's family.
  ATTEND_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
  static Result avx512(Arguments... arguments) { return kFunction(arguments...); }
#endif
};

/// Lanes of a whole panel of avx2: three vectors.
template <class Real>
constexpr int kAvx2Lanes = 96 / static_cast<int>(sizeof(Real));

/// The function as it is to run beside an engine: one for whole panels of avx2, one for others.
/// (Loops over 8 lanes are unrolled by g++ before it looks for vectors.)
template <auto kOf16Lanes, auto kOfAvx2Lanes>
auto compiled_for(Engine engine) {
  switch (engine) {
#if defined(__x86_64__)
    case Engine::avx2:
      return &Compiled<kOfAvx2Lanes>::avx2;
    case Engine::avx512:
    case Engine::avx512_bf16:
    case Engine::amx:
      return &Compiled<kOf16Lanes>::avx512;
#endif
    default:
      return kOf16Lanes;
  }
}

}  // namespace attend::cpu
