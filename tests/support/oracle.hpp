// The oracle: attention as the specification states it, in three plain loops, with a mask logic
// and a Philox of its own. It includes nothing of the library, so a misunderstanding there cannot
// hide here. `evaluate` takes the arithmetic as a parameter: `Exact` makes it the oracle, a lower
// precision makes it the textbook computation whose error is the yardstick for a path's error.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <vector>

namespace oracle {

using Index = std::int64_t;

/// One score: batch, query head, query, key.
struct At {
  Index b, h, i, j;
};

using Shape = std::vector<Index>;

/// A dense array in C order; an axis of extent 1 broadcasts.
struct Array {
  Shape shape;
  std::vector<double> data;

  std::size_t offset(std::initializer_list<Index> at) const {
    Index n = 0;
    std::size_t axis = 0;
    for (const Index x : at) {
      n = n * shape[axis] + (shape[axis] == 1 ? 0 : x);
      ++axis;
    }
    return static_cast<std::size_t>(n);
  }
  double at(std::initializer_list<Index> at) const { return data[offset(at)]; }
};

enum class Causal { none, top_left, bottom_right, offset };
enum class EmptyRow { zero, uniform };

/// Inputs and variant of one call. q (b h i d), k (b g j d), v (b g j e), all in C order.
struct Problem {
  Index batch = 1, heads = 1, heads_kv = 1, len_q = 1, len_k = 1, head_dim = 1, head_dim_v = 1;
  std::vector<double> q, k, v;

  std::optional<double> scale;  // 1/sqrt(d) if not given
  double softcap = 0;
  std::optional<Array> bias;   // (b|1 h|1 i|1 j|1)
  std::optional<Array> alibi;  // slopes (h) or (b h)
  std::optional<Array> mask;   // (b|1 j) or (b|1 h|1 i|1 j|1); not 0 = keep
  Causal causal = Causal::none;
  std::vector<Index> offset;  // Causal::offset: one for all, or one per batch element
  Index left = -1, right = -1;
  std::optional<std::vector<Index>> key_lengths;
  std::optional<Array> sink;  // (h)
  EmptyRow empty_row = EmptyRow::zero;
  double dropout = 0;
  std::uint64_t seed = 0, rng_offset = 0;

  std::function<double(double, At)> score;        // a user's score_mod
  std::function<double(double, At)> score_slope;  // its derivative, for `backward`
  std::function<bool(At)> keep;                   // a user's mask_mod

  const double* q_row(Index b, Index h, Index i) const {
    return q.data() + ((b * heads + h) * len_q + i) * head_dim;
  }
  Index kv_head(Index h) const { return h / (heads / heads_kv); }
  std::size_t kv_row(Index b, Index h, Index j) const {
    return static_cast<std::size_t>((b * heads_kv + kv_head(h)) * len_k + j);
  }
  const double* k_row(Index b, Index h, Index j) const {
    return k.data() + kv_row(b, h, j) * static_cast<std::size_t>(head_dim);
  }
  const double* v_row(Index b, Index h, Index j) const {
    return v.data() + kv_row(b, h, j) * static_cast<std::size_t>(head_dim_v);
  }
  Index keys(Index b) const {
    return key_lengths ? (*key_lengths)[static_cast<std::size_t>(b)] : len_k;
  }
};

/// Positions are sums of any two 64-bit numbers, so they are computed in 128 bits.
__extension__ typedef __int128 Position;

inline Position position(const Problem& p, Index b, Index i) {
  switch (p.causal) {
    case Causal::top_left:
      return i;
    case Causal::offset:
      return Position{i} + p.offset[p.offset.size() == 1 ? 0 : static_cast<std::size_t>(b)];
    default:
      return Position{i} + p.keys(b) - p.len_q;
  }
}

/// Whether everything but the bias allows the key.
inline bool allowed_before_bias(const Problem& p, At a) {
  const Position pos = position(p, a.b, a.i);
  if (a.j >= p.keys(a.b)) return false;
  if (p.causal != Causal::none && a.j > pos) return false;
  if (p.left >= 0 && a.j < pos - p.left) return false;
  if (p.right >= 0 && a.j > pos + p.right) return false;
  if (p.mask) {
    const double keep =
        p.mask->shape.size() == 2 ? p.mask->at({a.b, a.j}) : p.mask->at({a.b, a.h, a.i, a.j});
    if (keep == 0) return false;
  }
  return !p.keep || p.keep(a);
}

inline bool allowed(const Problem& p, At a) {
  if (!allowed_before_bias(p, a)) return false;
  return !p.bias || p.bias->at({a.b, a.h, a.i, a.j}) != -std::numeric_limits<double>::infinity();
}

/// Philox4x32-10 of Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3"
/// (SC 2011), written from the paper's description.
inline std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> x,
                                           std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t left = std::uint64_t{0xD2511F53} * x[0];
    const std::uint64_t right = std::uint64_t{0xCD9E8D57} * x[2];
    x = {static_cast<std::uint32_t>(right >> 32) ^ x[1] ^ key[0], static_cast<std::uint32_t>(right),
         static_cast<std::uint32_t>(left >> 32) ^ x[3] ^ key[1], static_cast<std::uint32_t>(left)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return x;
}

/// Whether dropout keeps this probability: its uniform number u in [0, 1) is not below p.
inline bool kept(const Problem& p, At a) {
  const auto row = static_cast<std::uint64_t>((a.b * p.heads + a.h) * p.len_q + a.i);
  const auto blocks = static_cast<std::uint64_t>((p.len_k + 3) / 4);
  const std::uint64_t counter = p.rng_offset + row * blocks + static_cast<std::uint64_t>(a.j / 4);
  const auto words =
      philox({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0, 0},
             {static_cast<std::uint32_t>(p.seed), static_cast<std::uint32_t>(p.seed >> 32)});
  return words[static_cast<std::size_t>(a.j % 4)] / 4294967296.0 >= p.dropout;
}

/// The arithmetic of the oracle itself: doubles, with guard bits where the machine has them.
struct Exact {
  using Real = long double;
  static Real round(Real x) { return x; }
};

/// One row of probabilities over the keys that count, before dropout, and what backward needs.
template <class Arithmetic>
struct Row {
  using Real = typename Arithmetic::Real;
  std::vector<Index> keys;
  std::vector<Real> capped;       // scaled and softcapped: before bias
  std::vector<Real> biased;       // before the user's score
  std::vector<Real> probability;  // before dropout
  std::vector<Real> drop;         // 0, or 1 / (1 - dropout)
  Real sink_probability = 0;
  Real lse = -std::numeric_limits<Real>::infinity();
  bool empty = false;
};

template <class Arithmetic>
Row<Arithmetic> row(const Problem& p, Index b, Index h, Index i) {
  using Real = typename Arithmetic::Real;
  const auto round = [](Real x) { return Arithmetic::round(x); };
  const Real minus_infinity = -std::numeric_limits<Real>::infinity();
  Row<Arithmetic> r;
  for (Index j = 0; j < p.len_k; ++j) {
    if (allowed(p, {b, h, i, j})) r.keys.push_back(j);
  }
  const Real scale =
      static_cast<Real>(p.scale ? *p.scale : 1 / std::sqrt(static_cast<long double>(p.head_dim)));
  const Real sink = p.sink ? static_cast<Real>(p.sink->at({h})) : minus_infinity;

  std::vector<Real> logits;
  Real most = sink;
  for (const Index j : r.keys) {
    const double* q = p.q_row(b, h, i);
    const double* k = p.k_row(b, h, j);
    Real s = 0;
    for (Index c = 0; c < p.head_dim; ++c) s += static_cast<Real>(q[c]) * static_cast<Real>(k[c]);
    s = round(s * scale);
    if (p.softcap > 0) {
      const Real cap = static_cast<Real>(p.softcap);
      s = round(cap * std::tanh(s / cap));
    }
    r.capped.push_back(s);
    if (p.bias) s += static_cast<Real>(p.bias->at({b, h, i, j}));
    if (p.alibi) {
      const double slope = p.alibi->shape.size() == 1 ? p.alibi->at({h}) : p.alibi->at({b, h});
      const Position distance = position(p, b, i) - j;
      s -= static_cast<Real>(slope) * static_cast<Real>(distance < 0 ? -distance : distance);
    }
    r.biased.push_back(s);
    if (p.score) s = static_cast<Real>(p.score(static_cast<double>(s), {b, h, i, j}));
    logits.push_back(s);
    most = std::max(most, s);
  }

  r.empty = r.keys.empty() && sink == minus_infinity;
  if (r.empty && p.empty_row == EmptyRow::uniform) {
    for (Index j = 0; j < p.keys(b); ++j) r.keys.push_back(j);
    r.probability.assign(r.keys.size(), round(1 / static_cast<Real>(r.keys.size())));
  } else if (!r.empty) {
    Real sum = sink == minus_infinity ? 0 : std::exp(sink - most);
    for (const Real s : logits) sum += std::exp(s - most);
    for (const Real s : logits) r.probability.push_back(round(std::exp(s - most) / sum));
    if (sink != minus_infinity) r.sink_probability = std::exp(sink - most) / sum;
    // Infinite logits: the probabilities are inf - inf, NaN; the limit of the sum is not.
    const bool nan =
        std::any_of(logits.begin(), logits.end(), [](Real s) { return std::isnan(s); });
    r.lse = std::isinf(most) && !nan ? most : most + std::log(sum);
  }
  for (const Index j : r.keys) {
    const bool keep = p.dropout == 0 || kept(p, {b, h, i, j});
    r.drop.push_back(keep ? 1 / (1 - static_cast<Real>(p.dropout)) : 0);
  }
  return r;
}

/// out (b h i e) and lse (b h i), in C order.
struct Forward {
  std::vector<double> out, lse;
};

template <class Arithmetic = Exact>
Forward forward(const Problem& p) {
  using Real = typename Arithmetic::Real;
  Forward result;
  std::vector<Real> sum(static_cast<std::size_t>(p.head_dim_v));
  for (Index b = 0; b < p.batch; ++b) {
    for (Index h = 0; h < p.heads; ++h) {
      for (Index i = 0; i < p.len_q; ++i) {
        const Row<Arithmetic> r = row<Arithmetic>(p, b, h, i);
        std::fill(sum.begin(), sum.end(), Real{0});
        for (std::size_t n = 0; n < r.keys.size(); ++n) {
          const Real weight = Arithmetic::round(r.probability[n] * r.drop[n]);
          const double* v = p.v_row(b, h, r.keys[n]);
          for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += weight * static_cast<Real>(v[c]);
        }
        for (const Real x : sum) result.out.push_back(static_cast<double>(Arithmetic::round(x)));
        result.lse.push_back(static_cast<double>(r.lse));
      }
    }
  }
  return result;
}

}  // namespace oracle
