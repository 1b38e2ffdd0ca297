#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "../core/backward_tensors.hpp"
#include "../core/softmax_state.hpp"
#include "../core/variant.hpp"
#include "engine/gradient_kernels.hpp"
#include "fused_gradient_hooks.hpp"
#include "fused_gradient_plan.hpp"
#include "fused_gradient_scratch.hpp"
#include "fused_mask.hpp"
#include "lane_inputs.hpp"

/// @file
/// One chunk of the fused path's backward pass: tile by tile of keys, panel by panel of queries,
/// probabilities are computed anew from q, k and the log-sum-exp.

namespace attend::cpu {

/// One call of the backward pass: what all of its chunks read.
template <class T>
struct FusedGradientCall {
  /// Type of scores.
  using Real = RealOf<T>;

  const Problem& problem;              ///< sizes
  const Variant<Real>& variant;        ///< without the user's functions
  const FusedGradientHooks<T>& hooks;  ///< the user's functions
  const BackwardTensors<T>& tensors;   ///< inputs and outputs
  const QueryStates<Real>& states;     ///< of every row
  const GradientKernels<T>& kernels;   ///< the engine
  const FusedGradientPlan& plan;       ///< the pieces
  Real* dq;                            ///< dQ^T: (chunk, b, h, panel, head_dim, lane)
  SoftmaxState<Real>* measured;        ///< (b h i), of the distrusted rows; null: there are none

  /// dQ^T of a head's panels, as one chunk adds it up.
  Real* dq_of(std::int64_t chunk, std::int64_t b, std::int64_t h) const {
    return dq + ((chunk * problem.batch + b) * problem.heads + h) * plan.padded_rows() *
                    problem.head_dim;
  }
  /// Whether a row's maximum and sum have to be taken anew.
  bool is_distrusted(std::int64_t b, std::int64_t h, std::int64_t i) const {
    return beyond(tensors.lse(b, h, i), trusted_lse<T>(problem));
  }
  /// What they are then.
  SoftmaxState<Real>& measured_row(std::int64_t b, std::int64_t h, std::int64_t i) const {
    return measured[(b * problem.heads + h) * problem.len_q + i];
  }
  /// Whether scores need more than a factor above 0 before the user's function and the softmax.
  bool changes_scores() const { return variant.changes_score() || !(variant.scale > 0); }
  /// Whether a row that is not finite may be so because of a pair that is excluded, or of a lane
  /// that is no query.
  bool excludes() const {
    return problem.len_q < plan.padded_rows() || variant.excludes_beyond_position() ||
           hooks.mask != nullptr || variant.causal || variant.window.left >= 0 ||
           variant.window.right >= 0 || variant.key_lengths;
  }
};

/// Computes one chunk at a time in a thread's scratch memory.
template <class T>
class FusedGradientChunk {
 public:
  /// Type of scores.
  using Real = RealOf<T>;

  /// A call's worker on one thread.
  FusedGradientChunk(const FusedGradientCall<T>& call, FusedGradientScratch<T>& scratch)
      : call_(call),
        problem_(call.problem),
        variant_(call.variant),
        kernels_(call.kernels),
        plan_(call.plan),
        s_(scratch) {}

  /// Takes the maxima and sums of a head's rows anew, where their log-sum-exps say too little.
  void measure(std::int64_t b, std::int64_t h) {
    b_ = b, h_ = h, head_kv_ = problem_.head_kv(h);
    dq_ = call_.dq_of(0, b, h);
    band_ = variant_.band(problem_, b);
    for (std::int64_t p = 0; p < plan_.panels; ++p) {
      find_measured(p);
      if (s_.measured[p]) measure_panel(p);
    }
  }

  /// Computes dk and dv of the chunk's keys, and what it gives to dq of the heads that read them.
  void run(std::int64_t b, std::int64_t h_kv, std::int64_t chunk) {
    b_ = b;
    head_kv_ = h_kv;
    band_ = variant_.band(problem_, b);
    first_key_ = chunk * plan_.chunk_keys;
    end_key_ = std::min(first_key_ + plan_.chunk_keys, problem_.len_k);
    std::fill_n(s_.dk, plan_.columns.size(plan_.chunk_keys), Real{0});
    std::fill_n(s_.dv, plan_.columns_v.size(plan_.chunk_keys), Real{0});
    for (h_ = h_kv * problem_.group(); h_ < (h_kv + 1) * problem_.group(); ++h_) {
      dq_ = call_.dq_of(chunk, b, h_);
      std::fill_n(dq_, plan_.padded_rows() * problem_.head_dim, Real{0});
      const std::int64_t end = std::min(end_key_, band_.length());
      if (first_key_ >= end || plan_.panels == 0) continue;
      pack_head();
      for (std::int64_t tile = first_key_; tile < end; tile += plan_.key_tile)
        run_tile({tile, std::min(tile + plan_.key_tile, end)});
      if (variant_.empty_row == EmptyRow::uniform) add_uniform(end);
    }
    write(s_.dk, plan_.columns, call_.tensors.dk, call_.hooks.dk_row);
    write(s_.dv, plan_.columns_v, call_.tensors.dv, call_.hooks.dv_row);
  }

 private:
  static constexpr Real kLowest = -std::numeric_limits<Real>::infinity();

  int rows_of(std::int64_t panel) const {
    return static_cast<int>(
        std::min<std::int64_t>(plan_.panel_rows, problem_.len_q - panel * plan_.panel_rows));
  }

  /// Q and dO of the head in both forms, and what is known of its rows.
  void pack_head() {
    const RowGradient<Real>* const state = call_.states.head(b_, h_);
    for (std::int64_t i = 0; i < problem_.len_q; ++i) {
      s_.minus_shift[i] = -state[i].shift;
      s_.factor[i] = state[i].factor;
      s_.delta[i] = state[i].delta;
    }
    for (std::int64_t i = problem_.len_q; i < plan_.padded_rows(); ++i) {
      s_.minus_shift[i] = kLowest;  // lanes that are no queries weigh nothing, whatever they score
      s_.factor[i] = s_.delta[i] = 0;
    }
    pack(call_.tensors.q, plan_.columns, s_.queries, s_.query_rows);
    pack(call_.tensors.grad_out, plan_.columns_v, s_.grads, s_.grad_rows);
    for (std::int64_t p = 0; p < plan_.panels; ++p) {
      find_measured(p);
      if (!s_.measured[p]) continue;
      for (std::int64_t i = p * plan_.panel_rows; i < p * plan_.panel_rows + rows_of(p); ++i) {
        if (!call_.is_distrusted(b_, h_, i)) continue;
        const SoftmaxState<Real>& measured = call_.measured_row(b_, h_, i);
        s_.minus_shift[i] = -measured.max;
        s_.factor[i] = 1 / measured.sum;
      }
    }
  }

  /// Notes whether a panel has rows whose maximum and sum are taken anew.
  void find_measured(std::int64_t p) {
    s_.measured[p] = false;
    for (int r = 0; r < rows_of(p); ++r)
      s_.measured[p] |= call_.is_distrusted(b_, h_, p * plan_.panel_rows + r);
  }

  /// Takes the greatest logit and the sum of a panel's rows from the very logits that gradients are
  /// then computed from.
  void measure_panel(std::int64_t p) {
    const std::int64_t first = p * plan_.panel_rows;
    pack_panel(call_.tensors.q, p, s_.queries);
    std::fill_n(s_.row_max, plan_.panel_rows, kLowest);
    std::fill_n(s_.row_sum, plan_.panel_rows, Real{0});
    const KeyRange seen = band_.any(first, first + rows_of(p));
    for (std::int64_t begin = seen.begin / 32 * 32; begin < seen.end; begin += plan_.key_tile) {
      const KeyRange keys{begin, std::min(begin + plan_.key_tile, seen.end)};
      TilePlace place = place_of(p, keys);
      const Coverage coverage = look(place);
      if (coverage == Coverage::none) continue;
      const Operand k = kernels_.pack_keys(key_tile(call_.tensors.k, keys), s_.keys);
      GradientTile<Real> tile;
      ScoreChange<Real> change;
      score(p, place, coverage, k, tile, change);
      tile.gradient_pairs = s_.gradient_pairs;
      kernels_.measure(tile, plan_.panel_vectors, s_.row_max, s_.row_sum);
    }
    const Real sink = variant_.sink_logit(b_, h_);
    for (int r = 0; r < rows_of(p); ++r) {
      const SoftmaxState<Real> state{s_.row_max[r], s_.row_sum[r]};
      call_.measured_row(b_, h_, first + r) = sink == kLowest ? state : state.with(sink);
    }
  }

  void pack(const View<const T, 4>& from, const ColumnBlocks& columns, Real* transposed,
            Real* rows) {
    for (std::int64_t p = 0; p < plan_.panels; ++p) {
      const Rows<const T> source = pack_panel(from, p, transposed);
      kernels_.pack_rows(source, plan_.panel_rows, columns,
                         rows + columns.size(p * plan_.panel_rows));
    }
  }
  Rows<const T> pack_panel(const View<const T, 4>& from, std::int64_t p, Real* transposed) {
    const std::int64_t first = p * plan_.panel_rows;
    for (int r = 0; r < rows_of(p); ++r) s_.row[r] = from.address(b_, h_, first + r);
    const Rows<const T> source{s_.row, from.stride(3), rows_of(p), from.extent(3)};
    kernels_.pack_columns(source, transposed + first * from.extent(3), plan_.panel_vectors);
    return source;
  }

  GradientPanel<Real> panel_at(std::int64_t p) const {
    const std::int64_t row = p * plan_.panel_rows;
    return {plan_.panel_vectors,
            rows_of(p),
            s_.queries + row * problem_.head_dim,
            s_.grads + row * problem_.head_dim_v,
            s_.query_rows + plan_.columns.size(row),
            s_.grad_rows + plan_.columns_v.size(row),
            s_.minus_shift + row,
            s_.factor + row,
            s_.delta + row,
            dq_ + row * problem_.head_dim,
            problem_.head_dim,
            problem_.head_dim_v};
  }

  KeyTile<T> key_tile(const View<const T, 4>& from, const KeyRange& keys) const {
    return {from.address(b_, head_kv_, keys.begin), from.stride(2), from.stride(3), keys.size(),
            from.extent(3)};
  }

  /// All panels of the head on one tile of keys, which is converted for all of them together.
  void run_tile(const KeyRange& tile) {
    Operand k, k_columns, v;
    for (std::int64_t p = 0; p < plan_.panels; ++p) {
      const std::int64_t first = p * plan_.panel_rows;
      const KeyRange seen = band_.any(first, first + rows_of(p));
      const KeyRange keys = {std::max(tile.begin, seen.begin / 32 * 32),
                             std::min(tile.end, seen.end)};
      if (keys.empty()) continue;
      TilePlace place = place_of(p, keys);
      const Coverage coverage = look(place);
      if (coverage == Coverage::none) continue;
      if (k.data == nullptr) {
        k = kernels_.pack_keys(key_tile(call_.tensors.k, tile), s_.keys);
        k_columns = kernels_.pack_key_columns(key_tile(call_.tensors.k, tile), k, s_.key_columns);
        v = kernels_.pack_keys(key_tile(call_.tensors.v, tile), s_.values);
      }
      const std::int64_t skipped = keys.begin - tile.begin;
      Requests ahead = requests_after(p, tile, place);
      run_panel(p, place, coverage, k.from(skipped, 0), k_columns.from(0, skipped / kernels_.step),
                v.from(skipped, 0), ahead);
    }
  }

  TilePlace place_of(std::int64_t p, const KeyRange& keys) {
    for (int r = 0; r < rows_of(p); ++r) {
      s_.head[r] = h_;
      s_.query[r] = p * plan_.panel_rows + r;
    }
    return {b_, s_.head, s_.query, rows_of(p), plan_.panel_rows, keys.begin, keys.size()};
  }

  /// Which keys the lanes of a panel see; fills the bits where that has to be looked at, and cuts
  /// off keys at the end that no lane sees.
  Coverage look(TilePlace& place) {
    const std::int64_t first = place.query[0];
    const KeyRange inside = band_.all(first, first + place.rows);
    const bool by_position =
        place.first_key < inside.begin || place.first_key + place.keys > inside.end;
    if (!by_position && !variant_.mask && call_.hooks.mask == nullptr) return Coverage::all;
    TileMask mask;
    if (by_position) {
      for (int r = 0; r < place.rows; ++r) s_.visible[r] = band_.row(place.query[r]);
      mask.visible = s_.visible;
    }
    if (variant_.mask) {
      for (int r = 0; r < place.rows; ++r)
        s_.mask_row[r] = variant_.mask.address(b_, h_, place.query[r], 0);
      mask.mask_row = s_.mask_row;
      mask.mask_stride = variant_.mask.stride(3);
      mask.same_row = variant_.mask.stride(2) == 0;
    }
    return fill_bits(mask, place, kernels_.mask_words, call_.hooks, s_.allowed);
  }

  /// A tile's scores: products where these times a scale are the logits, else logits; and logits
  /// of rows whose maximum is one of them, which nothing may round again.
  void score(std::int64_t p, const TilePlace& place, Coverage coverage, const Operand& k,
             GradientTile<Real>& tile, ScoreChange<Real>& change) {
    tile.keys = place.keys;
    tile.k = k;
    tile.scores = s_.scores;
    tile.scale = variant_.scale;
    tile.allowed = coverage == Coverage::all ? nullptr : s_.allowed;
    bool far = false;
    if (call_.changes_scores() || s_.measured[p]) {
      far = variant_.alibi && !set_distances(band_, place, s_.distance);
      change = change_of(place, far);
      tile.change = &change;
      if (variant_.softcap > 0) tile.slopes = s_.slopes;
    }
    kernels_.scores(tile, panel_at(p));
    tile.late_scale = tile.change == nullptr ? variant_.scale : 1;
    if (far) add_far_alibi(variant_, band_, place, s_.scores);
    if (call_.hooks.score == nullptr) return;
    call_.hooks.score(call_.hooks.variant, place,
                      {.scores = s_.scores,
                       .scale = tile.late_scale,
                       .allowed = tile.allowed,
                       .slopes = s_.slopes,
                       .inner_slope = tile.scale,
                       .inner_slopes = tile.slopes});
    tile.late_scale = 1;
    tile.slopes = s_.slopes;
  }

  /// What the panel after p reads of mask and bias, in this tile of keys or in the next one.
  Requests requests_after(std::int64_t p, const KeyRange& tile, const TilePlace& place) {
    const std::int64_t panel = p + 1 < plan_.panels ? p + 1 : 0;
    const std::int64_t begin = panel > 0 ? tile.begin : tile.end;
    const std::int64_t end = std::min({begin + plan_.key_tile, end_key_, band_.length()});
    const auto rows = [&]<class M>(const View<const M, 4>& view, const M** row) {
      if (!view || view.stride(3) != 1 || begin >= end) return WantedRows();
      const int count = view.stride(2) == 0 ? 1 : rows_of(panel);
      for (int r = 0; r < count; ++r)
        row[r] = view.address(b_, h_, panel * plan_.panel_rows + r, 0);
      return WantedRows(row, count, begin, end);
    };
    const std::int64_t products = place.keys * (2 + plan_.columns.blocks + plan_.columns_v.blocks);
    return {{rows(variant_.mask, s_.next_mask_row), rows(variant_.bias, s_.next_bias_row)},
            products + problem_.head_dim};
  }

  void run_panel(std::int64_t p, const TilePlace& place, Coverage coverage, const Operand& k,
                 const Operand& k_columns, const Operand& v, Requests& ahead) {
    GradientTile<Real> tile;
    ScoreChange<Real> change;
    if (ahead) tile.ahead = &ahead;
    score(p, place, coverage, k, tile, change);
    tile.k_columns = k_columns;
    tile.v = v;
    tile.gradients = s_.gradients;
    tile.gradient_pairs = s_.gradient_pairs;
    tile.rows = plan_.chunk_keys;
    tile.dk = s_.dk + (place.first_key - first_key_) * plan_.columns.width;
    tile.dv = s_.dv + (place.first_key - first_key_) * plan_.columns_v.width;
    LaneDropout dropout;
    if (variant_.dropout.active()) {
      dropout = lane_dropout(problem_, variant_.dropout, place, s_.counter_low, s_.counter_high);
      tile.dropout = &dropout;
      tile.keep = s_.keep;
      tile.keep_scale = static_cast<Real>(variant_.dropout.keep_scale);
    }
    kernels_.accumulate(tile, panel_at(p), plan_.columns, plan_.columns_v);
  }

  ScoreChange<Real> change_of(const TilePlace& place, bool far) {
    ScoreChange<Real> change;
    change.scale = variant_.scale;
    change.softcap = variant_.softcap;
    if (variant_.bias) {
      for (int r = 0; r < place.rows; ++r)
        s_.bias_row[r] = variant_.bias.address(b_, h_, place.query[r], place.first_key);
      change.bias = {s_.bias_row, variant_.bias.stride(3), place.rows, place.keys};
    }
    if (variant_.alibi && !far) {
      std::fill_n(s_.alibi_slopes, plan_.panel_rows, variant_.alibi(b_, h_));
      change.slopes = s_.alibi_slopes;
      change.distance = s_.distance;
    }
    return change;
  }

  /// Rows that gave the mean of v give v's gradient to all keys alike.
  void add_uniform(std::int64_t end) {
    const Dropout& dropout = variant_.dropout;
    std::vector<Real> row(static_cast<std::size_t>(problem_.head_dim_v), Real{0});
    const auto add = [&](std::int64_t j, Real weight) {
      for (std::int64_t c = 0; c < problem_.head_dim_v; ++c)
        element(s_.dv, plan_.columns_v, j - first_key_, c) +=
            weight * row[static_cast<std::size_t>(c)];
    };
    bool any = false;
    for (std::int64_t i = 0; i < problem_.len_q; ++i) {
      const Real uniform = call_.states.head(b_, h_)[i].uniform;
      if (uniform == 0) continue;
      any = true;
      for (std::int64_t c = 0; c < problem_.head_dim_v; ++c) {
        const Real x = uniform * static_cast<Real>(call_.tensors.grad_out(b_, h_, i, c));
        Real& sum = row[static_cast<std::size_t>(c)];
        sum = dropout.active() ? x : sum + x;  // each row drops other keys
      }
      if (!dropout.active()) continue;
      const std::uint64_t counter = dropout.row_counter(problem_, b_, h_, i);
      for (std::int64_t j = first_key_; j < end; ++j)
        add(j, static_cast<Real>(dropout.factor(counter, j)));
    }
    if (dropout.active() || !any) return;
    for (std::int64_t j = first_key_; j < end; ++j) add(j, 1);
  }

  Real& element(Real* blocks, const ColumnBlocks& columns, std::int64_t row,
                std::int64_t column) const {
    return blocks[(column / columns.width * plan_.chunk_keys + row) * columns.width +
                  column % columns.width];
  }

  /// Writes the chunk's rows of a gradient; those that are not finite by the definition.
  template <class ExactRow>
  void write(Real* blocks, const ColumnBlocks& columns, const View<T, 4>& to, ExactRow exact_row) {
    const std::int64_t width = to.extent(3);
    for (std::int64_t j = first_key_; j < end_key_; ++j) {
      const Real check =
          kernels_.store_row(blocks + (j - first_key_) * columns.width, plan_.chunk_keys, columns,
                             to.address(b_, head_kv_, j), to.stride(3), width);
      if (check == 0 || !call_.excludes()) continue;
      const std::vector<Real> exact = exact_row(call_.hooks.call, b_, head_kv_, j);
      for (std::int64_t c = 0; c < width; ++c)
        to(b_, head_kv_, j, c) = static_cast<T>(exact[static_cast<std::size_t>(c)]);
    }
  }

  const FusedGradientCall<T>& call_;
  const Problem& problem_;
  const Variant<Real>& variant_;
  const GradientKernels<T>& kernels_;
  const FusedGradientPlan& plan_;
  FusedGradientScratch<T>& s_;

  std::int64_t b_ = 0;
  std::int64_t h_ = 0;
  std::int64_t head_kv_ = 0;
  std::int64_t first_key_ = 0;
  std::int64_t end_key_ = 0;
  Real* dq_ = nullptr;
  KeyBand band_{0, 0, {}};
};

}  // namespace attend::cpu
