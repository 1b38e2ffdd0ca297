#pragma once

#include <memory>
#include <type_traits>

#include "../../core/functors.hpp"
#include "backward.cuh"
#include "forward.cuh"
#include "functors.hpp"
#include "usable.cuh"

/// @file
/// The user's own score and mask, compiled into kernels.

namespace attend::cuda {

/// The kernels with functions in them.
template <class T, class ScoreMod, class MaskMod>
class CompiledFunctors final : public FunctorKernels<T> {
 public:
  /// With these functions.
  CompiledFunctors(const ScoreMod& score_mod, const MaskMod& mask_mod)
      : score_mod_(score_mod), mask_mod_(mask_mod) {}

  std::int64_t parameters() const override { return score_mod_.parameters(); }
  Misfit misfit(const Problem& problem) const override {
    const Misfit of_score = misfit_of(score_mod_, problem);
    return of_score.name != nullptr ? of_score : misfit_of(mask_mod_, problem);
  }
  Capability usable_capability() const override {
    return usable_capability_of<Variant<RealOf<T>, ScoreMod, MaskMod>>();
  }
  void forward(Path path, const Problem& problem, const Variant<RealOf<T>>& variant,
               const ForwardTensors<T>& tensors, const HostIntegers& on_host,
               cudaStream_t stream) const override {
    launch_forward(path, problem, variant.with(score_mod_, mask_mod_), tensors, on_host, stream);
  }
  void backward(Path path, const Problem& problem, const Variant<RealOf<T>>& variant,
                const BackwardTensors<T>& tensors, const HostIntegers& on_host,
                cudaStream_t stream) const override {
    launch_backward(path, problem, variant.with(score_mod_, mask_mod_), tensors, on_host, stream);
  }

 private:
  ScoreMod score_mod_;
  MaskMod mask_mod_;
};

/// Whether an object's bytes are all that a device needs of it.
template <class Mod>
inline constexpr bool kIsItsBytes = std::is_trivially_copyable_v<Mod>;
#if defined(__CUDACC_EXTENDED_LAMBDA__) && !defined(__CUDA_ARCH__)
/// In the host's code nvcc puts an object of its own in the place of a `__host__ __device__`
/// lambda; when it compiles for a device it looks at the lambda itself.
template <template <class> class Mod, class Function>
requires(__nv_is_extended_host_device_lambda_closure_type(
    Function)) inline constexpr bool kIsItsBytes<Mod<Function>> = true;
#endif

/// Compiles a `score_mod`, a `mask_mod` or both into all kernels for elements of type T (float,
/// double, F16, BF16). Functions are objects whose operator() is `__host__ __device__`,
/// `__device__` lambdas or, if their parameters have types, `__host__ __device__` ones (nvcc
/// --extended-lambda). They are copied to the device byte by byte: what they refer to has to lie
/// there, as an `attend::View` or a pointer does.
///
///     attend::cuda::Functors<float> soft(float cap) {
///       return attend::cuda::functors<float>(attend::score_mod(
///           [=] __device__(auto s, attend::Index) { return cap * tanh(s / cap); }));
///     }
template <class T, Functor... Mods>
Functors<T> functors(const Mods&... mods) {
  static_assert(kAtMostOneOfEach<Mods...>, "there is one score_mod and one mask_mod at most");
  static_assert((kRunsOn<Mods, Device::cuda> && ...),
                "what a score_mod or mask_mod refers to lies on the host; expected tensors on a "
                "device");
  using ScoreMod = decltype(score_mod_of(mods...));
  using MaskMod = decltype(mask_mod_of(mods...));
  static_assert(kIsItsBytes<ScoreMod> && kIsItsBytes<MaskMod>,
                "functions come to a device byte by byte; capture pointers and views");
  return Functors<T>(std::make_shared<const CompiledFunctors<T, ScoreMod, MaskMod>>(
      score_mod_of(mods...), mask_mod_of(mods...)));
}

}  // namespace attend::cuda
