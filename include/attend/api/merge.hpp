#pragma once

#include <cmath>
#include <limits>
#include <string>

#include "../core/error.hpp"
#include "../core/softmax_state.hpp"
#include "check.hpp"
#include "result.hpp"

/// @file
/// Attention over a set of keys from attention over two parts of it.

namespace attend {

/// What a part of a row's keys weighs beside the other part. The two add up to 1 however great the
/// log-sum-exps are, where `exp(lse_part - lse)` would not. An empty part weighs 0.
template <class Real>
Real merge_weight(Real lse, Real other_lse) {
  constexpr Real kEmpty = -std::numeric_limits<Real>::infinity();
  if (lse == kEmpty) return 0;
  const SoftmaxState<Real> part{lse, 1};
  const SoftmaxState<Real> both = part.merged({other_lse, other_lse == kEmpty ? Real{0} : Real{1}});
  return part.rescale(both.max) / both.sum;
}

/// Merges the outputs of the same queries over two disjoint sets of keys: `out (b h i e)` and `lse
/// (b h i)` of each. A row without keys (lse = -inf) is neutral; two of them give output 0, lse
/// -inf. A sink must be part of one side only, and dropout must have drawn other bits for either
/// side. Formula: Rabe, Staats, "Self-attention does not need O(n^2) memory" (2021).
/// @throws shape_error if the shapes differ, value_error for null tensors.
template <class Out1, class Lse1, class Out2, class Lse2, class T = ElementOf<Out1>>
requires HostTensor<Out1, T, 4> && HostTensor<Out2, T, 4> && HostTensor < Lse1, RealOf<T>,
3 > &&HostTensor<Lse2, RealOf<T>, 3> Forward<T> merge(const Out1& out1, const Lse1& lse1,
                                                      const Out2& out2, const Lse2& lse2) {
  using Real = RealOf<T>;
  const View<const T, 4> o1 = as_view(out1), o2 = as_view(out2);
  const View<const Real, 3> l1 = as_view(lse1), l2 = as_view(lse2);
  check_tensor(o1, "out1");
  check_tensor(o2, "out2");
  check_tensor(l1, "lse1");
  check_tensor(l2, "lse2");
  check_extents(o2.extents(), "out2", o1.extents(), "as out1");
  const Extents<3> rows{o1.extent(0), o1.extent(1), o1.extent(2)};
  check_extents(l1.extents(), "lse1", rows, "as out1's first axes");
  check_extents(l2.extents(), "lse2", rows, "as out1's first axes");

  Forward<T> merged;
  merged.reason = "merged";
  merged.out.resize(o1.extent(0), o1.extent(1), o1.extent(2), o1.extent(3));
  merged.lse.resize(rows[0], rows[1], rows[2]);
  const View<T, 4> out = as_view(merged.out);
  const View<Real, 3> lse = as_view(merged.lse);
  constexpr Real kEmpty = -std::numeric_limits<Real>::infinity();
  for (std::int64_t b = 0; b < rows[0]; ++b)
    for (std::int64_t h = 0; h < rows[1]; ++h)
      for (std::int64_t i = 0; i < rows[2]; ++i) {
        const Real lse_1 = l1(b, h, i), lse_2 = l2(b, h, i);
        const Real total = SoftmaxState<Real>{lse_1, lse_1 == kEmpty ? Real{0} : Real{1}}
                               .merged({lse_2, lse_2 == kEmpty ? Real{0} : Real{1}})
                               .lse();
        lse(b, h, i) = total;
        const Real weight_1 = merge_weight(lse_1, lse_2), weight_2 = merge_weight(lse_2, lse_1);
        for (std::int64_t c = 0; c < o1.extent(3); ++c) {
          Real sum = 0;  // an empty side is left out, not weighed by 0
          if (lse_1 != kEmpty) sum += weight_1 * static_cast<Real>(o1(b, h, i, c));
          if (lse_2 != kEmpty) sum += weight_2 * static_cast<Real>(o2(b, h, i, c));
          out(b, h, i, c) = static_cast<T>(sum);
        }
      }
  return merged;
}

/// Merges two results of `Attend<T>::forward` over disjoint sets of keys.
/// @throws shape_error if their shapes differ.
template <class T>
Forward<T> merge(const Forward<T>& first, const Forward<T>& second) {
  return merge(first.out, first.lse, second.out, second.lse);
}

}  // namespace attend
