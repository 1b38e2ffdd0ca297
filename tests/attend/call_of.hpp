// A problem as a user would ask for it: the call and the options.
#pragma once

#include <attend/attend.hpp>
#include <vector>

#include "support/sample.hpp"

namespace attend_test {

/// Refers to the sample's memory.
template <class T>
attend::Call<T> call_of(const oracle::Problem& p, const support::Sample<T>& sample) {
  using Real = attend::RealOf<T>;
  const auto rows = [](const support::Strided<Real, 2>& x, bool per_head) -> decltype(auto) {
    using Argument = attend::Argument<Real, 1, 2>;
    if (!per_head) return Argument(support::view(x));
    return Argument(attend::View<const Real, 1>(x.data(), {x.extents()[1]}, {x.strides()[1]}));
  };
  attend::Call<T> call{.scale = p.scale, .softcap = p.softcap};
  if (p.bias) call.bias = support::view(sample.bias);
  if (p.alibi) call.alibi = rows(sample.alibi, p.alibi->shape.size() == 1);
  if (p.mask && p.mask->shape.size() == 2) {
    const auto& mask = sample.mask;
    call.mask = attend::View<const bool, 2>(mask.data(), {mask.extents()[0], mask.extents()[3]},
                                            {mask.strides()[0], mask.strides()[3]});
  } else if (p.mask) {
    call.mask = support::view(sample.mask);
  }
  if (p.causal == oracle::Causal::top_left) call.causal = attend::Causal::top_left;
  if (p.causal == oracle::Causal::bottom_right) call.causal = attend::Causal::bottom_right;
  if (p.causal == oracle::Causal::offset) {
    call.causal = p.offset.size() == 1 ? attend::Causal::offset(p.offset[0])
                                       : attend::Causal::offset(p.offset);
  }
  call.window = {.left = p.left, .right = p.right};
  if (p.key_lengths) call.key_lengths = sample.key_lengths;
  if (p.sink) call.sink = rows(sample.sink, true);
  call.rng = attend::Rng{.seed = p.seed, .offset = p.rng_offset};
  return call;
}

inline attend::Options options_of(const oracle::Problem& p, bool flash) {
  return {.dropout = p.dropout,
          .flash = flash,
          .empty_row = p.empty_row == oracle::EmptyRow::zero ? attend::EmptyRow::zero
                                                             : attend::EmptyRow::uniform};
}

/// Results of `forward` as the oracle has them.
template <class X>
std::vector<double> values(const X& tensor) {  // row-major
  std::vector<double> all;
  for (Eigen::Index n = 0; n < tensor.size(); ++n)
    all.push_back(static_cast<double>(tensor.data()[n]));
  return all;
}

}  // namespace attend_test
