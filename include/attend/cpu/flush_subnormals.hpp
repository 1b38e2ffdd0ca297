#pragma once

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
#if defined(__x86_64__) && defined(__GNUC__)
  FlushSubnormals() {
    __asm__ volatile("stmxcsr %0" : "=m"(outer_) : : "memory");
    set(outer_ | kFlushToZero);
  }
  ~FlushSubnormals() { set(outer_); }

 private:
  static constexpr unsigned kFlushToZero = 1u << 15;

  // Nothing that is read from memory, computed and stored changes places with this.
  static void set(unsigned control) { __asm__ volatile("ldmxcsr %0" : : "m"(control) : "memory"); }

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
