#pragma once

#include <cstdint>

#include "../tile/rows.cuh"
#include "query_tile.cuh"
#include "scoring.cuh"

/// @file
/// Rows without any allowed key under `EmptyRow::uniform`.

namespace attend::cuda {

/// Adds the mean of all values (below the key length) to the rows that are empty, which are 0 so
/// far; if the block has such a row.
template <class Engine, class V>
__device__ void add_uniform_rows(typename Engine::Output& rO, typename Engine::Shared& shared,
                                 const Problem& problem, const V& variant, const Row<V>* sRows,
                                 const bool (&empty)[Engine::kRows],
                                 const View<const typename Engine::Element, 4>& v,
                                 const QueryTile& tile) {
  using Real = typename Engine::Real;
  bool some = false;
  for (int r = 0; r < Engine::kRows; ++r) some = some || empty[r];
  if (!__syncthreads_or(some)) return;

  const std::int64_t length = variant.band(problem, tile.b).length();
  for (std::int64_t j = 0; j < length; j += Engine::kTileColumns) {
    __syncthreads();  // the values before are done with
    typename Engine::Scores rP;
#pragma unroll
    for (int r = 0; r < Engine::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Engine::kColumns; ++c)
        rP[r][c] = empty[r] && j + Engine::column(c) < length ? Real{1} / static_cast<Real>(length)
                                                              : kExcluded<Real>;
    apply_dropout<Engine>(rP, shared, variant, sRows, j);
    Engine::add_weighted_values(rO, rP, shared, rows_from(v.inner(tile.b, tile.h_kv), j, length),
                                row_layout(v), tile.column);
  }
}

}  // namespace attend::cuda
