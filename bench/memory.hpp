// How much memory a call takes beyond its tensors.
#pragma once

#include <cstdint>
#include <functional>

namespace bench {

/// The most bytes that were allocated at one time during `work`, on all threads, beyond what was
/// allocated before; -1 where allocations can't be watched (a C library other than glibc).
std::int64_t peak_allocation(const std::function<void()>& work);

}  // namespace bench
