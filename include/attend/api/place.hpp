#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>

#include "../core/backward_tensors.hpp"
#include "../core/error.hpp"
#include "../core/forward_tensors.hpp"
#include "../core/functors.hpp"
#include "../core/merge.hpp"
#include "../cpu/instances.hpp"
#include "../cpu/merge.hpp"
#include "../select/choose.hpp"
#include "call.hpp"
#include "check.hpp"
#include "tensor.hpp"

/// @file
/// Where a call's tensors lie, as the call sees it: who owns results there, which path is taken
/// there, and what runs it. This is the host; attend/cuda.hpp adds CUDA devices.

namespace attend {

/// A place, for one call. Specialised for each `Device`.
template <Device device>
class Place;

/// The host.
template <>
class Place<Device::host> {
 public:
  /// What results are in.
  template <class T, int Rank>
  using Owner = Tensor<T, Rank>;

  /// Of a call whose q, or first tensor of another name, lies at an address.
  /// @throws value_error if `stream` is one of a CUDA device
  Place(const void*, const Stream& stream, const char* name = "q") : workers_(stream.workers()) {
    if (stream.device_stream() != nullptr)
      throw value_error(std::string("stream is one of a CUDA device; ") + name +
                        " lies on the host, where an Eigen::ThreadPoolDevice is expected");
  }

  /// As the log calls it.
  std::string name() const { return "host"; }

  /// The path for a problem and a variant of it.
  /// @throws unsupported_error if a forced path can't take it.
  template <class V>
  Choice choose(const Problem& problem, const V&, const Options& options,
                std::optional<Path> forced) const {
    static_assert(
        kRunsOn<decltype(V::score_mod), Device::host> &&
            kRunsOn<decltype(V::mask_mod), Device::host>,
        "what a score_mod or mask_mod refers to lies on a device; expected tensors on the "
        "host, where q lies");
    return attend::choose(problem, options, {}, forced);
  }

  /// Whether a tensor lies here is not asked on the host.
  template <class View>
  void check(const View&, const char*) const {}

  /// Gives a result its extents; its elements have no particular value.
  /// @throws memory_error if there is no memory for them.
  template <class Tensor, std::size_t Rank>
  void make(Tensor& result, const std::array<std::int64_t, Rank>& extents) const {
    try {
      result = Tensor(dimensions(extents));
    } catch (const std::bad_alloc&) {
      throw memory_error("no memory for a result of extents " + text(extents));
    }
  }

  /// Runs a path.
  /// @throws memory_error if there is no memory for what it keeps beside the tensors.
  template <class T, class V>
  void forward(Path path, const Problem& problem, const V& variant,
               const ForwardTensors<T>& tensors, const Call<T>&) const {
    run(path, problem, [&] {
      path == Path::fused ? cpu::fused_forward(problem, variant, tensors, workers_)
                          : cpu::math_forward(problem, variant, tensors, workers_);
    });
  }

  /// Runs a path's backward pass.
  /// @throws memory_error if there is no memory for what it keeps beside the tensors.
  template <class T, class V>
  void backward(Path path, const Problem& problem, const V& variant,
                const BackwardTensors<T>& tensors, const Call<T>&) const {
    run(path, problem, [&] {
      path == Path::fused ? cpu::fused_backward(problem, variant, tensors, workers_)
                          : cpu::math_backward(problem, variant, tensors, workers_);
    });
  }

  /// Merges two parts.
  template <class T>
  void merge(const MergeTensors<T>& tensors) const {
    cpu::merge(tensors, workers_);
  }
  /// The gradients of one of them.
  template <class T>
  void merge_backward(const MergeGradientTensors<T>& tensors) const {
    cpu::merge_backward(tensors, workers_);
  }

 private:
  template <class Body>
  static void run(Path path, const Problem& problem, const Body& body) {
    try {
      body();
    } catch (const std::bad_alloc&) {
      throw memory_error(std::string("no memory for what path ") + attend::name(path) + " keeps" +
                         (path == Path::math ? ": per thread the scores of a head, " : " for ") +
                         std::to_string(problem.len_q) + " queries x " +
                         std::to_string(problem.len_k) + " keys");
    }
  }

  cpu::Workers workers_;
};

}  // namespace attend
