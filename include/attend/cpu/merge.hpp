#pragma once

#include <cstdint>

#include "../core/merge.hpp"
#include "workers.hpp"

/// @file
/// `merge` and its gradients on the host, row by row.

namespace attend::cpu {

/// Calls `visit(b, h, i)` for each row of a tensor (b h i ...).
template <class Visit>
void for_each_row(const Extents<4>& extents, const Workers& workers, const Visit& visit) {
  workers.for_each(extents[0] * extents[1], [&](std::int64_t head, int) {
    for (std::int64_t i = 0; i < extents[2]; ++i) visit(head / extents[1], head % extents[1], i);
  });
}

/// Merges all rows.
template <class T>
void merge(const MergeTensors<T>& t, const Workers& workers) {
  using Real = RealOf<T>;
  for_each_row(t.out.extents(), workers, [&](std::int64_t b, std::int64_t h, std::int64_t i) {
    const MergedRow<Real> row(t.lse1(b, h, i), t.lse2(b, h, i));
    t.lse(b, h, i) = row.lse;
    for (std::int64_t c = 0; c < t.out.extent(3); ++c)
      t.out(b, h, i, c) = static_cast<T>(
          row(static_cast<Real>(t.out1(b, h, i, c)), static_cast<Real>(t.out2(b, h, i, c))));
  });
}

/// Gradients of one part, see `attend::merge_backward`.
template <class T>
void merge_backward(const MergeGradientTensors<T>& t, const Workers& workers) {
  using Real = RealOf<T>;
  for_each_row(t.out.extents(), workers, [&](std::int64_t b, std::int64_t h, std::int64_t i) {
    const bool has = t.part_lse(b, h, i) != -kInfinity<Real>;
    const Real weight = merge_weight(t.part_lse(b, h, i), t.other_lse(b, h, i));
    Real sum = t.grad_lse ? t.grad_lse(b, h, i) : Real{0};
    for (std::int64_t c = 0; c < t.out.extent(3); ++c) {
      const Real gradient = static_cast<Real>(t.grad_out(b, h, i, c));
      sum += gradient *
             (static_cast<Real>(t.part_out(b, h, i, c)) - static_cast<Real>(t.out(b, h, i, c)));
      t.part_grad_out(b, h, i, c) = static_cast<T>(has ? weight * gradient : Real{0});
    }
    t.part_grad_lse(b, h, i) = has ? weight * sum : Real{0};
  });
}

}  // namespace attend::cpu
