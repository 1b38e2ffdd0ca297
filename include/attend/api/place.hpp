#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "../core/backward_tensors.hpp"
#include "../core/forward_tensors.hpp"
#include "../cpu/instances.hpp"
#include "../select/choose.hpp"
#include "call.hpp"
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

  /// Of a call whose q lies at an address.
  Place(const void*, const Stream& stream) : workers_(stream.workers()) {}

  /// As the log calls it.
  std::string name() const { return "host"; }

  /// The path for a problem and a variant of it.
  /// @throws unsupported_error if a forced path can't take it.
  template <class V>
  Choice choose(const Problem& problem, const V&, const Options& options,
                std::optional<Path> forced) const {
    return attend::choose(problem, options, {}, forced);
  }

  /// Whether a tensor lies here is not asked on the host.
  template <class View>
  void check(const View&, const char*) const {}

  /// Gives a result its extents; its elements have no particular value.
  template <class Tensor, std::size_t Rank>
  void make(Tensor& result, const std::array<std::int64_t, Rank>& extents) const {
    result = Tensor(dimensions(extents));
  }

  /// Runs a path.
  template <class T, class V>
  void forward(Path path, const Problem& problem, const V& variant,
               const ForwardTensors<T>& tensors, const Call<T>&) const {
    if (path == Path::fused) {
      cpu::fused_forward(problem, variant, tensors, workers_);
    } else {
      cpu::math_forward(problem, variant, tensors, workers_);
    }
  }

  /// Runs a path's backward pass.
  template <class T, class V>
  void backward(Path path, const Problem& problem, const V& variant,
                const BackwardTensors<T>& tensors, const Call<T>&) const {
    if (path == Path::fused) {
      cpu::fused_backward(problem, variant, tensors, workers_);
    } else {
      cpu::math_backward(problem, variant, tensors, workers_);
    }
  }

 private:
  cpu::Workers workers_;
};

}  // namespace attend
