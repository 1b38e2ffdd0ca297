#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <cmath>
#include <limits>

/// @file
/// Numbers that are next to nothing, at the price of any other. A weight below the least normal
/// number is 0: Intel's cores take more than a hundred cycles longer for a vector with
/// such a number, and again in each product that it is part of. Softmax makes such floats of logits
/// some 87 below the greatest one (ALiBi's distant keys).

namespace attend::cpu {

/// While it lives, results of this thread's arithmetic that are below the least normal number are
/// zeros: for gradients, where products and sums of normal numbers are as small, and for the
/// textbook's weights, which are divided by their sum. Operands are taken as they are. A user's
/// functions do not run in its scope. Other architectures than x86 compute with such numbers at
/// full speed, or nearly so; there it does nothing.
class FlushSubnormals {
 public:
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;
#if defined(__x86_64__)
  FlushSubnormals() : outer_(_MM_GET_FLUSH_ZERO_MODE()) { set(_MM_FLUSH_ZERO_ON); }
  ~FlushSubnormals() { set(outer_); }

 private:
  /// What is read from memory, computed and stored does not change places with it.
  static void set(unsigned mode) {
    __asm__("" : : : "memory");
    _MM_SET_FLUSH_ZERO_MODE(mode);
    __asm__("" : : : "memory");
  }

  unsigned outer_;
#else
  FlushSubnormals() {}
  ~FlushSubnormals() {}
#endif
};

/// x, and 0 for numbers below the least normal one.
template <class Real>
Real normal_or_zero(Real x) {
  return std::abs(x) < std::numeric_limits<Real>::min() ? Real{0} : x;
}

}  // namespace attend::cpu
