#pragma once

#include "../core/config.hpp"
#include "fused_backward.hpp"
#include "fused_forward.hpp"
#include "math_backward.hpp"
#include "math_forward.hpp"

/// @file
/// The host's paths. Each program compiles what it uses of them, or links the library
/// `attend::compiled` that holds them all, for the four element types (ATTEND_COMPILED is then
/// defined). Code of the user's functions is compiled with the user either way.

#if defined(ATTEND_COMPILED)
namespace attend::cpu {

/// What compiler flags say of how Eigen blocks its products; -1 under a CUDA compiler, where it
/// uses no such instructions, whatever they say.
inline constexpr int kInstructionFlags =
#if defined(__CUDACC__)
    -1;
#else
    0
#if defined(__AVX512F__)
    + 4
#endif
#if defined(__AVX__)
    + 2
#endif
#if defined(__FMA__)
    + 1
#endif
    ;
#endif

/// Is in attend::compiled, for the flags that this was compiled with. Without it Eigen's memory
/// would be taken in one way and given back in another; so a program with other flags does not
/// link, and a shared library does not load.
template <int kAlignment, int kInstructions>
void attend_compiled_needs_the_same_instruction_flags();

namespace {
#if __has_attribute(retain)
[[gnu::retain]]
#endif
[[gnu::used]] void (*const same_instruction_flags)() =
    &attend_compiled_needs_the_same_instruction_flags<EIGEN_MAX_ALIGN_BYTES, kInstructionFlags>;
}  // namespace

}  // namespace attend::cpu
ATTEND_HOST_PATHS(extern template, float)
ATTEND_HOST_PATHS(extern template, double)
ATTEND_HOST_PATHS(extern template, Eigen::half)
ATTEND_HOST_PATHS(extern template, Eigen::bfloat16)
#endif
