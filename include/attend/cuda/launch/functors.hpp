#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "../../core/misfit.hpp"
#include "backward.hpp"
#include "forward.hpp"

/// @file
/// The user's own score and mask on devices, as plain C++ sees them: kernels that some .cu file
/// has.

namespace attend::cuda {

/// The seam, for kernels with functions of the user's in them.
template <class T>
class FunctorKernels {
 public:
  virtual ~FunctorKernels() = default;
  /// How many parameters the score function has.
  virtual std::int64_t parameters() const = 0;
  /// What the functions refer to and does not fit, see `HasMisfit`.
  virtual Misfit misfit(const Problem& problem) const = 0;
  /// As `cuda::usable_capability`, of these kernels.
  virtual Capability usable_capability() const = 0;
  /// As `cuda::forward`.
  virtual void forward(Path path, const Problem& problem, const Variant<RealOf<T>>& variant,
                       const ForwardTensors<T>& tensors, const HostIntegers& on_host,
                       cudaStream_t stream) const = 0;
  /// As `cuda::backward`.
  virtual void backward(Path path, const Problem& problem, const Variant<RealOf<T>>& variant,
                        const BackwardTensors<T>& tensors, const HostIntegers& on_host,
                        cudaStream_t stream) const = 0;
};

/// A `score_mod`, a `mask_mod` or both, compiled into the kernels for elements of type T: float,
/// double, F16 or BF16. Made in a .cu file by `functors`; follows a call on device tensors where
/// the functions themselves follow a call on host tensors:
///
///     attention.forward(q, k, v, call, my_functors())  // a function that the .cu file has
///
/// Copies share the kernels.
template <class T>
class Functors {
 public:
  /// There may be some.
  static constexpr bool kHasParameters = true;

  /// With these kernels.
  explicit Functors(std::shared_ptr<const FunctorKernels<T>> kernels)
      : kernels_(std::move(kernels)) {}

  /// What runs them.
  const FunctorKernels<T>& kernels() const { return *kernels_; }

  /// How many parameters the score function has.
  std::int64_t parameters() const { return kernels_->parameters(); }
  /// See `HasMisfit`.
  Misfit misfit(const Problem& problem) const { return kernels_->misfit(problem); }
  /// Not on the host.
  template <class Real>
  Real operator()(Real score, Index) const {
    static_assert(sizeof(Real) == 0,
                  "attend::cuda::functors are for device tensors; for tensors on the host pass "
                  "score_mod and mask_mod themselves");
    return score;
  }

  /// Both functions are in here, for the call's variant to carry.
  friend Functors score_mod_of(const Functors& functors) { return functors; }
  /// @copydoc score_mod_of
  friend NoMaskMod mask_mod_of(const Functors&) { return {}; }

 private:
  std::shared_ptr<const FunctorKernels<T>> kernels_;
};

}  // namespace attend::cuda
