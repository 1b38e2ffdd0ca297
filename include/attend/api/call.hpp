#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <unsupported/Eigen/CXX11/ThreadPool>
#include <utility>

#include "../core/variant.hpp"
#include "../cpu/workers.hpp"
#include "../select/path.hpp"
#include "argument.hpp"

/// @file
/// Everything one call can be asked for beyond q, k and v.

namespace attend {

/// Which keys come after a query and are hidden from it: key j is seen iff `j <= i + shift`.
class Causal {
 public:
  /// All keys are seen. Positions (of window and ALiBi) are those of `bottom_right`.
  static const Causal none;
  /// Shift 0: the first query sees the first key.
  static const Causal top_left;
  /// Shift len_k - len_q (the key length in place of len_k, where given): the last query sees the
  /// last key.
  static const Causal bottom_right;

  /// A shift for each batch element: how many keys come before its first query.
  static Causal offset(BatchIntegers shifts) {
    return {true, Alignment::offsets, std::move(shifts)};
  }

  /// The same shift for every batch element.
  static Causal offset(std::int64_t shift) { return {true, Alignment::offsets, {shift}, true}; }

  /// `Causal::none`
  constexpr Causal() = default;

  /// Whether keys are hidden at all.
  bool active() const { return active_; }
  /// Where queries stand among the keys.
  Alignment alignment() const { return alignment_; }
  /// The shifts of `offset`.
  const BatchIntegers& shifts() const { return shifts_; }
  /// Whether the one shift there is stands for all batch elements.
  bool shared_shift() const { return shared_shift_; }

 private:
  constexpr Causal(bool active, Alignment alignment) : active_(active), alignment_(alignment) {}
  Causal(bool active, Alignment alignment, BatchIntegers shifts, bool shared_shift = false)
      : active_(active),
        alignment_(alignment),
        shared_shift_(shared_shift),
        shifts_(std::move(shifts)) {}

  bool active_ = false;
  Alignment alignment_ = Alignment::end;
  bool shared_shift_ = false;
  BatchIntegers shifts_;
};

inline constinit const Causal Causal::none{false, Alignment::end};
inline constinit const Causal Causal::top_left{true, Alignment::start};
inline constinit const Causal Causal::bottom_right{true, Alignment::end};

/// Where a call's work runs: for host tensors the threads of an `Eigen::ThreadPoolDevice`, for
/// device tensors a stream. Not given: the library's own threads (`set_threads`), or the device's
/// default stream.
class Stream {
 public:
  /// Not given.
  constexpr Stream() = default;

  /// The threads of an `Eigen::ThreadPoolDevice`, which must outlive the call.
  template <class ThreadPoolDevice>
  requires requires(const ThreadPoolDevice& device) {
    { device.getPool() } -> std::convertible_to<Eigen::ThreadPoolInterface*>;
    { device.numThreads() } -> std::convertible_to<int>;
  }
  Stream(const ThreadPoolDevice& device)  // NOLINT(google-explicit-constructor)
      : pool_(device.getPool()), threads_(device.numThreads()) {}

  /// An `attend::cuda::Stream`, of the device on which the tensors lie.
  template <class DeviceStream>
  requires requires(const DeviceStream& stream) {
    { stream.shared_handle() } -> std::convertible_to<std::shared_ptr<void>>;
  }
  Stream(const DeviceStream& stream)  // NOLINT(google-explicit-constructor)
      : device_stream_(stream.shared_handle()) {}

  /// Whether it has threads, and so is for host tensors.
  bool has_threads() const { return pool_ != nullptr; }
  /// The stream for a call on device tensors; null: the default stream.
  const std::shared_ptr<void>& device_stream() const { return device_stream_; }

  /// The threads for a call on host tensors.
  cpu::Workers workers() const {
    if (pool_ == nullptr) return cpu::SharedPool::instance().workers();
    return {std::shared_ptr<Eigen::ThreadPoolInterface>(std::shared_ptr<void>(), pool_),
            threads_ - 1};
  }

 private:
  Eigen::ThreadPoolInterface* pool_ = nullptr;
  int threads_ = 1;
  std::shared_ptr<void> device_stream_;
};

/// What a call on `Attend<T>` can be asked for. Every field has a default, and all of them compose;
/// a tensor may be left out by a default view, too. The tensors must outlive the call; `Real` is
/// float, and double for `Attend<double>`. A call that a stream captures keeps the `rng` that it
/// had: the graph drops the same elements each time.
template <class T>
struct Call {
  /// Element type of bias, slopes and sinks.
  using Real = RealOf<T>;

  std::optional<double> scale = {};  ///< factor of the dot products, any finite value (one beyond
                                     ///< the scores' type is its greatest); 1/sqrt(d)
  double softcap = 0;                ///< c > 0: the score s becomes `c * tanh(s / c)`; 0: none
  Argument<Real, 4> bias = {};       ///< added to the score, (b|1 h|1 i|1 j|1); -inf excludes
  Argument<Real, 1, 2> alibi = {};   ///< slopes of ALiBi (Press et al., 2022), (h) or (b|1 h|1)
  Argument<bool, 2, 4> mask = {};    ///< true = keep: keys (b|1 j), or (b|1 h|1 i|1 j|1)
  Causal causal = {};                ///< which later keys are hidden
  Window window = {};                ///< how many keys on either side of the position are seen
  BatchIntegers key_lengths = {};    ///< (b), keys that exist: 0 to len_k
  Argument<Real, 1, 2> sink = {};    ///< a logit in the denominator only, (h) or (b|1 h|1);
                                     ///< -infinity: none, whose gradient is 0
  std::optional<Rng> rng =
      {};  ///< dropout's generator; not given: the object's own, which advances
  std::optional<Path> path = {};  ///< forces a path; not given: the rule
  Stream stream = {};             ///< where the work runs
};

}  // namespace attend
