#pragma once

#include "dtype.hpp"
#include "softmax_state.hpp"
#include "view.hpp"

/// @file
/// Attention over a set of keys from attention over two parts of it (Rabe, Staats, "Self-attention
/// does not need O(n^2) memory", 2021): one row, and the tensors of all.

namespace attend {

/// What `merge` reads and writes.
template <class T>
struct MergeTensors {
  View<const T, 4> out1 = {};          ///< (b h i e), of the first part
  View<const RealOf<T>, 3> lse1 = {};  ///< (b h i)
  View<const T, 4> out2 = {};          ///< of the second
  View<const RealOf<T>, 3> lse2 = {};  ///< (b h i)
  View<T, 4> out = {};                 ///< (b h i e), of both
  View<RealOf<T>, 3> lse = {};         ///< (b h i)
};

/// What the gradients of one part are computed from, and written to.
template <class T>
struct MergeGradientTensors {
  View<const T, 4> grad_out = {};           ///< (b h i e), gradient of the loss by `out`
  View<const RealOf<T>, 3> grad_lse = {};   ///< (b h i), by `lse`; null: 0
  View<const T, 4> out = {};                ///< (b h i e), of both parts
  View<const T, 4> part_out = {};           ///< of the part
  View<const RealOf<T>, 3> part_lse = {};   ///< (b h i)
  View<const RealOf<T>, 3> other_lse = {};  ///< (b h i), of the other part
  View<T, 4> part_grad_out = {};            ///< (b h i e)
  View<RealOf<T>, 3> part_grad_lse = {};    ///< (b h i)
};

/// The state of a part of a row's keys, as far as its log-sum-exp tells.
template <class Real>
ATTEND_HD SoftmaxState<Real> state_of(Real lse) {
  return {lse, lse == -kInfinity<Real> ? Real{0} : Real{1}};
}

/// What a part of a row's keys weighs beside the other part. The two add up to 1 however great the
/// log-sum-exps are, where `exp(lse_part - lse)` would not. An empty part weighs 0.
template <class Real>
ATTEND_HD Real merge_weight(Real lse, Real other_lse) {
  const SoftmaxState<Real> part = state_of(lse);
  if (part.sum == 0) return 0;
  const SoftmaxState<Real> both = part.merged(state_of(other_lse));
  return part.rescale(both.max) / both.sum;
}

/// A row of both parts together.
template <class Real>
struct MergedRow {
  bool has1;     ///< whether the first part has keys
  bool has2;     ///< whether the second has
  Real weight1;  ///< of the first
  Real weight2;  ///< of the second
  Real lse;      ///< of both; -inf if neither has

  /// From those of the parts.
  ATTEND_HD MergedRow(Real lse1, Real lse2)
      : has1(lse1 != -kInfinity<Real>),
        has2(lse2 != -kInfinity<Real>),
        weight1(merge_weight(lse1, lse2)),
        weight2(merge_weight(lse2, lse1)),
        lse(state_of(lse1).merged(state_of(lse2)).lse()) {}

  /// Of an element of the outputs. What lies in a part without keys is left out, not weighed by 0.
  ATTEND_HD Real operator()(Real out1, Real out2) const {
    Real sum = 0;
    if (has1) sum += weight1 * out1;
    if (has2) sum += weight2 * out2;
    return sum;
  }
};

}  // namespace attend
