#pragma once

/// @file
/// Every macro of the library but the version.

#if __cplusplus < 202002L
#error "attend needs C++20: -std=c++20"
#endif
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "attend needs infinities and NaN as IEEE 754 has them: no -ffast-math, no -ffinite-math-only"
#endif

/// Marks a function that runs on the host and, under a CUDA compiler, on the device.
#if defined(__CUDACC__)
#define ATTEND_HD __host__ __device__
#else
#define ATTEND_HD
#endif

/// An empty member takes no room. (MSVC ignores the standard spelling.)
#if defined(_MSC_VER)
#define ATTEND_NO_UNIQUE_ADDRESS [[msvc::no_unique_address]]
#else
#define ATTEND_NO_UNIQUE_ADDRESS [[no_unique_address]]
#endif

/// Always inlined: the layers of instructions in cpu/engine.
#if defined(__GNUC__)
#define ATTEND_INLINE inline __attribute__((always_inline))
#else
#define ATTEND_INLINE inline
#endif

/// Never inlined.
#if defined(__GNUC__)
#define ATTEND_NOINLINE __attribute__((noinline))
#else
#define ATTEND_NOINLINE
#endif

/// In front of a loop of constant length over registers: unrolled whole at every level of
/// optimisation, so that arrays of vectors become registers.
#if defined(__clang__)
#define ATTEND_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__CUDACC__)  // nvcc hands the pragma on, but warns of it
#define ATTEND_UNROLL                                                                     \
  _Pragma("nv_diagnostic push") _Pragma("nv_diag_suppress 1675") _Pragma("GCC unroll 64") \
      _Pragma("nv_diagnostic pop")
#elif defined(__GNUC__)
#define ATTEND_UNROLL _Pragma("GCC unroll 64")
#else
#define ATTEND_UNROLL
#endif

#define ATTEND_PRAGMA(text) _Pragma(#text)  ///< The text as a pragma, with macros replaced in it.

/// From here to `ATTEND_TARGET_END` functions (templates too, lambdas not) are compiled for a
/// processor with these features, whatever the compiler's flags say of the rest of the program.
#if defined(__clang__)
#define ATTEND_TARGET_BEGIN(features) \
  ATTEND_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
/// Ends `ATTEND_TARGET_BEGIN`.
#define ATTEND_TARGET_END ATTEND_PRAGMA(clang attribute pop)
#else
// "generic": tuned to Zen 3, as -march=native has it on Zen 4, g++ 12 reads the right factors of a
// product from memory once for each row, which costs 27% of the speed.
#define ATTEND_TARGET_BEGIN(features)                                                            \
  ATTEND_PRAGMA(GCC push_options)                                                                \
  ATTEND_PRAGMA(GCC target("tune=generic", features))                                            \
  ATTEND_PRAGMA(GCC diagnostic push) /* g++ 12 takes its own "undefined" vectors for mistakes */ \
  ATTEND_PRAGMA(GCC diagnostic ignored "-Wuninitialized")                                        \
  ATTEND_PRAGMA(GCC diagnostic ignored "-Wmaybe-uninitialized")
/// Ends `ATTEND_TARGET_BEGIN`.
#define ATTEND_TARGET_END ATTEND_PRAGMA(GCC diagnostic pop) ATTEND_PRAGMA(GCC pop_options)
#endif

/// A function compiled for a processor with these features, tuned as the rest of the program is,
/// with all that can be inlined into it: code without a target of its own takes its caller's.
#define ATTEND_TARGET(features) __attribute__((target(features), flatten))

/// Everything that the host runs for elements of type T, as explicit instantiations: `linkage` is
/// `template`, or `extern template` where another file has them. See cpu/instances.hpp.
// NOLINTBEGIN(bugprone-macro-parentheses): a declaration takes none.
#define ATTEND_HOST_PATHS(linkage, T)                                                              \
  namespace attend::cpu {                                                                          \
  linkage const Kernels<T>& kernels_of<T>(Engine);                                                 \
  linkage void math_forward(const Problem&, const Variant<RealOf<T>>&, const ForwardTensors<T>&,   \
                            const Workers&);                                                       \
  linkage void math_backward(const Problem&, const Variant<RealOf<T>>&, const BackwardTensors<T>&, \
                             const Workers&);                                                      \
  linkage void fused_forward(const Problem&, const Variant<RealOf<T>>&, const ForwardTensors<T>&,  \
                             const Workers&);                                                      \
  linkage void fused_backward(const Problem&, const Variant<RealOf<T>>&,                           \
                              const BackwardTensors<T>&, const Workers&);                          \
  linkage void run_fused<T>(const Problem&, const Variant<RealOf<T>>&, const FusedHooks<T>&,       \
                            const ForwardTensors<T>&, const Workers&);                             \
  linkage void run_fused_backward<T>(const Problem&, const Variant<RealOf<T>>&,                    \
                                     const FusedGradientHooks<T>&, const BackwardTensors<T>&,      \
                                     const QueryStates<RealOf<T>>&, const Workers&);               \
  }
// NOLINTEND(bugprone-macro-parentheses)
