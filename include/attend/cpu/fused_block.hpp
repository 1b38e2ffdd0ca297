#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "../core/forward_tensors.hpp"
#include "../core/variant.hpp"
#include "fused_call.hpp"
#include "fused_mask.hpp"
#include "fused_row_end.hpp"
#include "fused_scratch.hpp"
#include "lane_inputs.hpp"

/// @file
/// One block of the fused path: the online softmax over the tiles of keys that its rows can see.

namespace attend::cpu {

/// Computes one item at a time in a thread's scratch memory.
template <class T>
class FusedBlock {
 public:
  /// Type of scores.
  using Real = RealOf<T>;

  /// A call's worker on one thread, with its scratch memory.
  explicit FusedBlock(const FusedCall<T>& call)
      : call_(call),
        problem_(call.problem),
        variant_(call.variant),
        kernels_(call.kernels),
        plan_(call.plan),
        asks_for_keys_(bytes(problem_.len_k) >= kCachedKeys),
        asks_for_rows_(bytes(call.plan.rows) * static_cast<double>(call.plan.head_sets) *
                           static_cast<double>(call.problem.batch) >=
                       kCachedRows),
        s_(call.problem, call.plan) {}

  /// Sizes of the partial results: the states of all panels.
  static Extents<3> partial_extents(const Problem& problem, const FusedPlan& plan) {
    return {plan.splits, problem.batch * plan.head_sets * plan.blocks * plan.block_rows,
            FusedScratch<T>::state_columns(problem)};
  }

  /// Computes the rows of an item from the keys of its split, and writes them if it is the only
  /// one; else their states are partial results.
  void run(const FusedItem& item) {
    set_rows(item);
    start();
    const KeyRange seen = band_.any(s_.query[0], s_.query[rows_ - 1] + 1);
    const std::int64_t split_begin = item.split * plan_.split_keys;
    const std::int64_t begin = std::max(seen.begin, split_begin);
    const std::int64_t end = std::min(seen.end, split_begin + plan_.split_keys);
    keys_end_ = end;
    for (std::int64_t tile = begin / plan_.key_tile * plan_.key_tile; tile < end;
         tile += plan_.key_tile) {
      // Tiles begin at multiples of 32 keys, so that bits and dropout's counters do.
      tile_ = {std::max(tile, begin / 32 * 32), std::min(tile + plan_.key_tile, end)};
      run_tile();
    }
    for (int p = 0; p < panels_; ++p) {
      const Panel<Real> panel = panel_at(p);
      if (!has_started(p)) std::fill_n(panel.out, plan_.panel_rows * panel.depth_v, Real{0});
      if (!call_.partial) finish(p);
    }
  }

  /// Merges the partial results of an item's rows, split by split, and writes the rows.
  void merge(const FusedItem& item) {
    set_rows(item);
    excluded_ = true;  // perhaps
    for (int p = 0; p < panels_; ++p) {
      for (std::int64_t split = 1; split < plan_.splits; ++split)
        kernels_.merge(panel_at(p, split), call_.exponent_scale(), panel_at(p));
      finish(p);
    }
  }

 private:
  static constexpr Real kLowest = -std::numeric_limits<Real>::infinity();
  // What is less is in a cache from before, or comes soon enough by itself: K and V of a head; Q
  // and the output. (Asking costs 1 to 2% where heads are short.)
  static constexpr double kCachedKeys = 256 << 10;
  static constexpr double kCachedRows = 16 << 20;

  // Of so many rows of K and V, or of Q and the output.
  double bytes(std::int64_t rows) const {
    return static_cast<double>(rows) *
           (static_cast<double>(problem_.head_dim) + static_cast<double>(problem_.head_dim_v)) *
           sizeof(T);
  }

  void set_rows(const FusedItem& item) {
    b_ = item.b;
    split_ = item.split;
    first_row_ = item.block * plan_.block_rows;
    first_state_ =
        ((b_ * plan_.head_sets + item.set) * plan_.blocks + item.block) * plan_.block_rows;
    rows_ = static_cast<int>(std::min(plan_.block_rows, plan_.rows - first_row_));
    panels_ = (rows_ + plan_.panel_rows - 1) / plan_.panel_rows;
    const std::int64_t head0 = item.set * plan_.heads_per_block;
    head_kv_ = problem_.head_kv(head0);
    band_ = variant_.band(problem_, b_);
    const ForwardTensors<T>& t = call_.tensors;
    std::int64_t h = head0 + first_row_ % plan_.heads_per_block;
    std::int64_t i = first_row_ / plan_.heads_per_block;
    for (int r = 0; r < rows_; ++r) {
      s_.head[r] = h;
      s_.query[r] = i;
      s_.visible[r] = band_.row(i);
      s_.query_row[r] = t.q.address(b_, h, i);
      s_.out_row[r] = t.out.address(b_, h, i);
      if (variant_.mask) s_.mask_row[r] = variant_.mask.address(b_, h, i, 0);
      if (variant_.bias) s_.bias_row[r] = variant_.bias.address(b_, h, i, 0);
      s_.slopes[r] = variant_.alibi ? variant_.alibi(b_, h) : Real{0};
      if (++h == head0 + plan_.heads_per_block) h = head0, ++i;
    }
    for (int r = rows_; r < panels_ * plan_.panel_rows; ++r) s_.slopes[r] = 0;
  }

  void start() {
    excluded_ = false;
    started_ = 0;
    for (int p = 0; p < panels_; ++p) {
      const Panel<Real> panel = panel_at(p);
      std::fill_n(panel.max, plan_.panel_rows, kLowest);
      std::fill_n(panel.sum, plan_.panel_rows, Real{0});
      std::fill_n(panel.met, plan_.panel_rows, Real{0});
    }
  }

  int rows_of(int panel) const {
    return std::min(plan_.panel_rows, rows_ - panel * plan_.panel_rows);
  }

  /// A panel, and its state over the keys of a split.
  Panel<Real> panel_at(int p, std::int64_t split) const {
    const std::int64_t row = std::int64_t{p} * plan_.panel_rows;
    Real* const out = call_.partial ? &call_.partial(split, first_state_ + row, 0)
                                    : s_.state + row * FusedScratch<T>::state_columns(problem_);
    Real* const max = out + plan_.panel_rows * problem_.head_dim_v;
    Real* const sum = max + plan_.panel_rows;
    return {plan_.panel_vectors,
            s_.queries + row * packed_depth(problem_.head_dim),
            out,
            max,
            sum,
            problem_.head_dim,
            problem_.head_dim_v,
            sum + plan_.panel_rows};
  }
  /// Over the item's keys.
  Panel<Real> panel_at(int p) const { return panel_at(p, split_); }

  TilePlace place_of(int p, const KeyRange& keys) const {
    const int row = p * plan_.panel_rows;
    return {b_,         s_.head + row, s_.query + row, rows_of(p), plan_.panel_rows,
            keys.begin, keys.size()};
  }

  /// All panels of the block on one tile of keys, which is converted for all of them together.
  void run_tile() {
    Operand k, v;
    for (int p = 0; p < panels_; ++p) {
      const std::int64_t* const query = s_.query + p * plan_.panel_rows;
      const KeyRange seen = band_.any(query[0], query[rows_of(p) - 1] + 1);
      const KeyRange keys = {std::max(tile_.begin, seen.begin / 32 * 32),
                             std::min(tile_.end, seen.end)};
      if (keys.empty()) continue;
      if (keys.end < tile_.end) excluded_ = true;  // a pair may reach past the panel's last key
      TilePlace place = place_of(p, keys);
      const Coverage coverage = look(p, place);
      if (coverage == Coverage::none) continue;
      note_met(p, place, coverage);
      if (k.data == nullptr) pack_tile(k, v);
      const std::int64_t skipped = keys.begin - tile_.begin;
      run_panel(p, place, coverage, k.from(skipped, 0), v.from(0, skipped / kernels_.step));
    }
  }

  /// Which rows of a panel are allowed some key of a tile.
  void note_met(int p, const TilePlace& place, Coverage coverage) {
    Real* const met = panel_at(p).met;
    if (coverage == Coverage::all) std::fill_n(met, place.rows, Real{1});
    if (coverage != Coverage::some) return;
    for (std::int64_t first = 0; first < place.keys; first += 32)
      for (int r = 0; r < place.rows; ++r)
        if (s_.allowed[first / 32 * place.width + r] != 0) met[r] = 1;
  }

  void pack_tile(Operand& k, Operand& v) {
    const View<const T, 4>& keys = call_.tensors.k;
    const View<const T, 4>& values = call_.tensors.v;
    k = kernels_.pack_keys({keys.address(b_, head_kv_, tile_.begin), keys.stride(2), keys.stride(3),
                            tile_.size(), problem_.head_dim},
                           s_.keys);
    v = kernels_.pack_values({values.address(b_, head_kv_, tile_.begin), values.stride(2),
                              values.stride(3), tile_.size(), problem_.head_dim_v},
                             s_.values);
  }

  /// Which keys the lanes of a panel see; fills the bits where that has to be looked at, and cuts
  /// off keys at the end that no lane sees.
  Coverage look(int p, TilePlace& place) {
    const std::int64_t* const query = place.query;
    const KeyRange inside = band_.all(query[0], query[place.rows - 1] + 1);
    const bool by_position =
        place.first_key < inside.begin || place.first_key + place.keys > inside.end;
    if (!by_position && !variant_.mask && call_.hooks.mask == nullptr) return Coverage::all;
    TileMask mask;
    if (by_position) mask.visible = s_.visible + p * plan_.panel_rows;
    if (variant_.mask) {
      mask.mask_row = s_.mask_row + p * plan_.panel_rows;
      mask.mask_stride = variant_.mask.stride(3);
      mask.same_row = variant_.mask.stride(1) == 0 && variant_.mask.stride(2) == 0;
    }
    const std::int64_t keys = place.keys;
    const Coverage coverage = fill_bits(mask, place, kernels_.mask_words, call_.hooks, s_.allowed);
    if (coverage != Coverage::all || place.keys < keys) excluded_ = true;
    return coverage;
  }

  void run_panel(int p, const TilePlace& place, Coverage coverage, const Operand& k,
                 const Operand& v) {
    const Panel<Real> panel = panel_at(p);
    if (!has_started(p))
      kernels_.pack_queries({s_.query_row + p * plan_.panel_rows, call_.tensors.q.stride(3),
                             rows_of(p), problem_.head_dim},
                            call_.query_factor(), panel);
    Tile<Real> tile;
    tile.first = !has_started(p);
    tile.keys = place.keys;
    tile.k = k;
    tile.v = v;
    tile.scores = s_.scores;
    tile.probabilities = s_.probabilities;
    tile.exponent_scale = call_.exponent_scale();
    tile.allowed = coverage == Coverage::all ? nullptr : s_.allowed;

    std::optional<Requests> ahead;
    if (asks_for_keys_ || asks_for_rows_ || variant_.mask || variant_.bias) {
      ahead = requests_of(p, place);
      if (*ahead) tile.ahead = &*ahead;
    }
    ScoreChange<Real> change;
    const bool far = variant_.alibi && !set_distances(band_, place, s_.distance);
    if (coverage == Coverage::all && !far && call_.hooks.score == nullptr) tile.top = s_.top;
    if (variant_.changes_score()) {
      change = change_of(p, place, far);
      tile.change = &change;
    }
    LaneDropout dropout;
    if (variant_.dropout.active()) {
      dropout = lane_dropout(problem_, variant_.dropout, place, s_.counter_low, s_.counter_high);
      tile.dropout = &dropout;
    }
    kernels_.scores(tile, panel);
    if (far) add_far_alibi(variant_, band_, place, s_.scores);
    if (call_.hooks.score != nullptr)
      call_.hooks.score(call_.hooks.variant, place,
                        {.scores = s_.scores,
                         .scale = tile.change == nullptr ? variant_.scale : 1,
                         .allowed = tile.allowed});
    started_ |= std::uint64_t{1} << p;
    kernels_.accumulate(tile, panel);
  }

  /// What is asked for while a panel's products run: its bias; the mask of the next panel, of this
  /// tile of keys or of the next one; its share of the next tile; the next panel's queries, and its
  /// own outputs, where these are packed and written soon.
  Requests requests_of(int p, const TilePlace& place) const {
    const int next = p + 1 < panels_ ? p + 1 : 0;
    const KeyRange next_tile = {tile_.end, std::min(tile_.end + plan_.key_tile, keys_end_)};
    const bool packs_next = asks_for_rows_ && next > 0 && !has_started(next);
    const bool ends = asks_for_rows_ && next_tile.empty() && !call_.partial;
    const auto lanes = [&]<class M>(const View<M, 4>& view, M* const* row, int panel,
                                    const KeyRange& columns) {
      if (!view || view.stride(3) != 1) return WantedRows();
      return WantedRows(row + panel * plan_.panel_rows, view.stride(2) == 0 ? 1 : rows_of(panel),
                        columns.begin, columns.end);
    };
    const auto share = [&](const View<const T, 4>& view) {
      if (!asks_for_keys_ || view.stride(3) != 1 || next_tile.empty()) return WantedRows();
      const std::int64_t first = next_tile.begin + next_tile.size() * p / panels_;
      const std::int64_t last = next_tile.begin + next_tile.size() * (p + 1) / panels_;
      return WantedRows(view.address(b_, head_kv_, first), view.stride(2), last - first,
                        view.extent(3));
    };
    const ForwardTensors<T>& t = call_.tensors;
    const KeyRange keys = {place.first_key, place.first_key + place.keys};
    return {{lanes(variant_.bias, s_.bias_row, p, keys),
             lanes(variant_.mask, s_.mask_row, next, next > 0 ? tile_ : next_tile),
             lanes(t.q, s_.query_row, next, {0, packs_next ? problem_.head_dim : 0}), share(t.k),
             share(t.v), lanes(t.out, s_.out_row, p, {0, ends ? problem_.head_dim_v : 0})},
            place.keys};
  }

  /// Whether the output of a panel has been written.
  bool has_started(int p) const { return (started_ >> p & 1) != 0; }

  ScoreChange<Real> change_of(int p, const TilePlace& place, bool far) {
    ScoreChange<Real> change;
    change.scale = variant_.scale;
    change.softcap = variant_.softcap;
    if (variant_.bias) {
      excluded_ = true;
      const std::int64_t stride = variant_.bias.stride(3);
      const Real** const row = s_.bias_row + p * plan_.panel_rows;
      for (int r = 0; r < place.rows; ++r) s_.bias_from[r] = row[r] + place.first_key * stride;
      change.bias = {s_.bias_from, stride, place.rows, place.keys};
    }
    if (variant_.alibi && !far) {
      change.slopes = s_.slopes + p * plan_.panel_rows;
      change.distance = s_.distance;
    }
    return change;
  }

  /// What each row's sum of values is multiplied by; writes the log-sum-exp where it is wanted.
  void set_factors(int p, const Panel<Real>& panel) {
    // Worth a loop of its own where rows are short; rounded as `row_end` does.
    if (!variant_.sink && !call_.tensors.lse) {
      const auto keep = static_cast<Real>(variant_.dropout.keep_scale);
      for (int r = 0; r < plan_.panel_rows; ++r)
        s_.factor[r] = 1 / (panel.sum[r] == 0 ? Real{1} : panel.sum[r]) * keep;
      return;
    }
    std::fill_n(s_.factor, plan_.panel_rows, Real{0});
    for (int r = 0; r < rows_of(p); ++r) {
      const int row = p * plan_.panel_rows + r;
      const RowEnd<Real> end = row_end(call_, b_, s_.head[row], panel.max[r], panel.sum[r]);
      s_.factor[r] = end.factor;
      if (call_.tensors.lse) call_.tensors.lse(b_, s_.head[row], s_.query[row]) = end.state.lse();
    }
  }

  /// Divides by the sums, the sink's share included, and writes a panel's rows.
  void finish(int p) {
    const Panel<Real> panel = panel_at(p);
    const int row = p * plan_.panel_rows;
    set_factors(p, panel);
    kernels_.store(panel, s_.factor,
                   {s_.out_row + row, call_.tensors.out.stride(3), rows_of(p), problem_.head_dim_v},
                   s_.check);
    const bool gives_zero = variant_.empty_row == EmptyRow::zero;
    for (int r = 0; r < rows_of(p); ++r) {
      const bool finite = s_.check[r] == 0;
      if (gives_zero && finite && panel.met[r] == 0) continue;  // as was written
      if (std::isinf(panel.max[r] * call_.late_scale()) ||
          (!finite && (excluded_ || overflows(panel, r))))
        call_.hooks.exact_row(problem_, call_.hooks.variant, call_.tensors,
                              {b_, s_.head[row + r], s_.query[row + r], 0}, mean_);
    }
  }

  /// Whether an element of a row is not finite though all probabilities and values are that it is
  /// the sum of.
  bool overflows(const Panel<Real>& panel, int row) {
    if (!std::isfinite(panel.sum[row])) return false;
    const std::vector<bool>& finite =
        finite_columns_.of(call_.tensors.v, b_, head_kv_, band_.length());
    for (std::int64_t c = 0; c < panel.depth_v; ++c)
      if (finite[static_cast<std::size_t>(c)] &&
          !std::isfinite(panel.out[c * plan_.panel_rows + row]))
        return true;
    return false;
  }

  const FusedCall<T>& call_;
  const Problem& problem_;
  const Variant<Real>& variant_;
  const Kernels<T>& kernels_;
  const FusedPlan& plan_;
  const bool asks_for_keys_;
  const bool asks_for_rows_;
  FusedScratch<T> s_;

  std::int64_t b_ = 0;
  std::int64_t split_ = 0;
  std::int64_t head_kv_ = 0;
  std::int64_t first_row_ = 0;    // of the head set
  std::int64_t first_state_ = 0;  // among the partial results of a split
  int rows_ = 0;
  int panels_ = 0;
  KeyRange tile_{};            // of keys
  std::int64_t keys_end_ = 0;  // of the item
  bool excluded_ = false;
  std::uint64_t started_ = 0;  // bits of panels
  KeyBand band_{0, 0, {}};
  ValueMean<Real> mean_;
  FiniteColumns finite_columns_;
};

}  // namespace attend::cpu
