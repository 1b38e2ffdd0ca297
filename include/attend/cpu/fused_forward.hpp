#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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

/// Runs all items, each slot of the workers with a `Block` of its own, and merges the partial
/// results if there are any.
template <class Block, class T>
void run_items(FusedCall<T> call, bool has_partial, const Workers& workers) {
  const FusedPlan& plan = call.plan;
  std::optional<Arena> memory;
  if (has_partial) {
    const Extents<3> extents = Block::partial_extents(call.problem, plan);
    const std::int64_t size = extents[0] * extents[1] * extents[2];
    memory.emplace(Arena::bytes<RealOf<T>>(size));
    call.partial = {memory->template take<RealOf<T>>(size), extents};
  }
  // Each made by the thread that uses it: memory that one thread takes and gives back for all of
  // them goes back to the system, and comes again page by page.
  std::vector<std::unique_ptr<Block>> blocks(static_cast<std::size_t>(workers.size()));
  // The last block of a head first: under a causal mask it has the most keys, and what comes last
  // should be small, so that the threads end together.
  const auto for_each_item = [&](std::int64_t splits, auto&& work) {
    workers.for_each(plan.pieces(call.problem) * splits, [&](std::int64_t index, int slot) {
      FusedItem item;
      item.split = index % splits;
      index /= splits;
      item.block = plan.blocks - 1 - index % plan.blocks;
      index /= plan.blocks;
      item.set = index % plan.head_sets;
      item.b = index / plan.head_sets;
      std::unique_ptr<Block>& block = blocks[static_cast<std::size_t>(slot)];
      if (!block) block = std::make_unique<Block>(call);
      work(*block, item);
    });
  };
  for_each_item(plan.splits, [](Block& block, const FusedItem& item) { block.run(item); });
  if (has_partial) for_each_item(1, [](Block& block, const FusedItem& item) { block.merge(item); });
}

/// The fused path without the user's functions' types: compiled once per element type.
template <class T>
void run_fused(const Problem& problem, const Variant<RealOf<T>>& variant,
               const FusedHooks<T>& hooks, const ForwardTensors<T>& tensors,
               const Workers& workers) {
  const Kernels<T>& kernels = kernels_of<T>(EngineOverride::engine());
  const FusedPlan plan = plan_fused(problem, kernels.tuning);
  if (plan.pieces(problem) == 0) return;
  const FusedCall<T> call{problem, variant, hooks, tensors, kernels, plan, {}};
  if (is_few_rows(call))
    run_items<FusedRows<T>>(call, true, workers);
  else
    run_items<FusedBlock<T>>(call, plan.splits > 1, workers);
}

/// Computes attention by the fused path. Everything has been validated.
template <class T, class V>
void fused_forward(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
                   const Workers& workers) {
  run_fused<T>(problem, variant.without_functions(), fused_hooks<T>(variant), tensors, workers);
}

}  // namespace attend::cpu
