#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/softmax_state.hpp"
#include "fused_gradient_plan.hpp"
#include "fused_scratch.hpp"

/// @file
/// The memory of one thread of the fused path's backward pass: linear in the number of queries and
/// in the keys of a chunk, allocated once per call.

namespace attend::cpu {

/// Everything a thread needs for one chunk at a time.
template <class T>
struct FusedGradientScratch {
  /// Type of scores.
  using Real = RealOf<T>;

  /// Sizes of the pieces, in one place: `visit(pointer, count)` is called for each.
  template <class Visit>
  void for_each_piece(const Problem& problem, const FusedGradientPlan& plan, Visit&& visit) {
    const std::int64_t rows = plan.padded_rows();
    const std::int64_t width = plan.panel_rows;
    visit(queries, rows * problem.head_dim);
    visit(grads, rows * problem.head_dim_v);
    visit(query_rows, plan.columns.size(rows));
    visit(grad_rows, plan.columns_v.size(rows));
    visit(dk, plan.columns.size(plan.chunk_keys));
    visit(dv, plan.columns_v.size(plan.chunk_keys));
    visit(scores, plan.key_tile * width);
    visit(gradients, plan.key_tile * width);
    visit(gradient_pairs, plan.key_tile / 2 * width);
    visit(keep, plan.key_tile * width);
    visit(slopes, plan.key_tile * width);
    visit(keys, packed_bytes<T>(plan.key_tile, problem.head_dim));
    visit(key_columns, packed_bytes<T>(plan.key_tile, problem.head_dim));
    visit(values, packed_bytes<T>(plan.key_tile, problem.head_dim_v));
    visit(allowed, plan.key_tile / 32 * width);
    visit(measured, plan.panels);
    visit(row_max, width);
    visit(row_sum, width);
    visit(minus_shift, rows);
    visit(factor, rows);
    visit(delta, rows);
    visit(alibi_slopes, width);
    visit(distance, width);
    visit(counter_low, width);
    visit(counter_high, width);
    visit(head, width);
    visit(query, width);
    visit(visible, width);
    visit(row, width);
    visit(bias_row, width);
    visit(mask_row, width);
    visit(next_bias_row, width);
    visit(next_mask_row, width);
  }

  /// Allocates all pieces.
  FusedGradientScratch(const Problem& problem, const FusedGradientPlan& plan)
      : arena_(total_bytes(problem, plan)) {
    for_each_piece(problem, plan, [&]<class Piece>(Piece*& pointer, std::int64_t count) {
      pointer = arena_.take<Piece>(count);
    });
  }

  Real* queries;                ///< Q^T of a head, packed, panel after panel
  Real* grads;                  ///< dO^T of a head, packed, panel after panel
  Real* query_rows;             ///< Q of a head in column blocks, packed, panel after panel
  Real* grad_rows;              ///< dO of a head, likewise
  Real* dk;                     ///< of a chunk, in column blocks
  Real* dv;                     ///< of a chunk, in column blocks
  Real* scores;                 ///< of one tile
  Real* gradients;              ///< of one tile
  Real* gradient_pairs;         ///< of one tile, for engines that take pairs
  Real* keep;                   ///< of one tile
  Real* slopes;                 ///< of one tile
  char* keys;                   ///< a tile of K, converted
  char* key_columns;            ///< a tile of K, its columns as rows
  char* values;                 ///< a tile of V, converted
  std::uint32_t* allowed;       ///< bits of one tile
  bool* measured;               ///< of each panel of a head: whether its logits were looked at
  Real* row_max;                ///< lanes of one panel
  Real* row_sum;                ///< lanes of one panel
  Real* minus_shift;            ///< of each query of a head
  Real* factor;                 ///< of each query of a head
  Real* delta;                  ///< of each query of a head
  Real* alibi_slopes;           ///< lanes of one panel
  Real* distance;               ///< lanes of one panel
  std::uint32_t* counter_low;   ///< lanes of one panel
  std::uint32_t* counter_high;  ///< lanes of one panel
  std::int64_t* head;           ///< lanes of one panel
  std::int64_t* query;          ///< lanes of one panel
  KeyRange* visible;            ///< lanes of one panel, by position
  const T** row;                ///< rows that are being packed
  const Real** bias_row;        ///< bias of a tile's first key, lanes of one panel
  const bool** mask_row;        ///< mask of key 0, lanes of one panel
  const Real** next_bias_row;   ///< bias of key 0, lanes of the next panel
  const bool** next_mask_row;   ///< mask of key 0, lanes of the next panel

 private:
  std::size_t total_bytes(const Problem& problem, const FusedGradientPlan& plan) {
    std::size_t total = 0;
    for_each_piece(problem, plan, [&]<class Piece>(Piece*&, std::int64_t count) {
      total += Arena::bytes<Piece>(count);
    });
    return total;
  }

  Arena arena_;
};

}  // namespace attend::cpu
