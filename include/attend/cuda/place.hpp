#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../api/place.hpp"
#include "launch/backward.hpp"
#include "launch/device.hpp"
#include "launch/forward.hpp"
#include "launch/functors.hpp"
#include "launch/merge.hpp"
#include "tensor.hpp"

/// @file
/// A CUDA device as the place of a call.

namespace attend {

namespace cuda {

/// What kernels know an element type as: half types are bits there.
template <class T>
using Stored =
    std::conditional_t<ElementTraits<T>::kDtype == Dtype::f16, F16,
                       std::conditional_t<ElementTraits<T>::kDtype == Dtype::bf16, BF16, T>>;

/// The device on which a call's first tensor lies; that of `stream` if it has no elements, or if
/// `stream`, which is captured, has yet to take its memory.
/// @throws value_error if it lies in memory of the host's.
inline int device_of(const void* first, const Stream& stream, const char* name) {
  if (first == nullptr) return stream.device();
  const cudaPointerAttributes attributes = attributes_of(first);
  if (attributes.type != cudaMemoryTypeUnregistered) return attributes.device;
  if (stream.is_capturing()) return stream.device();
  throw value_error(std::string(name) +
                    "'s address is one of the host's; expected device memory, as its type says");
}

/// The same elements under the kernels' name for their type.
template <class To, class From, int Rank>
attend::View<To, Rank> stored(const attend::View<From, Rank>& view) {
  return {reinterpret_cast<To*>(view.data()), view.extents(), view.strides()};
}

}  // namespace cuda

/// The CUDA device on which a call's first tensor lies, current while the object lives.
template <>
class Place<Device::cuda> {
 public:
  /// What results are in.
  template <class T, int Rank>
  using Owner = cuda::Tensor<T, Rank>;

  /// Of a call whose q, or first tensor of another name, lies at an address.
  /// @throws value_error if that is memory of the host's, or `stream` is not one of the same device
  Place(const void* first, const Stream& stream, const char* first_name = "q")
      : stream_(cuda::Stream::of(stream.device_stream())),
        current_(cuda::device_of(first, stream_, first_name)),
        first_name_(first_name) {
    if (stream.has_threads())
      throw value_error(
          "stream is an Eigen::ThreadPoolDevice; expected an attend::cuda::Stream of " + name() +
          ", where " + first_name_ + " lies");
    if (const int other = stream_.device(); other != current_.device())
      throw value_error("stream belongs to cuda:" + std::to_string(other) +
                        "; expected a stream of " + name() + ", where " + first_name_ + " lies");
  }

  /// As the log calls it.
  std::string name() const { return "cuda:" + std::to_string(current_.device()); }

  /// The path for a problem and a variant of it on this device.
  /// @throws unsupported_error if a forced path can't take it.
  template <class V>
  Choice choose(const Problem& problem, const V& variant, const Options& options,
                std::optional<Path> forced) const {
    const Capability device = cuda::capability(current_.device());
    const Capability usable = usable_capability(variant);
    if (usable == device) return attend::choose(problem, options, device, forced);
    const std::optional<Path> wanted = forced ? forced : PathOverride::current();
    if (wanted && !can(*wanted, problem, usable)) {
      std::vector<std::string> reasons = why_not(*wanted, problem, device);
      reasons.push_back(cuda::compiled_for(usable));
      refuse(*wanted, std::move(reasons));
    }
    Choice choice = attend::choose(problem, options, usable, forced);
    choice.reason += "; " + cuda::compiled_for(usable);
    return choice;
  }

  /// A tensor, if there is one, lies on the device on which the first does, or CUDA shares it.
  /// @throws value_error if not; a kernel would fail, and the process' device with it.
  template <class View>
  void check(const View& view, const char* name) const {
    if (view.size() == 0 || view.data() == nullptr) return;
    const cudaPointerAttributes attributes = cuda::attributes_of(view.data());
    const bool known = attributes.type != cudaMemoryTypeUnregistered;
    if (attributes.type == cudaMemoryTypeDevice ? attributes.device == current_.device()
                                                : known || stream_.is_capturing())
      return;
    throw value_error(std::string(name) + "'s address is one of " +
                      (known ? "cuda:" + std::to_string(attributes.device) : "the host") +
                      "; expected memory of " + this->name() + ", where " + first_name_ + " lies");
  }

  /// Gives a result its extents; its elements have no particular value.
  template <class Tensor, std::size_t Rank>
  void make(Tensor& result, const std::array<std::int64_t, Rank>& extents) const {
    result = Tensor(extents, stream_);
  }

  /// Starts a path's kernels.
  template <class T, class V>
  void forward(Path path, const Problem& problem, const V& variant,
               const ForwardTensors<T>& tensors, const Call<T>& call) const {
    using Element = cuda::Stored<T>;
    const ForwardTensors<Element> stored{.q = cuda::stored<const Element>(tensors.q),
                                         .k = cuda::stored<const Element>(tensors.k),
                                         .v = cuda::stored<const Element>(tensors.v),
                                         .out = cuda::stored<Element>(tensors.out),
                                         .lse = tensors.lse};
    const auto built_in = variant.with(NoScoreMod{}, NoMaskMod{});
    if constexpr (has_functors<T, V>()) {
      variant.score_mod.kernels().forward(path, problem, built_in, stored, on_host(call),
                                          stream_.get());
    } else {
      cuda::forward<Element>(path, problem, built_in, stored, on_host(call), stream_.get());
    }
  }

  /// Starts the kernels of a path's backward pass.
  template <class T, class V>
  void backward(Path path, const Problem& problem, const V& variant,
                const BackwardTensors<T>& tensors, const Call<T>& call) const {
    using Element = cuda::Stored<T>;
    const BackwardTensors<Element> stored{.q = cuda::stored<const Element>(tensors.q),
                                          .k = cuda::stored<const Element>(tensors.k),
                                          .v = cuda::stored<const Element>(tensors.v),
                                          .out = cuda::stored<const Element>(tensors.out),
                                          .lse = tensors.lse,
                                          .grad_out = cuda::stored<const Element>(tensors.grad_out),
                                          .grad_lse = tensors.grad_lse,
                                          .dq = cuda::stored<Element>(tensors.dq),
                                          .dk = cuda::stored<Element>(tensors.dk),
                                          .dv = cuda::stored<Element>(tensors.dv),
                                          .dbias = tensors.dbias,
                                          .dsink = tensors.dsink,
                                          .parameters = tensors.parameters};
    const auto built_in = variant.with(NoScoreMod{}, NoMaskMod{});
    if constexpr (has_functors<T, V>()) {
      variant.score_mod.kernels().backward(path, problem, built_in, stored, on_host(call),
                                           stream_.get());
    } else {
      cuda::backward<Element>(path, problem, built_in, stored, on_host(call), stream_.get());
    }
  }

  /// Starts the kernel that merges two parts.
  template <class T>
  void merge(const MergeTensors<T>& tensors) const {
    using Element = cuda::Stored<T>;
    cuda::merge<Element>({.out1 = cuda::stored<const Element>(tensors.out1),
                          .lse1 = tensors.lse1,
                          .out2 = cuda::stored<const Element>(tensors.out2),
                          .lse2 = tensors.lse2,
                          .out = cuda::stored<Element>(tensors.out),
                          .lse = tensors.lse},
                         stream_.get());
  }
  /// Starts that of the gradients of one of them.
  template <class T>
  void merge_backward(const MergeGradientTensors<T>& tensors) const {
    using Element = cuda::Stored<T>;
    cuda::merge_backward<Element>({.grad_out = cuda::stored<const Element>(tensors.grad_out),
                                   .grad_lse = tensors.grad_lse,
                                   .out = cuda::stored<const Element>(tensors.out),
                                   .part_out = cuda::stored<const Element>(tensors.part_out),
                                   .part_lse = tensors.part_lse,
                                   .other_lse = tensors.other_lse,
                                   .part_grad_out = cuda::stored<Element>(tensors.part_grad_out),
                                   .part_grad_lse = tensors.part_grad_lse},
                                  stream_.get());
  }

 private:
  // Whether a variant has functions of the user's, which have to be compiled into kernels.
  template <class T, class V>
  static constexpr bool has_functors() {
    constexpr bool kHas = std::is_same_v<decltype(V::score_mod), cuda::Functors<cuda::Stored<T>>>;
    static_assert(
        kHas || (!V::kHasScoreMod && !V::kHasMaskMod),
        "score_mod and mask_mod are code, which kernels need when they are compiled: in a "
        ".cu file include attend/cuda.cuh, make attend::cuda::functors<T>(...) of them, and "
        "pass these, for tensors of the same element type");
    return kHas;
  }

  // What the code can do here of the kernels that take a variant: the user's own file may have been
  // compiled for other devices than the library's.
  template <class V>
  static Capability usable_capability(const V& variant) {
    if constexpr (requires { variant.score_mod.kernels(); }) {
      return variant.score_mod.kernels().usable_capability();
    } else {
      return cuda::usable_capability<float>();
    }
  }

  // Which of a call's integers lie on the host.
  template <class T>
  static cuda::HostIntegers on_host(const Call<T>& call) {
    const auto count = [](const BatchIntegers& given) {
      return given.given() && given.device() == Device::host ? given.size() : 0;
    };
    return {.offsets = count(call.causal.shifts()), .key_lengths = count(call.key_lengths)};
  }

  cuda::Stream stream_;
  cuda::CurrentDevice current_;
  const char* first_name_;
};

}  // namespace attend
