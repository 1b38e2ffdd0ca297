#pragma once

#include <cstdint>

#include "../../core/dropout.hpp"
#include "../../core/dtype.hpp"
#include "flush_subnormals.hpp"
#include "requests.hpp"

/// @file
/// What the fused path asks of a tile engine.
///
/// Scores are computed transposed: a tile holds `S^T = K Q^T` with keys as rows and a *panel* of
/// queries across the vector lanes. Maximum, sum and rescaling of a query are then vertical
/// operations, only the small query tile is ever transposed, and both products
/// (`S^T = K Q^T` and `O^T += V^T P^T`) have one form: an element (or a pair of elements) of K or V
/// broadcast where it lies, times vectors of queries.

namespace attend {
namespace cpu {

/// The left factor of a product: element (row, step) lies at `data + row * row_bytes + step *
/// step_bytes`; a step is one element of the inner dimension, or a pair where the engine's
/// instruction takes pairs.
struct Operand {
  const char* data = nullptr;   ///< element (0, 0)
  std::int64_t row_bytes = 0;   ///< to the next row of the result
  std::int64_t step_bytes = 0;  ///< to the next step of the inner dimension

  /// The operand from a row or step on.
  constexpr Operand from(std::int64_t row, std::int64_t step) const {
    return {data + row * row_bytes + step * step_bytes, row_bytes, step_bytes};
  }
};

/// What a product does to the old values C of its result (rows x lanes).
enum class Old {
  dropped,   ///< C = A B
  kept,      ///< C = C + A B
  rescaled,  ///< C = C * factor + A B, a factor for each column
};

/// Rows of a matrix that need not be evenly spaced, `stride` elements between columns.
template <class T>
struct Rows {
  T* const* row = nullptr;   ///< `count` pointers to column 0
  std::int64_t stride = 0;   ///< between columns, in elements
  int count = 0;             ///< rows
  std::int64_t columns = 0;  ///< columns
};

/// What a product does beside multiplying.
template <class Real>
struct ProductOptions {
  Old old = Old::dropped;        ///< what becomes of the old values
  const Real* factor = nullptr;  ///< of each column, if they are rescaled
  Real* top = nullptr;           ///< takes in each column's greatest element of A B, NaN passed
                                 ///< over; null: not wanted
  Requests* ahead = nullptr;     ///< asked for meanwhile; null: nothing
};

/// The running state of a panel of queries; every array has one column per lane.
template <class Real>
struct Panel {
  int vectors = 1;       ///< vectors of lanes
  void* queries;         ///< packed, (head_dim / step) x lanes
  Real* out;             ///< O^T: head_dim_v x lanes, not yet divided by `sum`
  Real* max;             ///< lanes; in units of the raw dot product if scores are not changed
  Real* sum;             ///< lanes
  std::int64_t depth;    ///< head_dim
  std::int64_t depth_v;  ///< head_dim_v
  Real* met = nullptr;   ///< lanes: 0 until a key was allowed, then 1
};

/// Changes of a tile's scores that are more than a scale: `softcap tanh(scale s / softcap) + bias -
/// slope |distance - row|`.
template <class Real>
struct ScoreChange {
  Real scale = 1;                  ///< of the dot product
  Real softcap = 0;                ///< 0: none
  Rows<const Real> bias{};         ///< of each lane, columns are keys; -inf excludes; null: none
  const Real* slopes = nullptr;    ///< lanes; null: no ALiBi
  const Real* distance = nullptr;  ///< lanes: position minus the tile's first key
};

/// Dropout of a tile. The first key is a multiple of 4.
struct LaneDropout {
  const std::uint32_t* counter_low;   ///< lanes: the counter of the tile's first four keys
  const std::uint32_t* counter_high;  ///< lanes
  std::uint64_t seed;                 ///< Philox key
  std::uint32_t threshold;            ///< words below it are dropped
};

/// One tile of keys for one panel.
template <class Real>
struct Tile {
  std::int64_t keys = 0;                      ///< rows of the tile
  Operand k;                                  ///< rows are keys
  Operand v;                                  ///< rows are elements of a value, steps are keys
  Real* scores = nullptr;                     ///< scratch, keys (up to a pair) x lanes
  void* probabilities = nullptr;              ///< scratch of engines that round them
  Real* top = nullptr;                        ///< lanes: for the greatest scores, if those of
                                              ///< `scores` are the final ones; null: they are not
  Real exponent_scale = 1;                    ///< log2(e), times the scale if none was applied yet
  const std::uint32_t* allowed = nullptr;     ///< (keys / 32) x lanes words of bits; null: all
  const ScoreChange<Real>* change = nullptr;  ///< null: none
  const LaneDropout* dropout = nullptr;       ///< null: none
  Requests* ahead = nullptr;                  ///< asked for meanwhile; null: nothing
  bool first = false;                         ///< the panel's output so far is not read
};

/// A tile of K or V as it lies in the tensor: element (key, column).
template <class T>
struct KeyTile {
  const T* data;               ///< element (0, 0)
  std::int64_t key_stride;     ///< elements between keys
  std::int64_t column_stride;  ///< elements between columns
  std::int64_t keys;           ///< keys
  std::int64_t columns;        ///< head_dim or head_dim_v
};

/// Keys in a tile of `attend_rows`.
constexpr std::int64_t kRowTileKeys = 128;

/// The running state of a few rows that read the same keys; rows are padded to whole vectors.
template <class Real>
struct RowPanel {
  int rows = 0;                   ///< rows
  const Real* queries = nullptr;  ///< rows x query_stride, zeros after head_dim
  std::int64_t query_stride = 0;  ///< head_dim, padded
  Real* out = nullptr;            ///< rows x out_stride, not yet divided by `sum`
  std::int64_t out_stride = 0;    ///< head_dim_v, padded
  Real* max = nullptr;            ///< of each row, in units of the raw dot product
  Real* sum = nullptr;            ///< rows x lanes: shares of each row's sum
};

/// One tile of up to kRowTileKeys keys for a few rows; columns lie side by side.
template <class T>
struct RowTile {
  KeyTile<T> k;                            ///< keys
  KeyTile<T> v;                            ///< values
  RealOf<T>* scores = nullptr;             ///< scratch, rows x kRowTileKeys
  RealOf<T> exponent_scale = 1;            ///< log2(e) times the scale
  const std::uint32_t* allowed = nullptr;  ///< (keys / 32) x rows words of bits; null: all
};

/// Sizes an engine was tuned to.
struct Tuning {
  int lanes;          ///< queries in one vector
  int max_vectors;    ///< vectors in a panel, at most
  int panel_vectors;  ///< vectors in a panel where there are queries enough
  int block_vectors;  ///< vectors of all panels that share a converted tile of keys
  int key_tile;       ///< keys in a tile, a multiple of 32
  int few_rows;       ///< up to so many rows that share keys are computed by `attend_rows`
};

/// An engine for element type T: the operations of the fused path on one tile.
template <class T>
struct Kernels {
  /// Type of scores.
  using Real = RealOf<T>;

  const char* name;  ///< as `ATTEND_ENGINE` has it
  Tuning tuning;     ///< tile sizes
  int step;          ///< elements of the inner dimension per step of an operand: 1 or 2

  /// Packs the rows, times `factor`, as the right factor of the score product into `panel.queries`.
  void (*pack_queries)(const Rows<const T>& rows, Real factor, const Panel<Real>& panel);
  /// K as left factor of the score product; copied to `scratch` where it can't be used in place.
  Operand (*pack_keys)(const KeyTile<T>& tile, void* scratch);
  /// V^T as left factor of the output product.
  Operand (*pack_values)(const KeyTile<T>& tile, void* scratch);
  /// The tile's scores: S^T = K Q^T, then `change`.
  void (*scores)(const Tile<Real>& tile, const Panel<Real>& panel);
  /// Excludes what is not allowed, takes the scores into the panel's maximum, sum and output.
  void (*accumulate)(const Tile<Real>& tile, const Panel<Real>& panel);
  /// Takes a panel's state over other keys into its state.
  void (*merge)(const Panel<Real>& from, Real exponent_scale, const Panel<Real>& into);
  /// Writes `out` times `factor` (lanes) to the rows; `check` (lanes) becomes 0 where all written
  /// values are finite and NaN elsewhere.
  void (*store)(const Panel<Real>& panel, const Real* factor, const Rows<T>& rows, Real* check);
  /// A mask's bytes as bits, see `MaskWords`.
  void (*mask_words)(const Rows<const bool>& mask, std::int64_t skipped, std::uint32_t* words,
                     std::int64_t width);
  /// One tile of keys for a few rows.
  void (*attend_rows)(const RowTile<T>& tile, const RowPanel<Real>& panel);
};

/// Steps that a product over an inner dimension of so many elements takes, with a layer of
/// instructions L: whole steps, and as many as one instruction takes.
template <class L>
constexpr std::int64_t padded_steps(std::int64_t elements) {
  constexpr std::int64_t kElements = L::kStep * L::kStepsAtOnce;
  return (elements + kElements - 1) / kElements * L::kStepsAtOnce;
}

/// Elements per query in `Panel::queries`, padding included, in any engine.
constexpr std::int64_t packed_depth(std::int64_t head_dim) { return (head_dim + 31) / 32 * 32; }

/// Bytes that `pack_keys` or `pack_values` may write for so many keys and columns, in any engine.
template <class T>
constexpr std::int64_t packed_bytes(std::int64_t keys, std::int64_t columns) {
  const std::int64_t padded_keys = (keys + 31) / 32 * 32;
  const std::int64_t padded_columns = (columns + 31) / 32 * 32;
  return padded_keys * padded_columns * static_cast<std::int64_t>(sizeof(RealOf<T>));
}

}  // namespace cpu
}  // namespace attend
