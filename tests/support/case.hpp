// One test case as data, and the oracle's problem made from it: random inputs that the element type
// holds exactly, with poison in everything that no allowed key reads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "arithmetic.hpp"
#include "oracle.hpp"
#include "strided.hpp"

namespace support {

using oracle::Causal;
using oracle::EmptyRow;
using Index = oracle::Index;

/// Shapes and contents of a mask; `shape` axes are b h i j, or b j.
enum class Mask {
  none,
  padding,           // (b j), a prefix of the keys
  padding_shared,    // (1 j)
  random,            // (b h i j), three quarters kept
  random_shared,     // (1 1 i j)
  random_per_head,   // (1 h 1 j)
  random_per_query,  // (b 1 i 1): whole rows are empty
  nothing,           // (b h i j), no key at all
  documents,         // (b h i j), keys of the query's own document: whole tiles are hidden
};
inline constexpr int kMasks = 8;  // that random cases draw: the first ones

/// Shapes and contents of a bias.
enum class Bias {
  none,
  full,       // (b h i j)
  shared,     // (1 1 i j)
  per_head,   // (1 h 1 j)
  per_query,  // (b 1 i 1)
  infinite,   // (b 1 i j), a third of it -inf
  lowest,     // (1 1 i j), the lowest finite float in every third row
  great,      // (1 h 1 j), about 100: its exponential is no half, and hardly a float
};
inline constexpr int kBiases = 8;

enum class Alibi { none, per_head, per_batch_and_head, growing };  // growing: slopes below 0
enum class Lengths { none, some, with_zero };
enum class Sink { none, finite, some_infinite };

/// What makes logits infinite: a query in each head, so that all of its logits are -inf or (in odd
/// heads) +inf; or one of the keys, whose logits are either, as the query says.
enum class Infinite { none, query, key };

/// Everything that decides a case. The defaults are a small plain problem.
struct Case {
  std::string name;
  Index batch = 2, heads = 2, heads_kv = 2, len_q = 17, len_k = 33, head_dim = 32;
  Index head_dim_v = 0;  // 0: as head_dim
  double scale = 0;      // 0: the default
  double softcap = 0;
  Bias bias = Bias::none;
  Alibi alibi = Alibi::none;
  Mask mask = Mask::none;
  Causal causal = Causal::none;
  std::vector<Index> offset = {};
  Index left = -1, right = -1;
  Lengths lengths = Lengths::none;
  Sink sink = Sink::none;
  double dropout = 0;
  EmptyRow empty_row = EmptyRow::zero;
  Infinite infinite = Infinite::none;
  Layout layout = Layout::row_major;
  std::uint64_t seed = 1;
};

/// Random doubles, each representable in a given type.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : generator_(seed) {}

  template <class T>
  std::vector<double> normal(Index count, double size = 1) {
    std::normal_distribution<double> distribution(0, size);
    std::vector<double> values(static_cast<std::size_t>(count));
    for (double& x : values) x = rounded<T>(distribution(generator_));
    return values;
  }
  bool chance(double p) { return std::uniform_real_distribution<double>(0, 1)(generator_) < p; }
  Index below(Index bound) {
    return std::uniform_int_distribution<Index>(0, bound - 1)(generator_);
  }

 private:
  std::mt19937_64 generator_;
};

namespace making {

using oracle::Shape;

inline Index count(const Shape& shape) {
  Index n = 1;
  for (const Index extent : shape) n *= extent;
  return n;
}

inline oracle::Array mask(const Case& c, Draw& draw) {
  Shape shape;
  double keep = 0.75;
  switch (c.mask) {
    case Mask::padding:
      shape = {c.batch, c.len_k};
      break;
    case Mask::padding_shared:
      shape = {1, c.len_k};
      break;
    case Mask::random_shared:
      shape = {1, 1, c.len_q, c.len_k};
      break;
    case Mask::random_per_head:
      shape = {1, c.heads, 1, c.len_k};
      break;
    case Mask::random_per_query:
      shape = {c.batch, 1, c.len_q, 1};
      break;
    case Mask::nothing:
      keep = 0;
      [[fallthrough]];
    default:
      shape = {c.batch, c.heads, c.len_q, c.len_k};
  }
  oracle::Array mask{shape, std::vector<double>(static_cast<std::size_t>(count(shape)))};
  if (shape.size() == 2) {
    for (std::size_t b = 0; b < static_cast<std::size_t>(shape[0]); ++b) {
      const Index kept = 1 + draw.below(std::max<Index>(c.len_k, 1));
      for (Index j = 0; j < c.len_k; ++j)
        mask.data[b * static_cast<std::size_t>(c.len_k) + static_cast<std::size_t>(j)] = j < kept;
    }
  } else if (c.mask == Mask::documents) {
    for (std::size_t head = 0; head < static_cast<std::size_t>(c.batch * c.heads); ++head) {
      const Index length = 90 + draw.below(120);
      for (Index i = 0; i < c.len_q; ++i)
        for (Index j = 0; j < c.len_k; ++j)
          mask.data[(head * static_cast<std::size_t>(c.len_q) + static_cast<std::size_t>(i)) *
                        static_cast<std::size_t>(c.len_k) +
                    static_cast<std::size_t>(j)] = (i + c.len_k - c.len_q) / length == j / length;
    }
  } else {
    for (double& x : mask.data) x = draw.chance(keep);
  }
  return mask;
}

template <class Real>
oracle::Array bias(const Case& c, Draw& draw) {
  Shape shape{c.batch, c.heads, c.len_q, c.len_k};
  if (c.bias == Bias::shared || c.bias == Bias::lowest) shape = {1, 1, c.len_q, c.len_k};
  if (c.bias == Bias::per_head || c.bias == Bias::great) shape = {1, c.heads, 1, c.len_k};
  if (c.bias == Bias::per_query) shape = {c.batch, 1, c.len_q, 1};
  if (c.bias == Bias::infinite) shape = {c.batch, 1, c.len_q, c.len_k};
  oracle::Array bias{shape, draw.normal<Real>(count(shape))};
  if (c.bias == Bias::infinite) {
    for (double& x : bias.data)
      if (draw.chance(0.33)) x = -std::numeric_limits<double>::infinity();
  } else if (c.bias == Bias::lowest) {
    for (std::size_t n = 0; n < bias.data.size(); ++n) {
      if (n / static_cast<std::size_t>(c.len_k) % 3 == 0)
        bias.data[n] = std::numeric_limits<Real>::lowest();
    }
  } else if (c.bias == Bias::great) {
    for (double& x : bias.data) x = static_cast<double>(static_cast<Real>(x + 100));
  }
  return bias;
}

inline std::vector<Index> lengths(const Case& c, Draw& draw) {
  std::vector<Index> lengths;
  for (Index b = 0; b < c.batch; ++b) {
    const Index drawn = 1 + draw.below(std::max<Index>(c.len_k, 1));
    lengths.push_back(std::min(c.lengths == Lengths::with_zero && b == 0 ? 0 : drawn, c.len_k));
  }
  return lengths;
}

// Makes logits infinite.
inline void set_infinite(oracle::Problem& p, Infinite infinite) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto d = static_cast<std::size_t>(p.head_dim);
  if (infinite == Infinite::query) {
    for (std::size_t n = 0; n < p.k.size(); n += d) p.k[n] = -std::max(1., std::abs(p.k[n]));
    const Index second = std::min<Index>(1, p.len_q - 1);
    for (Index head = 0; head < p.batch * p.heads && p.len_q > 0; ++head)
      p.q[static_cast<std::size_t>(head * p.len_q + second) * d] =
          head % p.heads % 2 == 0 ? kInfinity : -kInfinity;
  } else if (infinite == Infinite::key) {
    const Index third = std::min<Index>(2, p.len_k - 1);
    for (Index head = 0; head < p.batch * p.heads_kv && p.len_k > 0; ++head)
      p.k[static_cast<std::size_t>(head * p.len_k + third) * d] = kInfinity;
  }
}

// Overwrites every row of q, k, v and every bias element that no allowed key has to do with.
inline void poison(oracle::Problem& p) {
  const double kNan = std::numeric_limits<double>::quiet_NaN();
  const double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<bool> q_read(static_cast<std::size_t>(p.batch * p.heads * p.len_q));
  std::vector<bool> k_read(static_cast<std::size_t>(p.batch * p.heads_kv * p.len_k));
  std::vector<bool> v_read(k_read.size());
  std::vector<bool> bias_read(p.bias ? p.bias->data.size() : 0);
  std::size_t query = 0;
  for (Index b = 0; b < p.batch; ++b) {
    for (Index h = 0; h < p.heads; ++h) {
      for (Index i = 0; i < p.len_q; ++i, ++query) {
        for (Index j = 0; j < p.len_k; ++j) {
          if (p.bias && oracle::allowed_before_bias(p, {b, h, i, j}))
            bias_read[p.bias->offset({b, h, i, j})] = true;
          if (!oracle::allowed(p, {b, h, i, j})) continue;
          q_read[query] = k_read[p.kv_row(b, h, j)] = v_read[p.kv_row(b, h, j)] = true;
        }
        // The mean over all keys does read v.
        if (p.empty_row == EmptyRow::uniform && !q_read[query])
          for (Index j = 0; j < p.keys(b); ++j) v_read[p.kv_row(b, h, j)] = true;
      }
    }
  }
  const auto overwrite = [&](std::vector<double>& x, const std::vector<bool>& read, Index width) {
    for (std::size_t row = 0; row < read.size(); ++row) {
      if (read[row]) continue;
      std::fill_n(x.begin() + static_cast<Index>(row) * width, width, row % 2 ? kNan : kInfinity);
    }
  };
  overwrite(p.q, q_read, p.head_dim);
  overwrite(p.k, k_read, p.head_dim);
  overwrite(p.v, v_read, p.head_dim_v);
  if (p.bias) overwrite(p.bias->data, bias_read, 1);
}

}  // namespace making

/// The problem of a case for elements of type T.
template <class T>
oracle::Problem problem(const Case& c) {
  using Real = typename Plain<T>::Real;
  Draw draw(c.seed);
  oracle::Problem p;
  p.batch = c.batch, p.heads = c.heads, p.heads_kv = c.heads_kv;
  p.len_q = c.len_q, p.len_k = c.len_k;
  p.head_dim = c.head_dim, p.head_dim_v = c.head_dim_v == 0 ? c.head_dim : c.head_dim_v;
  p.q = draw.normal<T>(p.batch * p.heads * p.len_q * p.head_dim);
  p.k = draw.normal<T>(p.batch * p.heads_kv * p.len_k * p.head_dim);
  p.v = draw.normal<T>(p.batch * p.heads_kv * p.len_k * p.head_dim_v);
  if (c.scale != 0) p.scale = c.scale;
  p.softcap = c.softcap;
  if (c.bias != Bias::none) p.bias = making::bias<Real>(c, draw);
  if (c.alibi == Alibi::per_head) p.alibi = {{c.heads}, draw.normal<Real>(c.heads, 0.1)};
  if (c.alibi == Alibi::per_batch_and_head)
    p.alibi = {{c.batch, c.heads}, draw.normal<Real>(c.batch * c.heads, 0.1)};
  if (c.alibi == Alibi::growing)
    p.alibi = {{c.heads}, std::vector<double>(static_cast<std::size_t>(c.heads), -1.0)};
  if (c.mask != Mask::none) p.mask = making::mask(c, draw);
  p.causal = c.causal, p.offset = c.offset;
  p.left = c.left, p.right = c.right;
  if (c.lengths != Lengths::none) p.key_lengths = making::lengths(c, draw);
  if (c.sink != Sink::none) {
    p.sink = {{c.heads}, draw.normal<Real>(c.heads)};
    if (c.sink == Sink::some_infinite)
      for (std::size_t h = 0; h < p.sink->data.size(); h += 2)
        p.sink->data[h] = -std::numeric_limits<double>::infinity();
  }
  p.dropout = c.dropout;
  p.seed = c.seed * 0x9E3779B97F4A7C15, p.rng_offset = (std::uint64_t{1} << 32) - 5;
  p.empty_row = c.empty_row;
  making::set_infinite(p, c.infinite);
  if (c.layout != Layout::repeated) {
    making::poison(p);
    return p;
  }
  for (std::vector<double>* x : {&p.q, &p.k, &p.v}) {  // every batch element the same inputs
    if (p.batch == 0) continue;
    const auto part = static_cast<Index>(x->size()) / p.batch;
    for (Index b = 1; b < p.batch; ++b) std::copy_n(x->begin(), part, x->begin() + b * part);
  }
  return p;
}

}  // namespace support
