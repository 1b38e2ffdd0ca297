#pragma once

#include "../../core/config.hpp"
#include "wgmma.cuh"

/// @file
/// Which architectures a kernel is compiled for. Where no launch would choose it, it is empty:
/// compilers have that much less to do, and programs that much less to carry.

namespace attend::cuda {

/// The architectures of a kernel.
enum class Compiled {
  everywhere,
  before_8_0,              ///< later ones have a better kernel
  from_8_0,                ///< earlier ones lack instructions
  from_8_0_without_wgmma,  ///< and those that have them a better kernel
  with_wgmma,              ///< 9.0a alone
};

/// Whether the architecture being compiled for is one of these.
ATTEND_HD constexpr bool is_compiled(Compiled compiled) {
#if __CUDA_ARCH__ >= 800
  constexpr bool kFrom80 = true;
#else
  constexpr bool kFrom80 = false;
#endif
  switch (compiled) {
    case Compiled::everywhere:
      return true;
    case Compiled::before_8_0:
      return !kFrom80;
    case Compiled::from_8_0:
      return kFrom80;
    case Compiled::from_8_0_without_wgmma:
      return kFrom80 && !kHasWgmma;
    case Compiled::with_wgmma:
      return kHasWgmma;
  }
  return true;
}

}  // namespace attend::cuda
