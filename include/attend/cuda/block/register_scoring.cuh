#pragma once

#include <cstdint>

#include "../arch/opaque.cuh"
#include "../arch/warp.cuh"
#include "flash_tiling.hpp"
#include "key_bits.cuh"
#include "log2_softmax.cuh"
#include "mask_bits.hpp"
#include "register_bias.cuh"
#include "register_dropout.cuh"
#include "register_mask.cuh"
#include "row.cuh"
#include "tile_rows.cuh"

/// @file
/// What a variant does to a tile of scores that lies in registers: a thread has four neighbouring
/// keys of every sixteen. Which keys are allowed is a bit per score; each part of a variant is one
/// pass, and takes no time where it is not given. What is read from memory is fetched ahead, while
/// the dot products are computed.

namespace attend::cuda {

/// What a call's variant says of the scores of an engine's warps.
template <class Engine, class V>
class RegisterScoring {
 public:
  static constexpr int kRows = Engine::kRows;
  static constexpr int kColumns = Engine::kColumns;
  using Scores = typename Engine::Scores;
  using Rows = typename Engine::Rows;

  /// A bit for each of a thread's scores.
  using Bits = typename KeyBits<Engine>::Bits;
  /// The bits of all scores.
  static constexpr Bits kAll = KeyBits<Engine>::kAll;

  /// Of a tile's rows.
  __device__ RegisterScoring(const Problem& problem, const V& variant, const MaskBits& mask,
                             const Rows& rows)
      : variant_(variant),
        rows_(rows),
        mask_(mask, rows),
        bias_(variant.bias, rows),
        dropout_(problem, variant.dropout, rows) {}

  /// What scores are multiplied by to be logits: dot products are scores, if that is all they need.
  static __device__ float score_scale(const V& variant) {
    return are_products(variant) ? variant.scale : 1;
  }

  /// Begins to read what `score` needs of the keys `first` and following, the next that it will be
  /// asked for.
  __device__ void fetch(int first) {
    mask_.forget_fetched();
    if (mask_.given()) mask_.fetch(first);
    if constexpr (kAny) {
      bias_.forget_fetched();
      if (variant_.bias) bias_.fetch(first);
    }
  }

  /// Turns dot products of the keys `first` and following into scores, those of excluded keys into
  /// -inf. Says which are allowed. `within`: position and the user's function allow all of them to
  /// all rows. Until `look_closely`, keys that a bias of -inf excludes count as allowed: their
  /// score is -inf, too, but NaN where their dot product is not finite.
  __device__ Bits score(Scores& rS, int first, bool within) {
    if (within && only_position_excludes()) return kAll;
    Bits allowed = within ? kAll : seen(first);
    if (mask_.given()) allowed &= mask_.kept(first);
    if constexpr (kAny) {
      if constexpr (V::kHasMaskMod)
        if (!within) allowed &= kept_by_user(first, allowed);
      if (variant_.bias && (V::kHasScoreMod || closely_)) allowed = bias_.kept_of(allowed, first);
      if (!are_products(variant_)) change(rS, allowed, first);
    }
    if (__any_sync(kAllLanes, allowed != kAll))
      each([&](int r, int c) {
        rS[r][c] = is_allowed(allowed, r, c) ? rS[r][c] : -kInfinity<float>;
      });
    met_ |= allowed;
    return allowed;
  }

  /// Whether position alone excludes keys.
  __device__ bool only_position_excludes() const { return !kAny && !mask_.given(); }

  /// Whether one of the thread's keys of row r was allowed, as `score` said; where position alone
  /// excludes, whether the row sees one.
  __device__ bool has_met_key(int r) const {
    if (only_position_excludes()) return rows_.sees(Engine::row(r));
    return (met_ & KeyBits<Engine>::of_row(r, KeyBits<Engine>::kRow)) != 0;
  }

  /// From now on every bias is looked at before it is added.
  __device__ void look_closely() { closely_ = true; }
  /// Whether keys may be excluded from a tile, of which `bits` are what `score` said.
  __device__ bool may_exclude(Bits bits) const { return bits != kAll || (kAny && variant_.bias); }

  /// Whether an allowed key's score was NaN before the user's function, which may make a number of
  /// it.
  __device__ bool user_met_nan() const { return user_met_nan_; }

  /// Makes the weights that dropout drops 0. Its factor for the others is left to be done once, at
  /// the end.
  __device__ void apply_dropout(Scores& rP, int first) const {
    if constexpr (kAny) dropout_.apply(rP, first);
  }

  /// Whether the key in column c of row r is allowed, of which `bits` are what `score` said.
  static __device__ bool is_allowed(Bits bits, int r, int c) {
    return KeyBits<Engine>::is_set(bits, r, c);
  }

 private:
  static constexpr bool kAny = Engine::kScores == FlashScores::any;

  static __device__ bool are_products(const V& variant) {
    return !kAny || variant.scores_are_products();
  }

  template <class Visit>
  static __device__ void each(Visit visit) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) visit(r, c);
  }

  __device__ Index index(int r, int first, int c) const {
    Index at = rows_.index(Engine::row(r));
    at.j = first + Engine::key(c);
    return at;
  }

  // The keys that position lets the thread's rows see.
  __device__ Bits seen(int first) const {
    Bits bits = 0;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const TileRow row = rows_.row[Engine::row(r)];
      bits |=
          KeyBits<Engine>::of_row(r, KeyBits<Engine>::between(row.begin - first, row.end - first));
    }
    return bits;
  }

  // Of the allowed keys, those that the user's function keeps.
  __device__ Bits kept_by_user(int first, Bits allowed) const {
    Bits kept = 0;
#pragma unroll 1
    for (int r = 0; r < kRows; ++r)
#pragma unroll 1
      for (int c = 0; c < kColumns; ++c)
        if (is_allowed(allowed, r, c) && variant_.mask_mod(index(r, first, c)))
          kept |= KeyBits<Engine>::of_row(r, Bits{1} << c);
    return kept;
  }

  // Dot products become scores: each part takes in what they are yet to be multiplied by.
  __device__ void change(Scores& rS, Bits allowed, int first) {
    float factor = variant_.scale;
    if (variant_.softcap > 0) cap(rS, factor), factor = 1;
    if (variant_.bias) bias_.add(rS, factor, first), factor = 1;
    if (variant_.alibi) add_alibi(rS, factor, first), factor = 1;
    if (factor != 1) each([&](int r, int c) { rS[r][c] *= factor; });
    if constexpr (V::kHasScoreMod) change_by_user(rS, allowed, first);
  }

  // What the user's function makes of the scores of allowed keys.
  __device__ void change_by_user(Scores& rS, Bits allowed, int first) {
    const auto change = [&](int r, int c) {
      if constexpr (Engine::kNotFinite == NotFinite::nan)
        user_met_nan_ = user_met_nan_ || isnan(rS[r][c]);
      rS[r][c] = variant_.score_mod(rS[r][c], index(r, first, c));
    };
    if (allowed == kAll) return each(change);
    each([&](int r, int c) {
      if (is_allowed(allowed, r, c)) change(r, c);
    });
  }

  __device__ void cap(Scores& rS, float factor) const {
    const float inverse = finite(factor / opaque(variant_.softcap));
    each([&](int r, int c) { rS[r][c] = variant_.softcap * tanhf(rS[r][c] * inverse); });
  }

  __device__ void add_alibi(Scores& rS, float factor, int first) const {
    const int from = first + Engine::first_key(opaque(lane()));
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const Index at = rows_.index(Engine::row(r));
      const float slope = variant_.alibi(at.b, at.h);
      const std::int64_t position = saturating_add(at.i, rows_.shift);
      const float ahead = static_cast<float>(saturating_add(position, -from));
#pragma unroll
      for (int c = 0; c < kColumns; ++c)
        rS[r][c] = fmaf(rS[r][c], factor,
                        -slope * fabsf(ahead - static_cast<float>(Engine::key_from_first(c))));
    }
  }

  const V& variant_;
  const Rows& rows_;
  RegisterMask<Engine> mask_;
  RegisterBias<Engine> bias_;
  RegisterDropout<Engine> dropout_;
  Bits met_ = 0;  // keys that were allowed in some tile
  bool closely_ = false;
  bool user_met_nan_ = false;
};

}  // namespace attend::cuda
