#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "fused_call.hpp"
#include "fused_mask.hpp"
#include "fused_row_end.hpp"

/// @file
/// Decoding in the fused path: a few rows against many keys. Computes the same as `FusedBlock`,
/// in the engine's form for few rows; its partial results are rows.

namespace attend::cpu {

/// Whether a problem takes this form: few rows, columns side by side, and nothing but exclusion
/// between the scores and the softmax.
template <class T>
bool is_few_rows(const FusedCall<T>& call) {
  return call.plan.rows <= call.kernels.tuning.few_rows && !call.changes_scores() &&
         !call.variant.dropout.active() && call.tensors.k.stride(3) == 1 &&
         call.tensors.v.stride(3) == 1;
}

/// Computes the rows of one head set on one split of the keys, at a time.
template <class T>
class FusedRows {
 public:
  /// Type of scores.
  using Real = RealOf<T>;

  /// Allocates what one item needs: a few rows.
  explicit FusedRows(const FusedCall<T>& call)
      : call_(call),
        query_stride_(padded(call.problem.head_dim)),
        out_stride_(padded(call.problem.head_dim_v)) {
    const auto rows = static_cast<std::size_t>(call.plan.rows);
    queries_.resize(rows * static_cast<std::size_t>(query_stride_));
    out_.resize(rows * static_cast<std::size_t>(out_stride_));
    scores_.resize(rows * static_cast<std::size_t>(kRowTileKeys));
    max_.resize(rows);
    sum_.resize(rows * static_cast<std::size_t>(lanes()));
    for (std::vector<std::int64_t>* v : {&head_, &query_}) v->resize(rows);
    visible_.resize(rows);
    mask_row_.resize(rows);
    allowed_.resize(rows * static_cast<std::size_t>(kRowTileKeys / 32));
  }

  /// Sizes of the partial results: each row's output, maximum and sum.
  static Extents<3> partial_extents(const Problem& problem, const FusedPlan& plan) {
    return {plan.splits, problem.batch * plan.head_sets * plan.rows, problem.head_dim_v + 2};
  }

  /// Writes the partial result of an item (its block is 0).
  void run(const FusedItem& item) {
    start(item);
    const KeyBand band = call_.variant.band(call_.problem, item.b);
    const KeyRange seen = band.any(0, call_.problem.len_q);
    const KeyRange inside = band.all(0, call_.problem.len_q);
    const std::int64_t split = item.split * call_.plan.split_keys;
    const std::int64_t begin = std::max(seen.begin, split);
    const std::int64_t end = std::min(seen.end, split + call_.plan.split_keys);
    for (std::int64_t tile = begin / kRowTileKeys * kRowTileKeys; tile < end;
         tile += kRowTileKeys) {
      const KeyRange keys = {std::max(tile, begin / 32 * 32), std::min(tile + kRowTileKeys, end)};
      run_tile(item, keys, keys.begin < inside.begin || keys.end > inside.end);
    }
    write(item);
  }

  /// Merges the partial results of an item's rows, split by split, and writes the rows.
  void merge(const FusedItem& item) {
    for (std::int64_t row = 0; row < rows(); ++row) merge_row(item, row);
  }

 private:
  static std::int64_t padded(std::int64_t columns) { return (columns + 31) / 32 * 32; }
  int lanes() const { return call_.kernels.tuning.lanes; }
  int rows() const { return static_cast<int>(call_.plan.rows); }

  void start(const FusedItem& item) {
    const std::int64_t depth = call_.problem.head_dim;
    std::fill(queries_.begin(), queries_.end(), Real{0});
    std::fill(out_.begin(), out_.end(), Real{0});
    std::fill(max_.begin(), max_.end(), -std::numeric_limits<Real>::infinity());
    std::fill(sum_.begin(), sum_.end(), Real{0});
    const std::int64_t head0 = item.set * call_.plan.heads_per_block;
    const KeyBand band = call_.variant.band(call_.problem, item.b);
    for (int r = 0; r < rows(); ++r) {
      const auto n = static_cast<std::size_t>(r);
      head_[n] = head0 + r % call_.plan.heads_per_block;
      query_[n] = r / call_.plan.heads_per_block;
      visible_[n] = band.row(query_[n]);
      if (call_.variant.mask)
        mask_row_[n] = call_.variant.mask.address(item.b, head_[n], query_[n], 0);
      Real* const to = queries_.data() + r * query_stride_;
      for (std::int64_t c = 0; c < depth; ++c)
        to[c] = static_cast<Real>(call_.tensors.q(item.b, head_[n], query_[n], c)) *
                call_.query_factor();
    }
  }

  void run_tile(const FusedItem& item, const KeyRange& keys, bool by_position) {
    TilePlace place{item.b, head_.data(), query_.data(), rows(), rows(), keys.begin, keys.size()};
    TileMask mask;
    if (by_position) mask.visible = visible_.data();
    if (call_.variant.mask) {
      mask.mask_row = mask_row_.data();
      mask.mask_stride = call_.variant.mask.stride(3);
      mask.same_row = call_.variant.mask.stride(1) == 0 && call_.variant.mask.stride(2) == 0;
    }
    Coverage coverage = Coverage::all;
    if (by_position || call_.variant.mask || call_.hooks.mask != nullptr)
      coverage = fill_bits(mask, place, call_.kernels.mask_words, call_.hooks, allowed_.data());
    if (coverage == Coverage::none) return;
    const std::int64_t h_kv = call_.problem.head_kv(head_[0]);
    const View<const T, 4>& k = call_.tensors.k;
    const View<const T, 4>& v = call_.tensors.v;
    RowTile<T> tile{
        {k.address(item.b, h_kv, keys.begin, 0), k.stride(2), 1, place.keys, k.extent(3)},
        {v.address(item.b, h_kv, keys.begin, 0), v.stride(2), 1, place.keys, v.extent(3)},
        scores_.data(),
        call_.exponent_scale(),
        coverage == Coverage::all ? nullptr : allowed_.data()};
    call_.kernels.attend_rows(tile, {rows(), queries_.data(), query_stride_, out_.data(),
                                     out_stride_, max_.data(), sum_.data()});
  }

  void write(const FusedItem& item) const {
    const std::int64_t depth = call_.problem.head_dim_v;
    for (int r = 0; r < rows(); ++r) {
      const auto n = static_cast<std::size_t>(r);
      Real* const to = &call_.partial(item.split, first_row(item) + r, 0);
      std::copy_n(out_.data() + r * out_stride_, depth, to);
      to[depth] = max_[n];
      const auto shares = sum_.begin() + r * lanes();
      to[depth + 1] = std::accumulate(shares, shares + lanes(), Real{0});
    }
  }

  void merge_row(const FusedItem& item, std::int64_t row) {
    const std::int64_t depth = call_.problem.head_dim_v;
    const std::int64_t h = item.set * call_.plan.heads_per_block + row % call_.plan.heads_per_block;
    const std::int64_t i = row / call_.plan.heads_per_block;
    const std::int64_t at = first_row(item) + row;
    // Maxima are in units of raw products; exponents are not.
    const Real scale = call_.late_scale();
    const auto weight = [&](Real max, Real top) {
      return max == top ? Real{1} : normal_or_zero(std::exp((max - top) * scale));
    };
    Real top = -std::numeric_limits<Real>::infinity();
    for (std::int64_t split = 0; split < call_.plan.splits; ++split)
      top = std::max(top, call_.partial(split, at, depth));
    Real sum = 0;
    std::fill_n(out_.begin(), depth, Real{0});
    for (std::int64_t split = 0; split < call_.plan.splits; ++split) {
      const Real* const from = &call_.partial(split, at, 0);
      // An empty split has sum 0 and weight 0.
      const Real w = from[depth + 1] == 0 ? Real{0} : weight(from[depth], top);
      sum += w * from[depth + 1];
      for (std::int64_t c = 0; c < depth; ++c) out_[static_cast<std::size_t>(c)] += w * from[c];
    }
    const RowEnd<Real> end = row_end(call_, item.b, h, top, sum);
    Real check = 0;
    for (std::int64_t c = 0; c < depth; ++c) {
      const Real value = out_[static_cast<std::size_t>(c)] * end.factor;
      check += value * 0;
      call_.tensors.out(item.b, h, i, c) = static_cast<T>(value);
    }
    if (call_.tensors.lse) call_.tensors.lse(item.b, h, i) = end.state.lse();
    if (check != 0 || std::isinf(top * scale))
      call_.hooks.exact_row(call_.problem, call_.hooks.variant, call_.tensors, {item.b, h, i, 0},
                            mean_);
  }

  /// Of an item, among the partial results of a split.
  std::int64_t first_row(const FusedItem& item) const {
    return (item.b * call_.plan.head_sets + item.set) * call_.plan.rows;
  }

  const FusedCall<T>& call_;
  const std::int64_t query_stride_;
  const std::int64_t out_stride_;
  std::vector<Real> queries_, out_, scores_, max_, sum_;
  std::vector<std::int64_t> head_, query_;
  std::vector<KeyRange> visible_;
  std::vector<const bool*> mask_row_;
  std::vector<std::uint32_t> allowed_;
  ValueMean<Real> mean_;
};

}  // namespace attend::cpu
