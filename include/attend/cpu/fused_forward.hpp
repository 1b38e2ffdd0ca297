#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "../core/forward_tensors.hpp"
#include "engine/engines.hpp"
#include "fused_block.hpp"
#include "fused_rows.hpp"
#include "workers.hpp"

/// @file
/// The fused path: exact attention by online softmax over tiles of keys (Rabe, Staats,
/// "Self-attention does not need O(n^2) memory", 2021; Dao et al., "FlashAttention", 2022),
/// parallel over batch, heads, queries, and over keys where there are few queries.

namespace attend::cpu {

/// Merges the partial results of row `row` of a head set, split by split, and writes the row.
template <class T>
void merge_splits(const FusedCall<T>& call, std::int64_t b, std::int64_t set, std::int64_t row,
                  std::vector<RealOf<T>>& out, ValueMean<RealOf<T>>& mean) {
  using Real = RealOf<T>;
  const std::int64_t depth = call.problem.head_dim_v;
  const std::int64_t h = set * call.plan.heads_per_block + row % call.plan.heads_per_block;
  const std::int64_t i = row / call.plan.heads_per_block;
  const std::int64_t at = (b * call.plan.head_sets + set) * call.plan.rows + row;
  // Maxima are in units of raw products; exponents are not.
  const Real scale = call.late_scale();
  const auto weight = [&](Real max, Real top) {
    return max == top ? Real{1} : std::exp((max - top) * scale);
  };
  Real top = -std::numeric_limits<Real>::infinity();
  for (std::int64_t split = 0; split < call.plan.splits; ++split)
    top = std::max(top, call.partial(split, at, depth));
  Real sum = 0;
  std::fill(out.begin(), out.end(), Real{0});
  for (std::int64_t split = 0; split < call.plan.splits; ++split) {
    const Real* const from = &call.partial(split, at, 0);
    // An empty split has sum 0 and weight 0.
    const Real w = from[depth + 1] == 0 ? Real{0} : weight(from[depth], top);
    sum += w * from[depth + 1];
    for (std::int64_t c = 0; c < depth; ++c) out[static_cast<std::size_t>(c)] += w * from[c];
  }
  const RowEnd<Real> end = row_end(call, b, h, top, sum);
  Real check = 0;
  for (std::int64_t c = 0; c < depth; ++c) {
    const Real value = out[static_cast<std::size_t>(c)] * end.factor;
    check += value * 0;
    call.tensors.out(b, h, i, c) = static_cast<T>(value);
  }
  if (call.tensors.lse) call.tensors.lse(b, h, i) = end.state.lse();
  if (check != 0 || std::isinf(top * scale))
    call.hooks.exact_row(call.problem, call.hooks.variant, call.tensors, {b, h, i, 0}, mean);
}

/// Runs all items, each slot of the workers with a `Block` of its own.
template <class Block, class T>
void run_items(const FusedCall<T>& call, std::int64_t items, const Workers& workers) {
  const FusedPlan& plan = call.plan;
  // Each made by the thread that uses it: memory that one thread takes and gives back for all of
  // them goes back to the system, and comes again page by page.
  std::vector<std::unique_ptr<Block>> blocks(static_cast<std::size_t>(workers.size()));

  // The last block of a head first: under a causal mask it has the most keys, and what comes last
  // should be small, so that the threads end together.
  workers.for_each(items, [&](std::int64_t index, int slot) {
    FusedItem item;
    item.split = index % plan.splits;
    index /= plan.splits;
    item.block = plan.blocks - 1 - index % plan.blocks;
    index /= plan.blocks;
    item.set = index % plan.head_sets;
    item.b = index / plan.head_sets;
    std::unique_ptr<Block>& block = blocks[static_cast<std::size_t>(slot)];
    if (!block) block = std::make_unique<Block>(call);
    block->run(item);
  });
}

/// The fused path without the user's functions' types: compiled once per element type.
template <class T>
void run_fused(const Problem& problem, const Variant<RealOf<T>>& variant,
               const FusedHooks<T>& hooks, const ForwardTensors<T>& tensors,
               const Workers& workers) {
  using Real = RealOf<T>;
  const Kernels<T>& kernels = kernels_of<T>(EngineOverride::engine());
  const FusedPlan plan = plan_fused(problem, kernels.tuning);
  const std::int64_t items = plan.items(problem);
  if (items == 0) return;

  FusedCall<T> call{problem, variant, hooks, tensors, kernels, plan, {}};
  const bool few = is_few_rows(call);
  std::unique_ptr<Real[]> partial;
  if (few || plan.splits > 1) {
    const Extents<3> extents{plan.splits, problem.batch * plan.head_sets * plan.rows,
                             problem.head_dim_v + 2};
    partial.reset(new Real[static_cast<std::size_t>(extents[0] * extents[1] * extents[2])]);
    call.partial = {partial.get(), extents};
  }
  few ? run_items<FusedRows<T>>(call, items, workers)
      : run_items<FusedBlock<T>>(call, items, workers);
  if (!call.partial) return;
  workers.for_each(problem.batch * plan.head_sets, [&](std::int64_t index, int) {
    std::vector<Real> out(static_cast<std::size_t>(problem.head_dim_v));
    ValueMean<Real> mean;
    for (std::int64_t row = 0; row < plan.rows; ++row)
      merge_splits(call, index / plan.head_sets, index % plan.head_sets, row, out, mean);
  });
}

/// Computes attention by the fused path. Everything has been validated.
template <class T, class V>
void fused_forward(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
                   const Workers& workers) {
  run_fused<T>(problem, variant.without_functions(), fused_hooks<T>(variant), tensors, workers);
}

}  // namespace attend::cpu
