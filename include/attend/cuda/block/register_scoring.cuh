#pragma once

#include <cstdint>
#include <type_traits>

#include "../arch/opaque.cuh"
#include "../arch/warp.cuh"
#include "log2_softmax.cuh"
#include "row.cuh"
#include "tile_rows.cuh"

/// @file
/// What a variant does to a tile of scores that lies in registers, as m16n8 fragments: a thread has
/// two neighbouring columns of every eight. Which keys are allowed is a bit per score; each part of
/// a variant is one pass, and takes no time where it is not given.

namespace attend::cuda {

/// What a call's variant says of the scores of an engine's warps.
template <class Engine, class V>
class RegisterScoring {
 public:
  static constexpr int kRows = Engine::kRows;
  static constexpr int kColumns = Engine::kColumns;
  using Scores = typename Engine::Scores;
  using Rows = typename Engine::Rows;
  static_assert(kRows * kColumns <= 64, "one bit each");

  /// A bit for each of a thread's scores: column c of its row r is bit `r * kColumns + c`.
  using Bits = std::conditional_t<kRows * kColumns <= 32, std::uint32_t, std::uint64_t>;
  /// The bits of all scores.
  static constexpr Bits kAll = static_cast<Bits>(~std::uint64_t{0} >> (64 - kRows * kColumns));

  /// Of a tile's rows.
  __device__ RegisterScoring(const Problem& problem, const V& variant, const Rows& rows)
      : problem_(problem), variant_(variant), rows_(rows) {}

  /// What scores are multiplied by to be logits: dot products are scores, if that is all they need.
  static __device__ float score_scale(const V& variant) {
    return are_products(variant) ? variant.scale : 1;
  }

  /// Turns dot products of the keys `first` and following into scores, those of excluded keys into
  /// -inf. Says which are allowed. `within`: position and the user's function allow all of them to
  /// all rows.
  __device__ Bits score(Scores& rS, int first, bool within) const {
    if (Engine::kScores == FlashScores::products && within) return kAll;
    const Bits allowed = change(rS, first, within);
    if (allowed != kAll)
      each([&](int r, int c) { rS[r][c] = is_set(allowed, r, c) ? rS[r][c] : -kInfinity<float>; });
    return allowed;
  }

  /// Makes the weights that dropout drops 0. Its factor for the others is left to be done once, at
  /// the end.
  __device__ void apply_dropout(Scores& rP, int first) const {
    if (Engine::kScores == FlashScores::products || !variant_.dropout.active()) return;
    const Bits kept = kept_by_dropout(first);
    each([&](int r, int c) { rP[r][c] = is_set(kept, r, c) ? rP[r][c] : 0; });
  }

  /// Whether key `first` + column c of row r is allowed, of which `bits` are what `score` said.
  __device__ bool is_allowed(Bits bits, int first, int r, int c) const {
    if constexpr (Engine::kScores == FlashScores::any) return is_set(bits, r, c);
    const TileRow row = rows_.row[Engine::row(r)];  // rarely asked, so that bits need not be kept
    const int key = first + Engine::column(c);
    return row.begin <= key && key < row.end;
  }

  /// Whether the bit of row r's column c is set.
  static __device__ bool is_set(Bits bits, int r, int c) {
    return (bits >> (r * kColumns + c) & 1) != 0;
  }

 private:
  // Which weights dropout keeps. Four neighbouring keys share a call of the generator and two lanes
  // have two of them each; so lanes take turns to make the words of every second eight columns.
  __device__ Bits kept_by_dropout(int first) const {
    const int t = lane() % 4;
    const bool odd = t % 2 != 0;
    Bits kept = 0;
#pragma unroll 1
    for (int r = 0; r < kRows; ++r) {
      const Index at = rows_.index(Engine::row(r));
      const std::uint64_t counter = variant_.dropout.row_counter(problem_, at.b, at.h, at.i) +
                                    static_cast<unsigned>(first / 4 + t / 2 + (odd ? 2 : 0));
#pragma unroll 1
      for (int c = 0; c < kColumns; c += 4) {
        const PhiloxWords words =
            philox4x32_10(counter + static_cast<unsigned>(c), opaque(variant_.dropout.rng.seed));
        const unsigned low = pair(words.word[0], words.word[1]);
        const unsigned high = pair(words.word[2], words.word[3]);
        const unsigned other = shfl_xor(odd ? low : high, 1);
        const unsigned four = odd ? other | high << 2 : low | other << 2;
        kept |= Bits{four} << (r * kColumns + c);
      }
    }
    return kept;
  }

  __device__ Bits change(Scores& rS, int first, bool within) const {
    Bits allowed = within ? kAll : seen(first);
    if constexpr (Engine::kScores == FlashScores::products) return allowed;
    const bool whole = first + Engine::kTileColumns <= problem_.len_k;
    if (variant_.mask) allowed &= kept_by_mask(first, whole);
    if constexpr (V::kHasMaskMod)
      if (!within) allowed &= kept_by_user(first, allowed);
    if (are_products(variant_)) return allowed;
    each([&](int r, int c) { rS[r][c] *= variant_.scale; });
    if (variant_.softcap > 0) cap(rS);
    if (variant_.bias) add_bias(rS, allowed, first, whole);
    if (variant_.alibi) add_alibi(rS, first);
    if constexpr (V::kHasScoreMod) change_by_user(rS, allowed, first);
    return allowed;
  }

  static __device__ bool are_products(const V& variant) {
    return Engine::kScores == FlashScores::products || variant.scores_are_products();
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
    at.j = first + Engine::column(c);
    return at;
  }

  // Two bits: whether words are kept.
  __device__ unsigned pair(std::uint32_t a, std::uint32_t b) const {
    const std::uint64_t threshold = variant_.dropout.threshold;
    return (a >= threshold ? 1u : 0u) | (b >= threshold ? 2u : 0u);
  }

  // How many of a thread's columns lie before `column` (which may lie outside the tile).
  static __device__ int columns_before(int column) {
    const int n = min(max(column, 0), Engine::kTileColumns);
    return n / 8 * 2 + min(max(n % 8 - lane() % 4 * 2, 0), 2);
  }

  // The keys that position lets the thread's rows see.
  __device__ Bits seen(int first) const {
    Bits bits = 0;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const TileRow row = rows_.row[Engine::row(r)];
      const unsigned below_end = (1u << columns_before(row.end - first)) - 1;
      const unsigned below_begin = (1u << columns_before(row.begin - first)) - 1;
      bits |= Bits{below_end & ~below_begin} << (r * kColumns);
    }
    return bits;
  }

  // The keys that the mask keeps. `whole`: there are as many keys as the tile has columns.
  __device__ Bits kept_by_mask(int first, bool whole) const {
    const auto& mask = variant_.mask;
    const int from = first + opaque(Engine::first_column());
    const bool same_for_rows = mask.stride(1) == 0 && mask.stride(2) == 0;
    Bits kept = 0;
#pragma unroll 1
    for (int r = 0; r < kRows; ++r) {
      const Index at = rows_.index(Engine::row(r));
      const bool* const row = mask.data() + mask.offset(at.b, at.h, at.i, from);
      unsigned bits = 0;
      if (whole && mask.stride(3) == 1 && reinterpret_cast<std::uintptr_t>(row) % 2 == 0) {
        struct alignas(2) Pair {
          bool at[2];
        };
#pragma unroll
        for (int c = 0; c < kColumns; c += 2) {
          const Pair two = *reinterpret_cast<const Pair*>(row + Engine::column_from_first(c));
          bits |= (two.at[0] ? 1u : 0u) << c | (two.at[1] ? 2u : 0u) << c;
        }
      } else {
#pragma unroll 4
        for (int c = 0; c < kColumns; ++c)
          if (from + Engine::column_from_first(c) < problem_.len_k &&
              row[Engine::column_from_first(c) * mask.stride(3)])
            bits |= 1u << c;
      }
      if (same_for_rows) {
#pragma unroll
        for (int each_row = 0; each_row < kRows; ++each_row)
          kept |= Bits{bits} << (each_row * kColumns);
        break;
      }
      kept |= Bits{bits} << (r * kColumns);
    }
    return kept;
  }

  // Of the allowed keys, those that the user's function keeps.
  __device__ Bits kept_by_user(int first, Bits allowed) const {
    Bits kept = 0;
#pragma unroll 1
    for (int r = 0; r < kRows; ++r)
#pragma unroll 1
      for (int c = 0; c < kColumns; ++c)
        if (is_set(allowed, r, c) && variant_.mask_mod(index(r, first, c)))
          kept |= Bits{1} << (r * kColumns + c);
    return kept;
  }

  // What the user's function makes of the scores of allowed keys.
  __device__ void change_by_user(Scores& rS, Bits allowed, int first) const {
    const auto change = [&](int r, int c) {
      rS[r][c] = variant_.score_mod(rS[r][c], index(r, first, c));
    };
    if (allowed == kAll) return each(change);
    each([&](int r, int c) {
      if (is_set(allowed, r, c)) change(r, c);
    });
  }

  __device__ void cap(Scores& rS) const {
    const float factor = 1 / opaque(variant_.softcap);
    each([&](int r, int c) { rS[r][c] = variant_.softcap * tanhf(rS[r][c] * factor); });
  }

  __device__ void add_bias(Scores& rS, Bits& allowed, int first, bool whole) const {
    const auto& bias = variant_.bias;
    const int from = first + opaque(Engine::first_column());
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const Index at = rows_.index(Engine::row(r));
      const float* const row = bias.data() + bias.offset(at.b, at.h, at.i, from);
      const auto add = [&](int c, float x) {
        rS[r][c] += x;
        if (x == -kInfinity<float>) allowed &= ~(Bits{1} << (r * kColumns + c));
      };
      if (whole && bias.stride(3) == 1 && reinterpret_cast<std::uintptr_t>(row) % 8 == 0) {
#pragma unroll
        for (int c = 0; c < kColumns; c += 2) {
          const float2 two = *reinterpret_cast<const float2*>(row + Engine::column_from_first(c));
          add(c, two.x), add(c + 1, two.y);
        }
      } else {
#pragma unroll
        for (int c = 0; c < kColumns; ++c)
          if (is_set(allowed, r, c)) add(c, row[Engine::column_from_first(c) * bias.stride(3)]);
      }
    }
  }

  __device__ void add_alibi(Scores& rS, int first) const {
    const int from = first + opaque(Engine::first_column());
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const Index at = rows_.index(Engine::row(r));
      const float slope = variant_.alibi(at.b, at.h);
      const std::int64_t position = variant_.band(problem_, at.b).position(at.i);
      const float ahead = static_cast<float>(saturating_add(position, -from));
#pragma unroll
      for (int c = 0; c < kColumns; ++c)
        rS[r][c] -= slope * fabsf(ahead - static_cast<float>(Engine::column_from_first(c)));
    }
  }

  const Problem& problem_;
  const V& variant_;
  const Rows& rows_;
};

}  // namespace attend::cuda
