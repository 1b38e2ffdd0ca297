#pragma once

#include <cstdint>

#include "../../core/score_gradient.hpp"
#include "../tile/excluded.cuh"
#include "row.cuh"

/// @file
/// One row of scores in a backward pass: the gradients at each of its keys.

namespace attend::cuda {

/// Row (b, h, i) of the scores, and what its gradients need to know of it.
template <class V>
struct GradientRow : Row<V> {
  using Real = typename V::Real;

  RowGradient<Real> state;        ///< of the whole row
  std::int64_t uniform_keys = 0;  ///< keys of weight `state.uniform`, where the row is empty

  /// No row: it sees no key.
  GradientRow() = default;
  /// Looks it up in the states (b h i).
  __device__ GradientRow(const Problem& problem, const V& variant, const Row<V>& row,
                         const View<RowGradient<Real>, 3>& states)
      : Row<V>(row) {
    if (!this->exists()) return;
    state = states(row.b, row.h, row.i);
    if (state.uniform != 0) uniform_keys = variant.band(problem, row.b).length();
  }

  /// The gradients at key j, from its dot product and `grad_weight = <grad_out, v_j>`. An excluded
  /// key's weight and gradient by the dot product are `kExcluded`; an allowed one's never are.
  __device__ PairGradient<Real> pair(const V& variant, Real dot, Real grad_weight,
                                     std::int64_t j) const {
    PairGradient<Real> gradient{.weight = kExcluded<Real>, .dot = kExcluded<Real>};
    if (this->allows(variant, j)) {
      gradient = pair_gradient(variant, {this->b, this->h, this->i, j}, this->position, dot,
                               grad_weight, this->dropout_factor(variant, j), state);
      gradient.dot += Real{0};  // -0 becomes +0
    } else if (j < uniform_keys) {
      gradient.weight = state.uniform * this->dropout_factor(variant, j);
    }
    return gradient;
  }
};

}  // namespace attend::cuda
