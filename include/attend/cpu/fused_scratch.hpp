#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "../core/keys.hpp"
#include "engine/kernels.hpp"
#include "fused_plan.hpp"

/// @file
/// The memory of one thread of the fused path: independent of the number of keys, allocated once
/// per call.

namespace attend::cpu {

/// Memory without an owner's type, aligned to a cache line, handed out piece by piece.
class Arena {
 public:
  /// Room for `bytes`, alignment of pieces included.
  explicit Arena(std::size_t bytes)
      : memory_(static_cast<char*>(::operator new (bytes, std::align_val_t{kAlignment}))),
        end_(memory_.get() + bytes),
        next_(memory_.get()) {}

  /// Bytes that a piece of `count` elements takes.
  template <class T>
  static std::size_t bytes(std::int64_t count) {
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max() / 2;
    if (count < 0 || count > kMost / static_cast<std::int64_t>(sizeof(T)))
      throw std::bad_array_new_length();
    return (static_cast<std::size_t>(count) * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  }

  /// The next piece, not initialised.
  template <class T>
  T* take(std::int64_t count) {
    char* const piece = next_;
    next_ += bytes<T>(count);
    if (next_ > end_) throw std::bad_alloc();
    return reinterpret_cast<T*>(piece);
  }

 private:
  static constexpr std::size_t kAlignment = 64;
  struct Free {
    void operator()(char* memory) const {
      ::operator delete (memory, std::align_val_t{kAlignment});
    }
  };

  std::unique_ptr<char, Free> memory_;
  char* end_;
  char* next_;
};

/// Everything a thread needs for one block at a time.
template <class T>
struct FusedScratch {
  /// Type of scores.
  using Real = RealOf<T>;

  /// Elements of a row's running state: its output, maximum, sum, and whether it met a key.
  static std::int64_t state_columns(const Problem& problem) { return problem.head_dim_v + 3; }

  /// Sizes of the pieces, in one place: `visit(pointer, count)` is called for each.
  template <class Visit>
  void for_each_piece(const Problem& problem, const FusedPlan& plan, Visit&& visit) {
    const std::int64_t rows = plan.block_rows;
    const std::int64_t width = plan.panel_rows;
    visit(queries, packed_depth(problem.head_dim) * rows);
    visit(state, state_columns(problem) * rows);
    visit(scores, plan.key_tile * width);
    visit(probabilities, plan.key_tile * width);
    visit(keys, packed_bytes<T>(plan.key_tile, problem.head_dim));
    visit(values, packed_bytes<T>(plan.key_tile, problem.head_dim_v));
    visit(top, width);
    visit(allowed, plan.key_tile / 32 * width);
    visit(distance, width);
    visit(slopes, rows);
    visit(factor, width);
    visit(check, width);
    visit(counter_low, width);
    visit(counter_high, width);
    visit(head, rows);
    visit(query, rows);
    visit(visible, rows);
    visit(query_row, rows);
    visit(out_row, rows);
    visit(bias_row, rows);
    visit(mask_row, rows);
    visit(bias_from, width);
  }

  /// Allocates all pieces.
  FusedScratch(const Problem& problem, const FusedPlan& plan) : arena_(total_bytes(problem, plan)) {
    for_each_piece(problem, plan, [&]<class Piece>(Piece*& pointer, std::int64_t count) {
      pointer = arena_.take<Piece>(count);
    });
  }

  Real* queries;                ///< packed queries, panel after panel
  Real* state;                  ///< of each panel
  Real* scores;                 ///< of one tile
  Real* probabilities;          ///< of one tile, for engines that round them
  Real* top;                    ///< greatest scores of one tile, lanes of one panel
  char* keys;                   ///< a tile of K, converted
  char* values;                 ///< a tile of V, converted
  std::uint32_t* allowed;       ///< bits of one tile
  Real* distance;               ///< lanes of one panel
  Real* slopes;                 ///< of each row
  Real* factor;                 ///< lanes of one panel
  Real* check;                  ///< lanes of one panel
  std::uint32_t* counter_low;   ///< lanes of one panel
  std::uint32_t* counter_high;  ///< lanes of one panel
  std::int64_t* head;           ///< of each row
  std::int64_t* query;          ///< of each row
  KeyRange* visible;            ///< of each row, by position
  const T** query_row;          ///< q of each row
  T** out_row;                  ///< output of each row
  const Real** bias_row;        ///< bias of key 0, of each row
  const Real** bias_from;       ///< bias of a tile's first key, lanes of one panel
  const bool** mask_row;        ///< mask of key 0, of each row

 private:
  std::size_t total_bytes(const Problem& problem, const FusedPlan& plan) {
    std::size_t total = 0;
    for_each_piece(problem, plan, [&]<class Piece>(Piece*&, std::int64_t count) {
      total += Arena::bytes<Piece>(count);
    });
    return total;
  }

  Arena arena_;
};

}  // namespace attend::cpu
