#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels.hpp"

/// @file
/// What the fused path's backward pass asks of a tile engine. All five products of a tile have the
/// form of the forward pass (see kernels.hpp), with keys as rows and queries across the lanes in
/// `S^T = K Q^T`, `dP^T = V dO^T` and `dQ^T += K^T dS^T`, and with columns of a gradient across the
/// lanes in `dV += P^T dO` and `dK += dS^T Q`.

namespace attend {
namespace cpu {

/// How the columns of a matrix are cut into blocks of whole vectors: block after block, each with
/// all its rows.
struct ColumnBlocks {
  int vectors = 1;          ///< vectors in a block
  std::int64_t blocks = 1;  ///< blocks
  std::int64_t width = 1;   ///< columns in a block, the last one padded with 0

  /// The widest blocks of equal width of those that pad so many columns least.
  constexpr ColumnBlocks(std::int64_t columns, const Tuning& tuning) {
    const std::int64_t all = std::max<std::int64_t>((columns + tuning.lanes - 1) / tuning.lanes, 1);
    const auto blocks_of = [&](int wide) { return (all + wide - 1) / wide; };
    vectors = static_cast<int>(std::min<std::int64_t>(all, tuning.max_vectors));
    for (int narrower = vectors - 1; narrower >= 2; --narrower)
      if (blocks_of(narrower) * narrower < blocks_of(vectors) * vectors) vectors = narrower;
    blocks = blocks_of(vectors);
    width = std::int64_t{vectors} * tuning.lanes;
  }

  /// Elements that `rows` rows take.
  constexpr std::int64_t size(std::int64_t rows) const { return blocks * rows * width; }
};

/// A panel of queries of one head; arrays of "lanes" have one element per query.
template <class Real>
struct GradientPanel {
  int vectors;              ///< vectors of lanes
  std::int64_t rows;        ///< lanes that are queries
  const Real* queries;      ///< Q^T, packed: (head_dim / step) x lanes
  const Real* grads;        ///< dO^T, packed: (head_dim_v / step) x lanes
  const Real* query_rows;   ///< Q, packed, in column blocks of `lanes` rows
  const Real* grad_rows;    ///< dO, likewise
  const Real* minus_shift;  ///< lanes: of `RowGradient`
  const Real* factor;       ///< lanes
  const Real* delta;        ///< lanes
  Real* dq;                 ///< dQ^T: head_dim x lanes, added to
  std::int64_t depth;       ///< head_dim
  std::int64_t depth_v;     ///< head_dim_v
};

/// A tile of keys for one panel.
template <class Real>
struct GradientTile {
  std::int64_t keys = 0;                      ///< rows of the tile
  Operand k;                                  ///< rows are keys
  Operand k_columns;                          ///< rows are columns of K, steps are keys
  Operand v;                                  ///< rows are keys
  Real* scores = nullptr;                     ///< keys x lanes: raw products, then logits, weights
  Real* gradients = nullptr;                  ///< keys x lanes: dP, then dS
  Real* gradient_pairs = nullptr;             ///< dS as right factor, of engines that take pairs
  Real* keep = nullptr;                       ///< keys x lanes, dropout's factors; null: none
  Real* slopes = nullptr;                     ///< keys x lanes, of logits by products; null: scale.
                                              ///< `scores` writes those of a softcap there
  Real scale = 1;                             ///< of the dot products
  const std::uint32_t* allowed = nullptr;     ///< (keys / 32) x lanes words of bits; null: all
  const ScoreChange<Real>* change = nullptr;  ///< null: none
  Real late_scale = 1;                        ///< logits are scores times this
  const LaneDropout* dropout = nullptr;       ///< null: none
  Real keep_scale = 1;                        ///< of the probabilities that dropout keeps
  Requests* ahead = nullptr;                  ///< of the next panel; null: nothing
  Real* dk = nullptr;                         ///< column blocks, added to
  Real* dv = nullptr;                         ///< column blocks, added to
  std::int64_t rows = 0;                      ///< rows of dk and dv
};

/// An engine's operations on elements of type T for the backward pass.
template <class T>
struct GradientKernels {
  /// Type of scores.
  using Real = RealOf<T>;

  Tuning tuning;  ///< tile sizes
  int step;       ///< elements of the inner dimension per step of an operand: 1 or 2

  /// Packs rows as the right factor of products over their columns.
  void (*pack_columns)(const Rows<const T>& rows, Real* to, int vectors);
  /// Packs rows as the right factor of products over the rows, in column blocks of `all_rows` rows;
  /// rows that are not there become 0.
  void (*pack_rows)(const Rows<const T>& rows, std::int64_t all_rows, const ColumnBlocks& columns,
                    Real* to);
  /// K or V as left factor with keys as rows; copied to `scratch` where it can't be used in place.
  Operand (*pack_keys)(const KeyTile<T>& tile, void* scratch);
  /// K as left factor with its columns as rows. `keys`: what `pack_keys` made of it.
  Operand (*pack_key_columns)(const KeyTile<T>& tile, const Operand& keys, void* scratch);
  /// The tile's scores, changed, and the slopes where they are capped.
  void (*scores)(const GradientTile<Real>& tile, const GradientPanel<Real>& panel);
  /// Takes logits, those in `scores`, into each lane's maximum and sum; they are used up.
  void (*measure)(const GradientTile<Real>& tile, int vectors, Real* max, Real* sum);
  /// From scores to what the tile adds to dQ, dK and dV.
  void (*accumulate)(const GradientTile<Real>& tile, const GradientPanel<Real>& panel,
                     const ColumnBlocks& columns, const ColumnBlocks& columns_v);
  /// A mask's bytes as bits, see `MaskWords`.
  void (*mask_words)(const Rows<const bool>& mask, std::int64_t skipped, std::uint32_t* words,
                     std::int64_t width);
  /// Writes a panel's `out` times `factor` to rows; see `Kernels::store`.
  void (*store)(const Panel<Real>& panel, const Real* factor, const Rows<T>& rows, Real* check);
  /// Writes a row of column blocks of `all_rows` rows to `count` elements, `stride` apart; 0 where
  /// all are finite, else NaN.
  Real (*store_row)(const Real* from, std::int64_t all_rows, const ColumnBlocks& columns, T* to,
                    std::int64_t stride, std::int64_t count);
};

}  // namespace cpu
}  // namespace attend
