#pragma once

#include "../core/error.hpp"
#include "../core/merge.hpp"
#include "check.hpp"
#include "place.hpp"
#include "result.hpp"

/// @file
/// Attention over a set of keys from attention over two parts of it.

namespace attend {

/// Merges the outputs of the same queries over two disjoint sets of keys: `out (b h i e)` and `lse
/// (b h i)` of each, all on the host or all on a device. `stream` is as a call's: on a device it
/// has to come after those that gave the parts. A row without keys (lse = -inf) is neutral; two of
/// them give output 0, lse -inf. Pass a sink to one part only; use different dropout offsets
/// for the two.
/// @throws shape_error if the shapes differ, value_error for null tensors and what lies elsewhere.
template <class Out1, TensorBeside<Out1, RealOf<ElementOf<Out1>>, 3> Lse1,
          TensorBeside<Out1, ElementOf<Out1>, 4> Out2,
          TensorBeside<Out1, RealOf<ElementOf<Out1>>, 3> Lse2, class T = ElementOf<Out1>>
requires TensorOf<Out1, T, 4> Forward<T, kDeviceOf<Out1>> merge(const Out1& out1, const Lse1& lse1,
                                                                const Out2& out2, const Lse2& lse2,
                                                                const Stream& stream = {}) {
  MergeTensors<T> tensors{.out1 = addresses(as_view(out1)),
                          .lse1 = addresses(as_view(lse1)),
                          .out2 = addresses(as_view(out2)),
                          .lse2 = addresses(as_view(lse2))};
  check_tensor(tensors.out1, "out1");
  check_tensor(tensors.out2, "out2");
  check_tensor(tensors.lse1, "lse1");
  check_tensor(tensors.lse2, "lse2");
  check_extents(tensors.out2.extents(), "out2", tensors.out1.extents(), "as out1");
  const auto [batch, heads, len_q, head_dim_v] = tensors.out1.extents();
  const Extents<3> rows{batch, heads, len_q};
  check_extents(tensors.lse1.extents(), "lse1", rows, "as out1's first axes");
  check_extents(tensors.lse2.extents(), "lse2", rows, "as out1's first axes");

  const Place<kDeviceOf<Out1>> place(tensors.out1.data(), stream, "out1");
  place.check(tensors.lse1, "lse1");
  place.check(tensors.out2, "out2");
  place.check(tensors.lse2, "lse2");
  Forward<T, kDeviceOf<Out1>> merged;
  merged.reason = "merged";
  place.make(merged.out, tensors.out1.extents());
  place.make(merged.lse, rows);
  tensors.out = addresses(as_view(merged.out));
  tensors.lse = addresses(as_view(merged.lse));
  place.merge(tensors);
  return merged;
}

/// Merges two results of `Attend<T>::forward` over disjoint sets of keys.
/// @throws shape_error if the shapes differ, value_error for null tensors and what lies elsewhere.
template <class T, Device device>
Forward<T, device> merge(const Forward<T, device>& first, const Forward<T, device>& second,
                         const Stream& stream = {}) {
  return merge(first.out, first.lse, second.out, second.lse, stream);
}

}  // namespace attend
