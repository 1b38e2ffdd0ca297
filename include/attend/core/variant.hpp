#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "dropout.hpp"
#include "keys.hpp"
#include "problem.hpp"
#include "view.hpp"

/// @file
/// Everything that one call may ask for beyond q, k and v, as data; and what it says of one score.

namespace attend {

/// What a row without any allowed key, and without a sink, gives. Its log-sum-exp is -infinity.
enum class EmptyRow {
  zero,     ///< output 0
  uniform,  ///< the mean of v over all keys (below the key length), as the original's math path
            ///< gives
};

/// A run of integers, 32 or 64 bits wide, that somebody else owns: one per batch element. Null:
/// "not given".
class Integers {
 public:
  /// Not given.
  constexpr Integers() = default;
  /// 32-bit values, `stride` elements apart.
  ATTEND_HD constexpr Integers(const std::int32_t* data, std::int64_t stride)
      : narrow_(data), stride_(stride) {}
  /// 64-bit values, `stride` elements apart.
  ATTEND_HD constexpr Integers(const std::int64_t* data, std::int64_t stride)
      : wide_(data), stride_(stride) {}

  /// True if given.
  ATTEND_HD constexpr explicit operator bool() const {
    return narrow_ != nullptr || wide_ != nullptr;
  }
  /// The n-th value.
  ATTEND_HD constexpr std::int64_t operator[](std::int64_t n) const {
    return narrow_ != nullptr ? narrow_[n * stride_] : wide_[n * stride_];
  }
  /// The same integers after being copied to `data`, one after the other.
  ATTEND_HD constexpr Integers copied_to(const std::int64_t* data) const {
    return {data, stride_ == 0 ? 0 : 1};
  }
  /// The first value over and over.
  ATTEND_HD constexpr Integers repeated() const {
    Integers same = *this;
    same.stride_ = 0;
    return same;
  }

 private:
  const std::int32_t* narrow_ = nullptr;
  const std::int64_t* wide_ = nullptr;
  std::int64_t stride_ = 1;
};

/// What is added to a query's index to give its position among the keys.
enum class Alignment {
  start,    ///< 0: query 0 stands at key 0
  end,      ///< keys - len_q: the last query stands at the last key
  offsets,  ///< a number per batch element
};

/// No user's score function: the score stays as it is.
struct NoScoreMod {
  /// Nothing to train.
  static constexpr bool kHasParameters = false;
  /// None.
  ATTEND_HD constexpr std::int64_t parameters() const { return 0; }
  /// The score itself.
  template <class Real>
  ATTEND_HD constexpr Real operator()(Real score, Index) const {
    return score;
  }
};

/// A rectangle of the score matrix of one head.
struct IndexBlock {
  std::int64_t b = 0;        ///< batch
  std::int64_t h = 0;        ///< query head
  std::int64_t i_begin = 0;  ///< first query
  std::int64_t i_end = 0;    ///< one past the last
  std::int64_t j_begin = 0;  ///< first key
  std::int64_t j_end = 0;    ///< one past the last
};

/// How much of a block a mask allows.
enum class Coverage {
  some,  ///< has to be asked pair by pair
  all,   ///< every pair
  none,  ///< no pair: paths may skip the block
};

/// No user's mask function: every key is allowed.
struct NoMaskMod {
  /// Always true.
  ATTEND_HD constexpr bool operator()(Index) const { return true; }
  /// Always all.
  ATTEND_HD constexpr Coverage coverage(const IndexBlock&) const { return Coverage::all; }
};

/// One call's variant of attention. Views are broadcast already (stride 0 along axes of extent 1
/// that were repeated): bias and mask have extents (b h i j), slopes and sinks (b h). Null views
/// are "not given".
template <class RealType, class ScoreMod = NoScoreMod, class MaskMod = NoMaskMod>
struct Variant {
  /// Type of scores, bias, slopes, sinks, log-sum-exp.
  using Real = RealType;
  /// Whether a user's function changes scores.
  static constexpr bool kHasScoreMod = !std::is_same_v<ScoreMod, NoScoreMod>;
  /// Whether a user's function excludes keys.
  static constexpr bool kHasMaskMod = !std::is_same_v<MaskMod, NoMaskMod>;
  /// Whether the user's score function has parameters that can be trained.
  static constexpr bool kHasParameters = ScoreMod::kHasParameters;

  Real scale = 1;                        ///< factor of the dot products
  Real softcap = 0;                      ///< c of `c * tanh(s / c)`; 0: none
  View<const Real, 4> bias = {};         ///< added to the score; -inf excludes the key
  View<const Real, 2> alibi = {};        ///< slopes of `-slope * |position - j|`
  View<const bool, 4> mask = {};         ///< true = keep
  View<const Real, 2> sink = {};         ///< a logit that takes part in the denominator only
  bool causal = false;                   ///< j <= position
  Window window = {};                    ///< sides of what a query sees
  Alignment alignment = Alignment::end;  ///< where queries stand among the keys
  Integers offsets = {};                 ///< (b), for Alignment::offsets
  Integers key_lengths = {};             ///< (b), keys that exist
  Dropout dropout = {};                  ///< of the probabilities
  EmptyRow empty_row = EmptyRow::zero;   ///< policy
  ATTEND_NO_UNIQUE_ADDRESS ScoreMod score_mod = {};  ///< the user's change of a score, done last
  ATTEND_NO_UNIQUE_ADDRESS MaskMod mask_mod = {};    ///< the user's exclusion of keys

  /// The keys that queries of batch element b see by position. (A key length on a device can't be
  /// checked before; one that is none is held within the keys there are.)
  ATTEND_HD constexpr KeyBand band(const Problem& problem, std::int64_t b) const {
    std::int64_t length = key_lengths ? key_lengths[b] : problem.len_k;
    length = length < 0 ? 0 : length > problem.len_k ? problem.len_k : length;
    const std::int64_t shift = alignment == Alignment::start ? 0
                               : alignment == Alignment::end ? length - problem.len_q
                                                             : offsets[b];
    Window sides = window;
    if (causal) sides.right = 0;
    return {shift, length, sides};
  }

  /// The same with other functions of the user's.
  template <class Score, class Mask>
  constexpr Variant<Real, Score, Mask> with(const Score& score, const Mask& keeps) const {
    return {.scale = scale,
            .softcap = softcap,
            .bias = bias,
            .alibi = alibi,
            .mask = mask,
            .sink = sink,
            .causal = causal,
            .window = window,
            .alignment = alignment,
            .offsets = offsets,
            .key_lengths = key_lengths,
            .dropout = dropout,
            .empty_row = empty_row,
            .score_mod = score,
            .mask_mod = keeps};
  }

  /// The same without the user's functions.
  constexpr Variant<Real> without_functions() const { return with(NoScoreMod{}, NoMaskMod{}); }

  /// Whether a tensor (mask, bias) can exclude a key.
  ATTEND_HD constexpr bool excludes_by_tensor() const { return mask || bias; }

  /// Whether anything but position (mask, bias, user's function) can exclude a key.
  ATTEND_HD constexpr bool excludes_beyond_position() const {
    return excludes_by_tensor() || kHasMaskMod;
  }

  /// Whether a score needs more than its dot product and the scale.
  ATTEND_HD constexpr bool changes_score() const {
    return softcap > 0 || bias || alibi || kHasScoreMod;
  }

  /// Whether a score is its dot product times a positive factor.
  ATTEND_HD constexpr bool scores_are_products() const { return !changes_score() && scale > 0; }

  /// Whether mask and bias allow a key.
  ATTEND_HD constexpr bool tensors_allow(Index at) const {
    if (mask && !mask(at.b, at.h, at.i, at.j)) return false;
    return !bias || bias(at.b, at.h, at.i, at.j) != -kInfinity<Real>;
  }

  /// Whether a key that position allows is allowed by everything else too.
  ATTEND_HD constexpr bool allows(Index at) const { return tensors_allow(at) && mask_mod(at); }

  /// The score of an allowed key from the dot product of query and key, before the user's function;
  /// `position` is the query's. `Number` is `Real`, or `Dual<Real>` for the slope.
  template <class Number>
  ATTEND_HD Number score(Number dot, Index at, std::int64_t position) const {
    using std::tanh;
    Number score = scale * dot;
    if (softcap > 0) score = softcap * tanh(score / softcap);
    if (bias) score += bias(at.b, at.h, at.i, at.j);
    if (alibi) score -= alibi(at.b, at.h) * distance(position, at.j);
    return score;
  }

  /// The logit of an allowed key.
  ATTEND_HD Real logit(Real dot, Index at, std::int64_t position) const {
    return score_mod(score(dot, at, position), at);
  }

  /// The sink's logit, -inf where there is none.
  ATTEND_HD constexpr Real sink_logit(std::int64_t b, std::int64_t h) const {
    return sink ? sink(b, h) : -kInfinity<Real>;
  }

  /// |position - j|, as ALiBi takes it.
  ATTEND_HD static constexpr Real distance(std::int64_t position, std::int64_t j) {
    const Real difference = static_cast<Real>(saturating_add(position, -j));
    return difference < 0 ? -difference : difference;
  }
};

}  // namespace attend
