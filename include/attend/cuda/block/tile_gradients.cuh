#pragma once

#include <cstdint>

#include "../arch/approx.cuh"
#include "../tile/rotate.cuh"
#include "gradient_row.cuh"
#include "log2_softmax.cuh"

/// @file
/// From the products of a tile to its gradients, in the registers where they are. All of it is the
/// row's to say (`GradientRow`); here is only when to ask.

namespace attend::cuda {

/// Which way a tile lies: queries are its rows, or (S^T) its columns.
enum class Queries { rows, columns };
/// What the gradient is taken by: the dot product, or the score, as the bias' gradient is.
enum class GradientBy { dot, score };

/// Calls `visit(row, key, score, gradient)` for each of a thread's pairs: the query's number in the
/// tile and what is known of it, and the key's number in the tile.
template <class Engine, Queries queries, class V, class Visit>
__device__ inline void each_pair(typename Engine::Scores& rS, typename Engine::Scores& rG,
                                 const GradientRow<V>* sQueries, Visit visit) {
  constexpr bool kRowsAreQueries = queries == Queries::rows;
#pragma unroll
  for (int q = 0; q < (kRowsAreQueries ? Engine::kRows : Engine::kColumns); ++q) {
    const GradientRow<V>& row = sQueries[kRowsAreQueries ? Engine::row(q) : Engine::column(q)];
#pragma unroll
    for (int k = 0; k < (kRowsAreQueries ? Engine::kColumns : Engine::kRows); ++k) {
      const int r = kRowsAreQueries ? q : k, c = kRowsAreQueries ? k : q;
      visit(row, kRowsAreQueries ? Engine::column(k) : Engine::row(k), rS[r][c], rG[r][c]);
    }
  }
}

/// Turns dot products rS (not scaled) and gradients by weights rG of keys `first_key` and following
/// into weights and gradients. `within`: position and the user's function allow all of the keys to
/// all of the queries.
/// Returns whether a key may be excluded.
template <class Engine, Queries queries, GradientBy by = GradientBy::dot, class V>
__device__ bool tile_gradients(typename Engine::Scores& rS, typename Engine::Scores& rG,
                               const V& variant, float scale, const GradientRow<V>* sQueries,
                               std::int64_t first_key, bool within) {
  const bool products =
      !variant.excludes_by_tensor() && !variant.changes_score() && !variant.dropout.active();
  // The difference is taken first: scores may be so great that no product with log2(e) is exact.
  const auto set = [scale](const RowGradient<float>& row, float& s, float& g) {
    s = ex2_approx_ftz((scale * s - row.shift) * kLog2E) * row.factor;
    g = s * (g - row.delta) + 0.0f;
  };
  if (products && within) {
    each_pair<Engine, queries>(
        rS, rG, sQueries,
        [&](const GradientRow<V>& row, int, float& s, float& g) { set(row.state, s, g); });
    return false;
  }
  if (products && !V::kHasMaskMod && variant.empty_row == EmptyRow::zero) {
    each_pair<Engine, queries>(rS, rG, sQueries,
                               [&](const GradientRow<V>& row, int key, float& s, float& g) {
                                 set(row.state, s, g);
                                 if (!row.keys.contains(first_key + key)) s = g = kExcluded<float>;
                               });
    return true;
  }
  // The code for any variant exists once, in a loop, through whose one place all numbers pass.
#pragma unroll 1
  for (int n = 0; n < Engine::kRows * Engine::kColumns; ++n) {
    const int row = Engine::row(n / Engine::kColumns);
    const int column = Engine::column(n % Engine::kColumns);
    const GradientRow<V>& query = sQueries[queries == Queries::rows ? row : column];
    const std::int64_t key = first_key + (queries == Queries::rows ? column : row);
    const PairGradient<float> pair = query.pair(variant, scale * rS[0][0], rG[0][0], key);
    rS[0][0] = pair.weight;
    rG[0][0] = by == GradientBy::dot ? pair.dot : pair.score;
    rotate(rS);
    rotate(rG);
  }
  return true;
}

}  // namespace attend::cuda
