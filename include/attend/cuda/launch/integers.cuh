#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../core/variant.hpp"
#include "../kernel/integers.cuh"
#include "launch.cuh"
#include "memory.hpp"

/// @file
/// Integers of the host's, brought to the device by value.

namespace attend::cuda {

/// Has `values`, of which `count` lie on the host, refer to a copy on the device, in `stream`'s
/// order. With a count of 0 they stay as they are.
/// @throws device_error
template <class V>
Memory to_device(Integers& values, std::int64_t count, cudaStream_t stream) {
  if (count == 0 || !values) return {};
  Memory memory(static_cast<std::size_t>(count) * sizeof(std::int64_t), Stream::borrowed(stream));
  auto* const to = static_cast<std::int64_t*>(memory.data());
  for (std::int64_t first = 0; first < count; first += IntegerRun::kMost) {
    const int run_count =
        static_cast<int>(std::min<std::int64_t>(count - first, IntegerRun::kMost));
    IntegerRun run{};
    for (int n = 0; n < run_count; ++n) run.value[n] = values[first + n];
    launch("store_integers", store_integers<V>, {1, IntegerRun::kMost}, stream, run, run_count,
           to + first);
  }
  values = values.copied_to(to);
  return memory;
}

}  // namespace attend::cuda
