#pragma once

#include <cstdint>

#include "philox.hpp"
#include "problem.hpp"

/// @file
/// Which probabilities dropout keeps: a pure function of seed, offset and place, the same on every
/// path.

namespace attend {

/// State of the dropout generator: what a call starts from.
struct Rng {
  std::uint64_t seed = 0;    ///< the Philox key
  std::uint64_t offset = 0;  ///< the first counter

  /// Two states are equal if they make the same bits.
  friend constexpr bool operator==(const Rng&, const Rng&) = default;
};

/// Dropout of one call. A row (b, h, i) owns the counters
/// `offset + ((b * heads + h) * len_q + i) * ceil(len_k / 4) + j / 4`; key j takes word `j mod 4`,
/// and is kept iff that word / 2^32 >= p. Kept probabilities are multiplied by 1 / (1 - p).
struct Dropout {
  Rng rng;                      ///< where the bits come from
  std::uint64_t threshold = 0;  ///< ceil(p * 2^32): words below it are dropped; 0: no dropout
  double keep_scale = 1;        ///< 1 / (1 - p), and 0 for p = 1

  /// No dropout.
  constexpr Dropout() = default;

  /// Dropout with probability p in [0, 1].
  constexpr Dropout(double p, Rng from) : rng(from), keep_scale(p < 1 ? 1 / (1 - p) : 0) {
    const double scaled = p * 4294967296.0;
    threshold = static_cast<std::uint64_t>(scaled);
    if (static_cast<double>(threshold) < scaled) ++threshold;
  }

  /// False where nothing is dropped or scaled.
  ATTEND_HD constexpr bool active() const { return threshold != 0; }

  /// Counters per row of `len_k` keys: four keys share one.
  ATTEND_HD static constexpr std::uint64_t counters_per_row(std::int64_t len_k) {
    return (static_cast<std::uint64_t>(len_k) + 3) / 4;
  }

  /// Counters that a call spans, by which it advances the offset.
  ATTEND_HD static constexpr std::uint64_t counters(const Problem& problem) {
    return static_cast<std::uint64_t>(problem.batch) * static_cast<std::uint64_t>(problem.heads) *
           static_cast<std::uint64_t>(problem.len_q) * counters_per_row(problem.len_k);
  }

  /// The counter of key 0 in row (b, h, i).
  ATTEND_HD constexpr std::uint64_t row_counter(const Problem& problem, std::int64_t b,
                                                std::int64_t h, std::int64_t i) const {
    const std::int64_t row = (b * problem.heads + h) * problem.len_q + i;
    return rng.offset + static_cast<std::uint64_t>(row) * counters_per_row(problem.len_k);
  }

  /// The words of the four keys that share a counter.
  ATTEND_HD constexpr PhiloxWords words(std::uint64_t counter) const {
    return philox4x32_10(counter, rng.seed);
  }

  /// What key j's probability in the row that starts at `row_counter` is multiplied by: 0 or 1 / (1
  /// - p).
  ATTEND_HD constexpr double factor(std::uint64_t row_counter, std::int64_t j) const {
    const PhiloxWords four = words(row_counter + static_cast<std::uint64_t>(j) / 4);
    const std::uint32_t low = j % 2 == 0 ? four.word[0] : four.word[1];   // no indexing: words stay
    const std::uint32_t high = j % 2 == 0 ? four.word[2] : four.word[3];  // in a kernel's registers
    return (j % 4 < 2 ? low : high) >= threshold ? keep_scale : 0.0;
  }
};

}  // namespace attend
