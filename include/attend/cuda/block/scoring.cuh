#pragma once

#include <cstdint>

#include "../tile/excluded.cuh"
#include "row.cuh"

/// @file
/// What a variant does to a tile of scores: which keys are allowed, their logits, dropout. All of
/// it is the row's to say (`Row`); here is only when to ask. Where every score has to be looked at,
/// they are staged in shared memory, so that the code for one exists once, in a loop, and not once
/// for each of a thread's registers.

namespace attend::cuda {

/// One number per key of a tile, in a thread's registers: every bit of its part.
inline constexpr unsigned kAllAllowed = 0xffffffff;

/// Calls `visit(n, row, column, score)` for each of a thread's scores, in a loop; it may change
/// them.
template <class Engine, class Visit>
__device__ void for_each_score(typename Engine::Scores& rS, typename Engine::Shared& shared,
                               Visit visit) {
  static_assert(Engine::kRows * Engine::kColumns <= 32, "one bit each");
  for (int r = 0; r < Engine::kRows; ++r)
    for (int c = 0; c < Engine::kColumns; ++c)
      shared.staged.at(Engine::row(r), Engine::column(c)) = rS[r][c];
#pragma unroll 1
  for (int n = 0; n < Engine::kRows * Engine::kColumns; ++n) {
    const int row = Engine::row(n / Engine::kColumns);
    const int column = Engine::column(n % Engine::kColumns);
    visit(n, row, column, shared.staged.at(row, column));
  }
  for (int r = 0; r < Engine::kRows; ++r)
    for (int c = 0; c < Engine::kColumns; ++c)
      rS[r][c] = shared.staged.at(Engine::row(r), Engine::column(c));
}

/// Turns dot products of the keys `first` and following into logits; returns a bit for each, set if
/// its key is allowed. `within`: position and the user's function allow all of them to all rows.
template <class Engine, class V>
__device__ unsigned score(typename Engine::Scores& rS, typename Engine::Shared& shared,
                          const V& variant, const Row<V>* sRows, std::int64_t first, bool within) {
  if (within && !variant.excludes_by_tensor() && !variant.changes_score()) {
    for (int r = 0; r < Engine::kRows; ++r)
      for (int c = 0; c < Engine::kColumns; ++c) rS[r][c] *= variant.scale;
    return kAllAllowed;
  }
  unsigned allowed = 0;
  for_each_score<Engine>(rS, shared, [&](int n, int row, int column, auto& score) {
    const Row<V>& r = sRows[row];
    const std::int64_t j = first + column;
    if (!(within ? r.tensors_allow(variant, j) : r.allows(variant, j))) return;
    score = r.logit(variant, score, j);
    allowed |= 1u << n;
  });
  return allowed;
}

/// Multiplies weights by dropout's factors.
template <class Engine, class V>
__device__ void apply_dropout(typename Engine::Scores& rP, typename Engine::Shared& shared,
                              const V& variant, const Row<V>* sRows, std::int64_t first) {
  if (!variant.dropout.active()) return;
  for_each_score<Engine>(rP, shared, [&](int, int row, int column, auto& weight) {
    if (!is_excluded(weight)) weight *= sRows[row].dropout_factor(variant, first + column);
  });
}

}  // namespace attend::cuda
