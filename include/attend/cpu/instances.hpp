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

/// What compiler flags say of how Eigen aligns memory and blocks its products.
inline constexpr int kInstructionFlags = 0
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

/// Is in attend::compiled, for the flags that this was compiled with. Without it Eigen's memory
/// would be taken in one way and given back in another; so a program with other flags does not
/// link.
template <int kAlignment, int kInstructions>
void attend_compiled_needs_the_same_instruction_flags();

#if !defined(__CUDACC__)  // there Eigen uses no such instructions, whatever the flags
namespace {
[[gnu::used]] void (*const same_instruction_flags)() =
    &attend_compiled_needs_the_same_instruction_flags<EIGEN_MAX_ALIGN_BYTES, kInstructionFlags>;
}
#endif

}  // namespace attend::cpu
ATTEND_HOST_PATHS(extern template, float)
ATTEND_HOST_PATHS(extern template, double)
ATTEND_HOST_PATHS(extern template, Eigen::half)
ATTEND_HOST_PATHS(extern template, Eigen::bfloat16)
#endif
