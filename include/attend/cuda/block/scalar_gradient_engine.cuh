#pragma once

#include <cstdint>
#include <type_traits>

#include "../arch/compiled.cuh"
#include "scalar_engine.cuh"

/// @file
/// The products of a backward pass by multiply-add, for any element type.

namespace attend::cuda {

/// The two products of a tile of scores: of queries and keys, and of the output's gradient and
/// values.
enum class Factor { keys, values };

/// What the columns of a product of dots are for: weighted sums of them, too, or not.
enum class Columns { of_dots_and_sums, of_dots };

/// Whether an engine takes dot products column by column, as `softmax_state` does: where logits are
/// so great that their rounding is seen in the weights, no other order will do.
enum class InOrder { always, if_asked, never };

/// The forward pass' engine: 64 x 64, 64 columns of gradients. Registers are shorter.
template <class T>
struct ScalarGradientEngine : ScalarEngine<T, 64, 1> {
  using Base = ScalarEngine<T, 64, 1>;
  /// From 8.0 on bf16 is multiplied on tensor cores.
  static constexpr Compiled kCompiled =
      std::is_same_v<T, BF16> ? Compiled::before_8_0 : Compiled::everywhere;
  static constexpr InOrder kInOrder = InOrder::always;
  static constexpr int kBlocks = 2;  ///< on a multiprocessor: with more, registers don't suffice
  using typename Base::Output, typename Base::Real, typename Base::Scores, typename Base::Shared;

  /// A tile where scores are looked at one by one.
  static __device__ auto& staged(Shared& shared) { return shared.staged; }

  /// rS = A B^T for the rows that `a_row` and `b_row` point to. Columns are loaded anew later.
  template <class ARow, class BRow>
  static __device__ Values dot_products(Scores& rS, Shared& shared, Factor, ARow a_row,
                                        const RowLayout& a_layout, BRow b_row,
                                        const RowLayout& b_layout, bool, bool = false,
                                        Columns = Columns::of_dots_and_sums) {
    Base::dot_products(rS, shared, a_row, a_layout, b_row, b_layout, false);
    return Values::any;
  }

  /// rO += rP B for columns `column` and following of the rows that `b_row` points to.
  template <class BRow>
  static __device__ void add_weighted(Output& rO, const Scores& rP, Shared& shared, Factor, Values,
                                      BRow b_row, const RowLayout& layout, std::int64_t column) {
    Base::add_weighted_values(rO, rP, shared, b_row, layout, column);
  }
};

}  // namespace attend::cuda
