#pragma once

#include <type_traits>

#include "../core/merge.hpp"
#include "check.hpp"
#include "gradients.hpp"
#include "merge.hpp"

/// @file
/// Gradients of `merge`.

namespace attend {

/// Gradients of a loss by what `merge` was given: what `Attend<T>::backward` takes as `{grad_out1,
/// grad_lse1}` for the first part and `{grad_out2, grad_lse2}` for the second. They lie where that
/// does.
template <class T, Device device = Device::host>
struct MergeGradients {
  /// Owns elements there.
  template <class Element, int Rank>
  using Owner = typename Place<device>::template Owner<Element, Rank>;

  Owner<T, 4> grad_out1;          ///< (b h i e)
  Owner<RealOf<T>, 3> grad_lse1;  ///< (b h i)
  Owner<T, 4> grad_out2;          ///< (b h i e)
  Owner<RealOf<T>, 3> grad_lse2;  ///< (b h i)
};

/// Gradients of `merge(first, second)`. `incoming`: the loss' gradient by the merged output, or by
/// the merged output and log-sum-exp, `{grad_out, grad_lse}`; `merged`: what `merge` gave. With `w
/// = merge_weight(lse_part, lse_other)`, `grad_out_part = w grad_out` and `grad_lse_part = w
/// (<grad_out, out_part - out> + grad_lse)`; a row without keys has none. `stream`: as `merge`'s.
/// @throws shape_error if the shapes differ, value_error for null tensors and what lies elsewhere.
template <class T, Device device>
MergeGradients<T, device> merge_backward(const std::type_identity_t<Incoming<T, device>>& incoming,
                                         const Forward<T, device>& merged,
                                         const Forward<T, device>& first,
                                         const Forward<T, device>& second,
                                         const Stream& stream = {}) {
  const Saved<T, device> whole(merged), one(first), two(second);
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
  const Place<device> place(whole.out.data(), stream, "merged.out");
  place.check(incoming.out, "grad_out");
  place.check(incoming.lse, "grad_lse");
  place.check(one.out, "first.out");
  place.check(two.out, "second.out");
  place.check(one.lse, "first.lse");
  place.check(two.lse, "second.lse");

  MergeGradients<T, device> gradients;
  const auto of_part = [&](const Saved<T, device>& part, const Saved<T, device>& other,
                           auto& grad_out, auto& grad_lse) {
    place.make(grad_out, whole.out.extents());
    place.make(grad_lse, rows);
    place.merge_backward(MergeGradientTensors<T>{.grad_out = incoming.out,
                                                 .grad_lse = incoming.lse,
                                                 .out = whole.out,
                                                 .part_out = part.out,
                                                 .part_lse = part.lse,
                                                 .other_lse = other.lse,
                                                 .part_grad_out = addresses(as_view(grad_out)),
                                                 .part_grad_lse = addresses(as_view(grad_lse))});
  };
  of_part(one, two, gradients.grad_out1, gradients.grad_lse1);
  of_part(two, one, gradients.grad_out2, gradients.grad_lse2);
  return gradients;
}

}  // namespace attend
