#pragma once

#include <algorithm>
#include <cstddef>

#include "../core/backward_tensors.hpp"
#include "result.hpp"
#include "tensor.hpp"

/// @file
/// What a backward pass takes and gives.

namespace attend {

/// What a backward pass needs of the forward pass: its output and log-sum-exp, and the dropout it
/// applied. A `Forward<T>` is one; so are the `Run` of `forward_into` and the tensors it wrote.
template <class T, Device device = Device::host>
struct Saved {
  View<const T, 4> out;          ///< (b h i e)
  View<const RealOf<T>, 3> lse;  ///< (b h i)
  Rng rng;                       ///< state of the dropout generator that the pass started from
  double dropout = 0;            ///< probability that was applied

  /// What `Attend<T>::forward` gave.
  Saved(const Forward<T, device>& forward)  // NOLINT(google-explicit-constructor)
      : Saved(forward, forward.out, forward.lse) {}
  /// What `Attend<T>::forward_into` gave and wrote.
  template <TensorAt<device, T, 4> Out, TensorAt<device, RealOf<T>, 3> Lse>
  Saved(const Run& run, const Out& of_out, const Lse& of_lse)
      : out(addresses(as_view(of_out))),
        lse(addresses(as_view(of_lse))),
        rng(run.rng),
        dropout(run.dropout) {}
};

/// The gradient of the loss by what the forward pass gave: by the output, and by the log-sum-exp
/// where the loss depends on that too (as it does behind `merge`). Written `grad_out`, or
/// `{grad_out, grad_lse}`.
template <class T, Device device = Device::host>
struct Incoming {
  View<const T, 4> out;          ///< (b h i e)
  View<const RealOf<T>, 3> lse;  ///< (b h i); not given: 0

  /// By the output alone.
  template <TensorAt<device, T, 4> Out>
  Incoming(const Out& grad_out)  // NOLINT(google-explicit-constructor)
      : out(addresses(as_view(grad_out))) {}
  /// By output and log-sum-exp.
  template <TensorAt<device, T, 4> Out, TensorAt<device, RealOf<T>, 3> Lse>
  Incoming(const Out& grad_out, const Lse& grad_lse)
      : out(addresses(as_view(grad_out))), lse(addresses(as_view(grad_lse))) {}
};

/// Gradients of the loss by the inputs of `Attend<T>::forward`, and how they came about. The
/// tensors lie where q, k and v do.
template <class T, Device device = Device::host>
struct Gradients : Run {
  /// Element type of the gradients of bias, sinks and parameters.
  using Real = RealOf<T>;
  /// Owns elements there.
  template <class Element, int Rank>
  using Owner = typename Place<device>::template Owner<Element, Rank>;

  Owner<T, 4> dq;              ///< (b h i d)
  Owner<T, 4> dk;              ///< (b h_kv j d), summed over the query heads that read a head
  Owner<T, 4> dv;              ///< (b h_kv j e), likewise
  Owner<Real, 4> dbias;        ///< the bias' own shape, summed over what was broadcast; else empty
  Owner<Real, 2> dsink;        ///< (b|1 h|1), (1 h) for sinks of shape (h); empty without sinks
  Owner<Real, 1> dparameters;  ///< of the `score_mod`, where it has parameters; else empty
};

/// A tensor that a call writes, of one of the ranks in `Ranks`; one of a lower rank is taken with
/// leading axes of extent 1. It refers to the tensor's memory.
template <Device device, class T, int... Ranks>
class Output {
 public:
  /// The most axes it can have.
  static constexpr int kMaxRank = std::max({Ranks...});

  /// Not given.
  constexpr Output() = default;

  /// The tensor that is meant; a default view: none.
  template <class X>
  requires(WritableTensorAt<X, device, T, Ranks> || ...)
      Output(X&& tensor)  // NOLINT(google-explicit-constructor)
  {
    const auto view = addresses(as_view(tensor));
    given_ = view.given();
    constexpr int kMissing = kMaxRank - decltype(as_view(tensor))::kRank;
    Extents<kMaxRank> extents;
    Strides<kMaxRank> strides;
    for (int axis = 0; axis < kMaxRank; ++axis) {
      const auto at = static_cast<std::size_t>(axis);
      extents[at] = axis < kMissing ? 1 : view.extent(axis - kMissing);
      strides[at] = axis < kMissing ? 0 : view.stride(axis - kMissing);
    }
    view_ = {view.data(), extents, strides};
  }

  /// Whether a tensor was given, be it an empty one.
  bool given() const { return given_; }
  /// Its memory.
  const View<T, kMaxRank>& view() const { return view_; }

 private:
  bool given_ = false;
  View<T, kMaxRank> view_;
};

/// Where `Attend<T>::backward_into` writes; shapes as in `Gradients`. Only dq, dk and dv must be
/// given; they are overwritten, not added to.
template <class T, Device device = Device::host>
struct GradientOutputs {
  /// Element type of the gradients of bias, sinks and parameters.
  using Real = RealOf<T>;

  Output<device, T, 4> dq;                   ///< (b h i d)
  Output<device, T, 4> dk;                   ///< (b h_kv j d)
  Output<device, T, 4> dv;                   ///< (b h_kv j e)
  Output<device, Real, 4> dbias = {};        ///< the bias' own shape
  Output<device, Real, 1, 2> dsink = {};     ///< the sinks' own shape
  Output<device, Real, 1> dparameters = {};  ///< as many as the `score_mod` has parameters
};

}  // namespace attend
