#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "check.hpp"
#include "gradients.hpp"
#include "merge.hpp"

/// @file
/// Gradients of `merge`.

namespace attend {

/// Gradients of a loss by what `merge` was given: what `Attend<T>::backward` takes as `{grad_out1,
/// grad_lse1}` for the first part and `{grad_out2, grad_lse2}` for the second.
template <class T>
struct MergeGradients {
  Tensor<T, 4> grad_out1;          ///< (b h i e)
  Tensor<RealOf<T>, 3> grad_lse1;  ///< (b h i)
  Tensor<T, 4> grad_out2;          ///< (b h i e)
  Tensor<RealOf<T>, 3> grad_lse2;  ///< (b h i)
};

/// Gradients of one part: with `w = merge_weight(lse_part, lse_other)`, `grad_out_part = w
/// grad_out` and `grad_lse_part = w (<grad_out, out_part - out> + grad_lse)`. A row without keys
/// has none.
template <class T>
void merge_backward_part(const Incoming<T>& incoming, const Saved<T>& merged,
                         const View<const T, 4>& out, const View<const RealOf<T>, 3>& lse,
                         const View<const RealOf<T>, 3>& other_lse, Tensor<T, 4>& grad_out,
                         Tensor<RealOf<T>, 3>& grad_lse) {
  using Real = RealOf<T>;
  grad_out.resize(out.extents());
  grad_lse.resize(lse.extents());
  grad_out.setZero();
  grad_lse.setZero();
  for (std::int64_t b = 0; b < out.extent(0); ++b)
    for (std::int64_t h = 0; h < out.extent(1); ++h)
      for (std::int64_t i = 0; i < out.extent(2); ++i) {
        if (lse(b, h, i) == -std::numeric_limits<Real>::infinity()) continue;
        const Real weight = merge_weight(lse(b, h, i), other_lse(b, h, i));
        Real sum = incoming.lse ? incoming.lse(b, h, i) : Real{0};
        for (std::int64_t c = 0; c < out.extent(3); ++c) {
          const Real gradient = static_cast<Real>(incoming.out(b, h, i, c));
          sum += gradient *
                 (static_cast<Real>(out(b, h, i, c)) - static_cast<Real>(merged.out(b, h, i, c)));
          grad_out(b, h, i, c) = static_cast<T>(weight * gradient);
        }
        grad_lse(b, h, i) = weight * sum;
      }
}

/// Gradients of `merge(first, second)`. `incoming`: the loss' gradient by the merged output, or by
/// the merged output and log-sum-exp, `{grad_out, grad_lse}`; `merged`: what `merge` gave.
/// @throws shape_error if the shapes differ.
template <class T>
MergeGradients<T> merge_backward(const std::type_identity_t<Incoming<T>>& incoming,
                                 const Forward<T>& merged, const Forward<T>& first,
                                 const Forward<T>& second) {
  const Saved<T> whole(merged), one(first), two(second);
  check_tensor(incoming.out, "grad_out");
  check_extents(incoming.out.extents(), "grad_out", whole.out.extents(), "as merged.out");
  check_extents(one.out.extents(), "first.out", whole.out.extents(), "as merged.out");
  check_extents(two.out.extents(), "second.out", whole.out.extents(), "as merged.out");
  const auto [batch, heads, len_q, head_dim_v] = whole.out.extents();
  const Extents<3> rows{batch, heads, len_q};
  check_extents(whole.lse.extents(), "merged.lse", rows, "as merged.out's first axes");
  check_extents(one.lse.extents(), "first.lse", rows, "as merged.out's first axes");
  check_extents(two.lse.extents(), "second.lse", rows, "as merged.out's first axes");
  if (incoming.lse.given()) {
    check_tensor(incoming.lse, "grad_lse");
    check_extents(incoming.lse.extents(), "grad_lse", rows, "as merged.out's first axes");
  }
  MergeGradients<T> gradients;
  merge_backward_part(incoming, whole, one.out, one.lse, two.lse, gradients.grad_out1,
                      gradients.grad_lse1);
  merge_backward_part(incoming, whole, two.out, two.lse, one.lse, gradients.grad_out2,
                      gradients.grad_lse2);
  return gradients;
}

}  // namespace attend
