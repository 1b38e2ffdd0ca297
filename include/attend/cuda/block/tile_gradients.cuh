#pragma once

#include <cstdint>

#include "gradient_row.cuh"

/// @file
/// From the products of a tile to its gradients. All of it is the row's to say (`GradientRow`);
/// here is only when to ask. Where every score has to be looked at, both products are staged in
/// shared memory, so that the code for one score exists once, in a loop, and not once for each of a
/// thread's registers.

namespace attend::cuda {

/// Which way a tile lies: queries are its rows, or (S^T) its columns.
enum class Queries { rows, columns };
/// What the gradient is taken by: the dot product, or the score, as the bias' gradient is.
enum class GradientBy { dot, score };

/// Turns dot products rS (not scaled) and gradients by weights rG of keys `first_key` and following
/// into weights and gradients. `within`: position and the user's function allow all of the keys to
/// all of the queries.
template <class Engine, Queries queries, GradientBy by = GradientBy::dot, class V>
__device__ void tile_gradients(typename Engine::Scores& rS, typename Engine::Scores& rG,
                               typename Engine::Shared& shared, const V& variant,
                               typename V::Real scale, const GradientRow<V>* sQueries,
                               std::int64_t first_key, bool within) {
  using Real = typename V::Real;
  constexpr bool kRowsAreQueries = queries == Queries::rows;
  if (within && !variant.excludes_by_tensor() && !variant.changes_score() &&
      !variant.dropout.active()) {
#pragma unroll
    for (int r = 0; r < Engine::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Engine::kColumns; ++c) {
        const int query = kRowsAreQueries ? Engine::row(r) : Engine::column(c);
        const RowGradient<Real>& row = sQueries[query].state;
        rS[r][c] = row.probability(scale * rS[r][c]);
        rG[r][c] = rS[r][c] * (rG[r][c] - row.delta) + Real{0};
      }
    return;
  }
  auto& sS = Engine::staged(shared, 0);
  auto& sG = Engine::staged(shared, 1);
#pragma unroll
  for (int r = 0; r < Engine::kRows; ++r)
#pragma unroll
    for (int c = 0; c < Engine::kColumns; ++c) {
      sS.at(Engine::row(r), Engine::column(c)) = scale * rS[r][c];
      sG.at(Engine::row(r), Engine::column(c)) = rG[r][c];
    }
#pragma unroll 1
  for (int n = 0; n < Engine::kRows * Engine::kColumns; ++n) {
    const int row = Engine::row(n / Engine::kColumns);
    const int column = Engine::column(n % Engine::kColumns);
    const GradientRow<V>& query = sQueries[kRowsAreQueries ? row : column];
    const std::int64_t key = first_key + (kRowsAreQueries ? column : row);
    const PairGradient<Real> pair =
        query.pair(variant, sS.at(row, column), sG.at(row, column), key);
    sS.at(row, column) = pair.weight;
    sG.at(row, column) = by == GradientBy::dot ? pair.dot : pair.score;
  }
#pragma unroll
  for (int r = 0; r < Engine::kRows; ++r)
#pragma unroll
    for (int c = 0; c < Engine::kColumns; ++c) {
      rS[r][c] = sS.at(Engine::row(r), Engine::column(c));
      rG[r][c] = sG.at(Engine::row(r), Engine::column(c));
    }
}

}  // namespace attend::cuda
