#pragma once

#include <cstdint>

#include "../arch/approx.cuh"
#include "../arch/opaque.cuh"
#include "../arch/warp.cuh"
#include "../tile/excluded.cuh"
#include "../tile/fours.cuh"
#include "../tile/rotate.cuh"
#include "gradient_tile.cuh"
#include "log2_softmax.cuh"

/// @file
/// From the products of a tile to its gradients, in the registers where they are. Which keys are
/// allowed is a bit per score; each part of a variant is one pass, and takes no time where it is
/// not given. The chain rule goes along with the scores: what changes a score multiplies the
/// gradient by its slope there and then.

namespace attend::cuda {

/// Which way a tile lies: queries are its rows, or (S^T) its columns.
enum class Queries { rows, columns };
/// What the gradient is taken by: the dot product, or the score, as the bias' gradient is.
enum class GradientBy { dot, score };

/// What a call's variant says of a tile of scores and its gradients. `Engine` says which of them a
/// thread has.
template <class Engine, Queries queries, class V, GradientBy by = GradientBy::dot>
class TileGradients {
 public:
  using Scores = typename Engine::Scores;

  /// Of queries of a head, which `sQueries` are; `scale` is that of the dot products, the variant's
  /// is 1.
  __device__ TileGradients(const Problem& problem, const V& variant, float scale,
                           const HeadQueries& head, const GradientQuery<V>* sQueries)
      : problem_(problem), variant_(variant), scale_(scale), head_(head), sQueries_(sQueries) {}

  /// Turns dot products rS (not scaled) and gradients by weights rG of keys `first` (a multiple of
  /// four) and following into weights and gradients; those of excluded keys are `kExcluded`, those
  /// of allowed ones never. `within`: position and the user's function allow all of the keys to all
  /// of the queries. Returns whether one of the thread's keys is excluded.
  __device__ bool operator()(Scores& rS, Scores& rG, std::int64_t first, bool within) const {
    unsigned allowed = within ? kAll : seen(first);
    if (variant_.mask) allowed &= kept_by_mask(first);
    if constexpr (V::kHasMaskMod)
      if (!within) allowed &= kept_by_user(first, allowed);

    if (!variant_.changes_score() && !variant_.dropout.active()) {
      each_pair([&](int r, int c, const RowGradient<float>& row) {
        rG[r][c] -= row.delta;
        finish(rS[r][c], rG[r][c], __fmul_rn(scale_, rS[r][c]), row);
      });
      exclude(rS, rG, first, allowed, kAll);
    } else {
      const unsigned kept = variant_.dropout.active() ? kept_by_dropout(first) : kAll;
      apply_dropout(rG, kept);
      each_pair([&](int r, int c, const RowGradient<float>& row) {
        rS[r][c] *= scale_;
        rG[r][c] -= row.delta;
      });
      if (variant_.softcap > 0) cap(rS, rG);
      if (variant_.bias) add_bias(rS, allowed, first);
      if (variant_.alibi) add_alibi(rS, first);
      if constexpr (V::kHasScoreMod) change_by_user(rS, rG, first, allowed);
      each_pair([&](int r, int c, const RowGradient<float>& row) {
        finish(rS[r][c], rG[r][c], rS[r][c], row);
      });
      apply_dropout(rS, kept);
      exclude(rS, rG, first, allowed, kept);
    }
    return allowed != kAll;
  }

  /// The keys that position lets the thread's queries see: a bit each.
  __device__ unsigned seen(std::int64_t first) const {
    unsigned bits = 0;
    struct Range {
      int begin;
      unsigned size;
    };
    each_query(
        [&](const GradientQuery<V>& query) {
          constexpr std::int64_t kMost = Engine::kTileRows + Engine::kTileColumns;
          const auto begin = max(query.keys.begin - first, std::int64_t{0});
          const auto end = min(query.keys.end - first, kMost);
          return begin < end ? Range{static_cast<int>(begin), static_cast<unsigned>(end - begin)}
                             : Range{0, 0};
        },
        [&](int r, int c, int k, const Range& range) {
          if (static_cast<unsigned>(key(k) - range.begin) < range.size) bits |= bit(r, c);
        });
    return bits;
  }

 private:
  static constexpr int kRows = Engine::kRows, kColumns = Engine::kColumns;
  static constexpr int kCount = kRows * kColumns;
  static constexpr bool kRowsAreQueries = queries == Queries::rows;
  static constexpr int kQueries = kRowsAreQueries ? kRows : kColumns;  // of one thread
  static constexpr int kKeys = kRowsAreQueries ? kColumns : kRows;
  static_assert(kCount <= 32, "one bit each");
  // The bit of column c of row r is r * kColumns + c.
  static constexpr unsigned kAll = ~0u >> (32 - kCount);

  // In the tile.
  static __device__ int query(int n) {
    return kRowsAreQueries ? Engine::row(n) : Engine::column(n);
  }
  static __device__ int key(int n) { return kRowsAreQueries ? Engine::column(n) : Engine::row(n); }
  static __device__ int query_of(int r, int c) { return query(kRowsAreQueries ? r : c); }
  static __device__ int key_of(int r, int c) { return key(kRowsAreQueries ? c : r); }

  static constexpr __device__ unsigned bit(int r, int c) { return 1u << (r * kColumns + c); }

  // Calls `begin(query)` for each query of the thread's, and with what that returns `visit(r, c, k,
  // found)` for each of its pairs with the thread's k-th key: column c of row r.
  template <class Begin, class Visit>
  __device__ void each_query(Begin begin, Visit visit) const {
#pragma unroll
    for (int q = 0; q < kQueries; ++q) {
      const auto found = begin(sQueries_[query(q)]);
#pragma unroll
      for (int k = 0; k < kKeys; ++k)
        visit(kRowsAreQueries ? q : k, kRowsAreQueries ? k : q, k, found);
    }
  }
  template <class Visit>
  __device__ void each_pair(Visit visit) const {
    each_query([](const GradientQuery<V>& query) { return query.state; },
               [&](int r, int c, int, const RowGradient<float>& row) { visit(r, c, row); });
  }

  // From a logit and the gradient by it over the probability to the probability and the gradient.
  // The difference is taken first: logits may be so great that no product with log2(e) is exact.
  // Nor may it be taken of a logit that was not rounded as the greatest one was.
  static __device__ void finish(float& s, float& g, float logit, const RowGradient<float>& row) {
    s = ex2_approx_ftz((logit - row.shift) * kLog2E<float>) * row.factor;
    g = s * g + 0.0f;  // -0 becomes +0
  }

  // How far from a query's key 0 the thread's keys lie along a tensor's last axis; as far as the
  // last key for those that there are not.
  struct KeySteps {
    std::int64_t of[kKeys];
  };
  __device__ KeySteps steps(std::int64_t first, std::int64_t stride) const {
    KeySteps steps;
    const auto last = static_cast<int>(
        min(problem_.len_k - 1 - first, std::int64_t{Engine::kTileRows + Engine::kTileColumns}));
    const std::int64_t begin = first * stride;
#pragma unroll
    for (int k = 0; k < kKeys; ++k) steps.of[k] = begin + min(key(k), last) * stride;
    return steps;
  }

  // The keys that the mask keeps.
  __device__ unsigned kept_by_mask(std::int64_t first) const {
    unsigned bits = 0;
    const KeySteps keys = steps(first, variant_.mask.stride(3));
    each_query([](const GradientQuery<V>& query) { return query.mask; },
               [&](int r, int c, int k, const bool* row) {
                 if (row[keys.of[k]]) bits |= bit(r, c);
               });
    return bits;
  }

  __device__ Index index(int r, int c, std::int64_t first) const {
    return {head_.b, head_.h, sQueries_[query_of(r, c)].i, first + key_of(r, c)};
  }

  // Of the allowed keys, those that the user's function keeps.
  __device__ unsigned kept_by_user(std::int64_t first, unsigned allowed) const {
    unsigned bits = 0;
#pragma unroll 1
    for (int n = 0; n < kCount; ++n)
      if ((allowed >> n & 1) != 0 && variant_.mask_mod(index(n / kColumns, n % kColumns, first)))
        bits |= 1u << n;
    return bits;
  }

  // Which weights dropout keeps. Lanes that share four neighbouring keys take turns: each calls the
  // generator for the four of another of their common scores, and hands the bits round.
  __device__ unsigned kept_by_dropout(std::int64_t first) const {
    constexpr Fours kFours = kRowsAreQueries ? Engine::kColumnFours : Engine::kRowFours;
    constexpr int kBits = kFours.lanes * kFours.each;  // of a call, that these lanes need
    constexpr int kScores = kFours.each;               // scores of a thread's that one call is for
    const int turn = opaque(lane()) / kFours.step % kFours.lanes;
    unsigned own = 0;
#pragma unroll 1
    for (int n = 0; n < kCount / kBits; ++n) {
      const int score = (n * kFours.lanes + turn) * kScores;
      const int r = score / kColumns, c = score % kColumns;
      const int at = key_of(r, c);
      const PhiloxWords words = philox4x32_10(
          sQueries_[query_of(r, c)].row_counter + static_cast<std::uint64_t>(first + at) / 4,
          opaque(variant_.dropout.rng.seed));
      unsigned four = 0;
#pragma unroll
      for (int word = 0; word < 4; ++word)
        if (words.word[word] >= variant_.dropout.threshold) four |= 1u << word;
      // Lanes in turn have the words in turn, not from word 0 on where they need fewer than four.
      if (kBits < 4) four = four >> (at % 4 - turn) & ((1u << kBits) - 1);
      own |= four << (n * kBits);
    }
    constexpr unsigned kEach = ((1u << kScores) - 1) * (~0u / ((1u << kBits) - 1));
    unsigned kept = 0;
#pragma unroll
    for (int other = 0; other < kFours.lanes; ++other) {
      const unsigned its =
          __shfl_sync(kAllLanes, own, lane() + (other - turn) * kFours.step) >> (turn * kScores);
      kept |= (its & kEach) << (other * kScores);
    }
    return kept;
  }

  // Multiplies by dropout's factors.
  __device__ void apply_dropout(Scores& rX, unsigned kept) const {
    if (!variant_.dropout.active()) return;
    const auto scale = static_cast<float>(variant_.dropout.keep_scale);
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c) rX[r][c] *= (kept & bit(r, c)) != 0 ? scale : 0.0f;
  }

  // Calls `visit(n, s, g)` for the n-th and each other of the scores and gradients, a few at a
  // time, in a loop through whose places all numbers pass: for what is too long to be there once
  // for each.
  template <int Places, class Visit>
  static __device__ void each_in_turn(Scores& rS, Scores& rG, Visit visit) {
    constexpr int kPlaces = Places < kColumns ? Places : kColumns;
#pragma unroll 1
    for (int n = 0; n < kCount; n += kPlaces) {
#pragma unroll
      for (int place = 0; place < kPlaces; ++place) visit(n + place, rS[0][place], rG[0][place]);
      rotate<kPlaces>(rS);
      rotate<kPlaces>(rG);
    }
  }

  __device__ void cap(Scores& rS, Scores& rG) const {
    const float softcap = variant_.softcap, factor = finite(1 / softcap);
    each_in_turn<8>(rS, rG, [&](int, float& s, float& g) {
      const float t = tanhf(s * factor);
      s = softcap * t;
      if (by == GradientBy::dot) g *= 1 - t * t;
    });
  }

  __device__ void add_bias(Scores& rS, unsigned& allowed, std::int64_t first) const {
    const KeySteps keys = steps(first, variant_.bias.stride(3));
    each_query([](const GradientQuery<V>& query) { return query.bias; },
               [&](int r, int c, int k, const float* row) {
                 const float x = row[keys.of[k]];
                 rS[r][c] += x;
                 if (x == -kInfinity<float>) allowed &= ~bit(r, c);
               });
  }

  __device__ void add_alibi(Scores& rS, std::int64_t first) const {
    struct Slope {
      float slope;
      std::int64_t ahead;  // of key `first`
    };
    each_query(
        [&](const GradientQuery<V>& query) {
          const std::int64_t ahead = saturating_add(query.position, -first);
          return Slope{query.slope, max(ahead, INT64_MIN / 2)};  // a key may be subtracted
        },
        [&](int r, int c, int k, const Slope& of) {
          rS[r][c] -= of.slope * fabsf(static_cast<float>(of.ahead - key(k)));
        });
  }

  __device__ void change_by_user(Scores& rS, Scores& rG, std::int64_t first,
                                 unsigned allowed) const {
    each_in_turn<4>(rS, rG, [&](int n, float& s, float& g) {
      if ((allowed >> n & 1) == 0) return;
      const Dual<float> logit =
          variant_.score_mod(Dual<float>{s, 1}, index(n / kColumns, n % kColumns, first));
      s = logit.value;
      g *= logit.slope;
    });
  }

  // Excluded keys have no gradient, and no weight but where it is the same for all keys.
  __device__ void exclude(Scores& rS, Scores& rG, std::int64_t first, unsigned allowed,
                          unsigned kept) const {
    if (allowed == kAll) return;
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kColumns; ++c)
        if ((allowed & bit(r, c)) == 0) rS[r][c] = rG[r][c] = kExcluded<float>;
    if (variant_.empty_row != EmptyRow::uniform) return;
    const std::int64_t keys = variant_.band(problem_, head_.b).length() - first;
    const float scale =
        variant_.dropout.active() ? static_cast<float>(variant_.dropout.keep_scale) : 1.0f;
    each_pair([&](int r, int c, const RowGradient<float>& row) {
      if (row.uniform != 0 && key_of(r, c) < keys)
        rS[r][c] = (kept & bit(r, c)) != 0 ? row.uniform * scale : 0.0f;
    });
  }

  const Problem& problem_;
  const V& variant_;
  const float scale_;
  const HeadQueries& head_;
  const GradientQuery<V>* const sQueries_;
};

}  // namespace attend::cuda
