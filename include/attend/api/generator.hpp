#pragma once

#include <atomic>
#include <cstdint>
#include <random>

#include "../core/dropout.hpp"

/// @file
/// The dropout generator that an `Attend` object owns.

namespace attend {

/// A seed and an offset that calls advance. Calls from several threads get disjoint counters.
class Generator {
 public:
  /// Starts at offset 0.
  explicit Generator(std::uint64_t seed) : seed_(seed) {}
  /// Starts where another one stood.
  explicit Generator(const Rng& state) : seed_(state.seed), offset_(state.offset) {}
  /// Starts where the other stands.
  Generator(const Generator& other) : seed_(other.seed_), offset_(other.offset_.load()) {}
  /// Goes on where the other stands.
  Generator& operator=(const Generator& other) {
    seed_ = other.seed_;
    offset_ = other.offset_.load();
    return *this;
  }

  /// A seed from the system.
  static std::uint64_t random_seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
  }

  /// Where the next call starts.
  Rng state() const { return {seed_, offset_.load()}; }

  /// Sets aside `counters` counters; what is returned is the first.
  Rng take(std::uint64_t counters) { return {seed_, offset_.fetch_add(counters)}; }

  /// Undoes `take` for a call that failed, unless another call has taken counters since.
  void give_back(Rng taken, std::uint64_t counters) {
    std::uint64_t after = taken.offset + counters;
    offset_.compare_exchange_strong(after, taken.offset);
  }

 private:
  std::uint64_t seed_;
  std::atomic<std::uint64_t> offset_{0};
};

}  // namespace attend
