#pragma once

#include <cstdint>

#include "config.hpp"

/// @file
/// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror, Shaw, "Parallel random
/// numbers: as easy as 1, 2, 3" (SC 2011).

namespace attend {

/// Four 32-bit words: a counter, or what the generator makes of it.
struct PhiloxWords {
  std::uint32_t word[4];  ///< least significant first
};

/// Ten rounds of Philox4x32 on a 128-bit counter under a 64-bit key.
ATTEND_HD constexpr PhiloxWords philox4x32_10(PhiloxWords counter, std::uint64_t key) {
  auto key0 = static_cast<std::uint32_t>(key);
  auto key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter.word[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter.word[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9;  // the golden ratio
    key1 += 0xBB67AE85;  // sqrt(3) - 1
  }
  return counter;
}

/// The same with a 64-bit counter (the upper two words 0).
ATTEND_HD constexpr PhiloxWords philox4x32_10(std::uint64_t counter, std::uint64_t key) {
  return philox4x32_10(PhiloxWords{{static_cast<std::uint32_t>(counter),
                                    static_cast<std::uint32_t>(counter >> 32), 0, 0}},
                       key);
}

}  // namespace attend
