#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/// @file
/// Weights that are next to nothing, at the price of any other number.

namespace attend::cpu {

/// While it lives, results of this thread's arithmetic that are below the least normal number are
/// zeros. Softmax makes such numbers of logits some 87 below the greatest (ALiBi's distant keys),
/// and Intel's cores take more than a hundred cycles longer for a vector that has one, in each
/// product again. Operands are taken as they are. Other architectures than x86 compute with them at
/// full speed, or nearly so; there it does nothing.
class FlushSubnormals {
 public:
#if defined(__x86_64__)
  FlushSubnormals() : outer_(_mm_getcsr()) { set(outer_ | _MM_FLUSH_ZERO_ON); }
  ~FlushSubnormals() { set(outer_); }

 private:
  /// What is read from memory, computed and stored does not change places with it.
  static void set(unsigned control) {
    __asm__("" : : : "memory");
    _mm_setcsr(control);
    __asm__("" : : : "memory");
  }

  unsigned outer_;
#else
  FlushSubnormals() {}
  ~FlushSubnormals() {}

 public:
#endif
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;
};

}  // namespace attend::cpu
