#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unsupported/Eigen/CXX11/ThreadPool>
#include <utility>

#include "../core/error.hpp"

/// @file
/// Where parallel work runs: Eigen's thread pool, the user's or one that the library keeps.

namespace attend {
namespace cpu {

/// A loop whose iterations are shared out to threads as they become free. The calling thread takes
/// part, so the loop ends even if no other thread ever comes (a pool that is busy, or that the
/// caller itself runs on).
class SharedLoop {
 public:
  /// `body(index, slot)` for 0 <= index < count.
  SharedLoop(std::int64_t count, std::function<void(std::int64_t, int)> body)
      : count_(count), body_(std::move(body)) {}

  /// Runs iterations until none is left to start. No two calls that overlap may have the same slot.
  void take_part(int slot) {
    std::int64_t finished = 0;
    for (std::int64_t index; (index = next_.fetch_add(1)) < count_; ++finished) {
      try {
        if (!failed_.load(std::memory_order_relaxed)) body_(index, slot);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!failed_.exchange(true)) error_ = std::current_exception();
      }
    }
    if (finished == 0 || finished_.fetch_add(finished) + finished != count_) return;
    const std::lock_guard<std::mutex> lock(mutex_);  // or the end comes between a look and a sleep
    done_.notify_all();
  }

  /// Returns when every iteration has ended; throws the first exception that one of them threw.
  void wait() {
    const auto ended = [&] { return finished_.load() == count_; };
    // What the others still do is often shorter than it takes to fall asleep and to be woken.
    for (int turn = 0; turn < kTurnsAwake && !ended(); ++turn) std::this_thread::yield();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, ended);
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static constexpr int kTurnsAwake = 1000;  // 0.4 ms on a Zen 5

  const std::int64_t count_;
  const std::function<void(std::int64_t, int)> body_;
  std::atomic<std::int64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::condition_variable done_;
  std::atomic<std::int64_t> finished_{0};
  std::exception_ptr error_;
};

/// The threads of one call: the calling one and those of a pool.
class Workers {
 public:
  /// The calling thread alone.
  Workers() = default;
  /// The calling thread and up to `others` of the pool's (none if it is below 0).
  Workers(std::shared_ptr<Eigen::ThreadPoolInterface> pool, int others)
      : pool_(std::move(pool)), others_(std::max(others, 0)) {}

  /// Threads that take part, at least 1. Results must not depend on it.
  int size() const { return 1 + others_; }

  /// Calls `body(index, slot)` for every 0 <= index < count, in any order, on any of the threads,
  /// and returns when all have ended. Calls that overlap in time have different slots, 0 <= slot <
  /// size(): a place to keep scratch memory. An exception ends the loop early and is thrown here.
  template <class Body>
  void for_each(std::int64_t count, Body&& body) const {
    const int helpers = static_cast<int>(std::min<std::int64_t>(others_, count - 1));
    if (helpers <= 0) {
      for (std::int64_t index = 0; index < count; ++index) body(index, 0);
      return;
    }
    const auto loop = std::make_shared<SharedLoop>(count, std::ref(body));
    for (int slot = 1; slot <= helpers; ++slot)
      pool_->Schedule([loop, slot] { loop->take_part(slot); });
    loop->take_part(0);
    loop->wait();
  }

 private:
  std::shared_ptr<Eigen::ThreadPoolInterface> pool_;
  int others_ = 0;
};

/// The pool that calls without one of their own share; made when first needed.
class SharedPool {
 public:
  /// The process's one instance.
  static SharedPool& instance() {
    static SharedPool pool;
    return pool;
  }

  /// Threads of a call, the calling one included.
  int threads() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return threads_;
  }

  /// Takes effect for calls that start afterwards; those that run keep the pool they have.
  void set_threads(int threads) {
    const std::lock_guard<std::mutex> lock(mutex_);
    threads_ = threads;
    pool_.reset();
  }

  /// The calling thread and the pool's.
  Workers workers() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (threads_ > 1 && !pool_) pool_.reset(new Eigen::ThreadPool(threads_ - 1));
    return {pool_, threads_ - 1};
  }

 private:
  SharedPool() = default;

  std::mutex mutex_;
  int threads_ = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::shared_ptr<Eigen::ThreadPoolInterface> pool_;
};

}  // namespace cpu

/// Sets how many threads a call on host tensors uses that is given no thread pool of its own; 1
/// means that the library makes none (with OpenMP on, the math path's products are Eigen's, which
/// has threads of its own: `Eigen::setNbThreads`). The default is the machine's number of hardware
/// threads. Results do not depend on it.
/// @throws value_error if `threads` is below 1.
inline void set_threads(int threads) {
  if (threads < 1)
    throw value_error("threads is " + std::to_string(threads) + "; expected at least 1");
  cpu::SharedPool::instance().set_threads(threads);
}

/// Threads that such a call uses, the calling one included.
inline int threads() { return cpu::SharedPool::instance().threads(); }

}  // namespace attend
