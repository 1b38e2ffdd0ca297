// The tensors of a problem in memory, and the views and variant that a path is called with.
#pragma once

#include <attend/core/forward_tensors.hpp>
#include <attend/core/variant.hpp>
#include <attend/cpu/element.hpp>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "oracle.hpp"
#include "strided.hpp"

namespace support {

/// What a path computed: out (b h i e) and lse (b h i) in C order, and whether it left the memory
/// around them alone.
struct Answer {
  std::vector<double> out, lse;
  bool surroundings_untouched = true;
};

template <class T, std::size_t Rank>
attend::View<const T, int{Rank}> view(const Strided<T, Rank>& tensor) {
  return {tensor.data(), tensor.extents(), tensor.strides()};
}
template <class T, std::size_t Rank>
attend::View<T, int{Rank}> view(Strided<T, Rank>& tensor) {
  return {tensor.data(), tensor.extents(), tensor.strides()};
}

/// The same view over larger extents: axes of extent 1 repeat.
template <class T, int Rank>
attend::View<const T, Rank> broadcast(const attend::View<const T, Rank>& from,
                                      const attend::Extents<Rank>& extents) {
  attend::Strides<Rank> strides = from.strides();
  for (int axis = 0; axis < Rank; ++axis) {
    if (from.extent(axis) == 1) strides[static_cast<std::size_t>(axis)] = 0;
  }
  return {from.data(), extents, strides};
}

/// A problem's inputs as elements of T, laid out as asked for. `problem` and `variant` describe the
/// call as the paths take it; the views point into this object.
template <class T>
class Sample {
 public:
  using Real = attend::RealOf<T>;

  Sample(const oracle::Problem& p, Layout layout)
      : q(shape(p.batch, p.heads, p.len_q, p.head_dim), layout, p.q),
        k(shape(p.batch, p.heads_kv, p.len_k, p.head_dim), layout, p.k),
        v(shape(p.batch, p.heads_kv, p.len_k, p.head_dim_v), layout, p.v),
        problem{.batch = p.batch,
                .heads = p.heads,
                .heads_kv = p.heads_kv,
                .len_q = p.len_q,
                .len_k = p.len_k,
                .head_dim = p.head_dim,
                .head_dim_v = p.head_dim_v,
                .dtype = attend::ElementTraits<T>::kDtype},
        out_layout_(layout == Layout::repeated ? Layout::row_major : layout) {
    const attend::Extents<4> scores{p.batch, p.heads, p.len_q, p.len_k};
    const attend::Extents<2> rows{p.batch, p.heads};
    variant.scale = static_cast<Real>(p.scale ? *p.scale : 1 / std::sqrt(double(p.head_dim)));
    variant.softcap = static_cast<Real>(p.softcap);
    if (p.bias) {
      bias = {p.bias->shape, out_layout_, p.bias->data};
      variant.bias = broadcast<Real, 4>(view(bias), scores);
    }
    if (p.mask) {
      oracle::Shape at = p.mask->shape;
      if (at.size() == 2) at = {at[0], 1, 1, at[1]};
      mask = {at, out_layout_, p.mask->data};
      variant.mask = broadcast<bool, 4>(view(mask), scores);
    }
    if (p.alibi) {
      const bool shared = p.alibi->shape.size() == 1;
      alibi = {shared ? oracle::Shape{1, p.heads} : p.alibi->shape, out_layout_, p.alibi->data};
      variant.alibi = broadcast<Real, 2>(view(alibi), rows);
    }
    if (p.sink) {
      sink = {{1, p.heads}, out_layout_, p.sink->data};
      variant.sink = broadcast<Real, 2>(view(sink), rows);
    }
    variant.causal = p.causal != oracle::Causal::none;
    variant.window = {p.left, p.right};
    variant.alignment = p.causal == oracle::Causal::top_left ? attend::Alignment::start
                        : p.causal == oracle::Causal::offset ? attend::Alignment::offsets
                                                             : attend::Alignment::end;
    offsets = p.offset;
    if (!offsets.empty()) variant.offsets = {offsets.data(), offsets.size() == 1 ? 0 : 1};
    if (p.key_lengths) {
      key_lengths.assign(p.key_lengths->begin(), p.key_lengths->end());
      // A batch without elements has lengths all the same: given, though there are none.
      key_lengths.reserve(1);
      variant.key_lengths = {key_lengths.data(), 1};
    }
    if (p.dropout > 0) variant.dropout = {p.dropout, {p.seed, p.rng_offset}};
    variant.empty_row =
        p.empty_row == oracle::EmptyRow::zero ? attend::EmptyRow::zero : attend::EmptyRow::uniform;
  }
  Sample(const Sample&) = delete;
  Sample& operator=(const Sample&) = delete;

  /// An output as poison, laid out as the inputs are.
  Strided<T, 4> make_out() const {
    return {shape(problem.batch, problem.heads, problem.len_q, problem.head_dim_v), out_layout_};
  }
  Strided<Real, 3> make_lse() const {
    return {{problem.batch, problem.heads, problem.len_q}, out_layout_};
  }

  Strided<T, 4> q, k, v;
  Strided<Real, 4> bias;
  Strided<bool, 4> mask;
  Strided<Real, 2> alibi, sink;
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> key_lengths;
  attend::Problem problem;
  attend::Variant<Real> variant;

 private:
  static oracle::Shape shape(oracle::Index b, oracle::Index h, oracle::Index n, oracle::Index d) {
    return {b, h, n, d};
  }

  Layout out_layout_;
};

/// A path as a function of a call.
template <class T>
using ForwardPath =
    std::function<void(const attend::Problem&, const attend::Variant<attend::RealOf<T>>&,
                       const attend::ForwardTensors<T>&)>;

/// Runs a path on a sample.
template <class T>
Answer run(const ForwardPath<T>& path, const Sample<T>& sample) {
  Strided<T, 4> out = sample.make_out();
  Strided<attend::RealOf<T>, 3> lse = sample.make_lse();
  path(sample.problem, sample.variant,
       {view(sample.q), view(sample.k), view(sample.v), view(out), view(lse)});
  return {out.values(), lse.values(), out.surroundings_untouched() && lse.surroundings_untouched()};
}

}  // namespace support
