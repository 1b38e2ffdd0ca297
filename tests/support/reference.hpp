// What a problem's results are held against.
#pragma once

#include "oracle.hpp"
#include "tolerance.hpp"

namespace support {

/// The oracle's results, and the errors that a path on elements of type T may make.
template <class T>
struct Reference : oracle::Forward {
  using Real = typename Plain<T>::Real;

  double allowed_out, allowed_lse;

  explicit Reference(const oracle::Problem& problem, std::size_t few = 1000)
      : oracle::Forward(oracle::forward(problem)) {
    // An error in a logit of size s is one of s roundings in its probability. (Vast logits come
    // from the bias alone, which is exact.)
    double logits = 1;
    for (const double x : lse)
      if (std::abs(x) < 1000) logits = std::max(logits, 1 + std::abs(x));
    const double values =
        greatest_size(problem.v) / (problem.dropout < 1 ? 1 - problem.dropout : 1);
    const oracle::Forward plain = oracle::forward<Plain<T>>(problem);
    const oracle::Forward plain_sums = oracle::forward<PlainSums<T>>(problem);
    allowed_out = allowance<T>(out, plain.out, 2, logits * values, few);
    allowed_lse = allowance<Real>(lse, plain_sums.lse, 2, logits, few);
  }
};

}  // namespace support
