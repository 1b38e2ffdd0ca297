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

/// What of the key the rounds of Philox4x32 go by; it changes from round to round.
struct PhiloxKey {
  std::uint32_t word[2];  ///< least significant first

  /// Of the first round.
  ATTEND_HD constexpr explicit PhiloxKey(std::uint64_t key)
      : word{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)} {}
  /// Goes on to the next round's.
  ATTEND_HD constexpr void advance() {
    word[0] += 0x9E3779B9;  // the golden ratio
    word[1] += 0xBB67AE85;  // sqrt(3) - 1
  }
};

/// Rounds of Philox4x32-10.
inline constexpr int kPhiloxRounds = 10;

/// One round.
ATTEND_HD constexpr PhiloxWords philox_round(const PhiloxWords& counter, const PhiloxKey& key) {
  const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter.word[0];
  const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter.word[2];
  return {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key.word[0],
           static_cast<std::uint32_t>(product1),
           static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key.word[1],
           static_cast<std::uint32_t>(product0)}};
}

/// A 64-bit counter (the upper two words 0).
ATTEND_HD constexpr PhiloxWords philox_counter(std::uint64_t counter) {
  return {{static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0, 0}};
}

/// Ten rounds of Philox4x32 on a 128-bit counter under a 64-bit key.
ATTEND_HD constexpr PhiloxWords philox4x32_10(PhiloxWords counter, std::uint64_t key) {
  PhiloxKey round_key(key);
  for (int round = 0; round < kPhiloxRounds; ++round, round_key.advance())
    counter = philox_round(counter, round_key);
  return counter;
}

/// The same with a 64-bit counter (the upper two words 0).
ATTEND_HD constexpr PhiloxWords philox4x32_10(std::uint64_t counter, std::uint64_t key) {
  return philox4x32_10(philox_counter(counter), key);
}

}  // namespace attend
