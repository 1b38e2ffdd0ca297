#pragma once

#include <cstdint>
#include <string>

#include "../core/dropout.hpp"
#include "../cpu/element.hpp"
#include "../select/path.hpp"
#include "tensor.hpp"

/// @file
/// What a forward pass gives.

namespace attend {

/// How a call was carried out.
struct Run {
  Path path = Path::math;  ///< the path that ran
  std::string reason;      ///< why it was taken, one line
  Rng rng;                 ///< state of the dropout generator that the call started from
  double dropout = 0;      ///< probability that was applied: 0 in eval()
};

/// Result of `Attend<T>::forward`: output, log-sum-exp, and how they came about.
template <class T>
struct Forward : Run {
  Tensor<T, 4> out;  ///< (b h i e)
  Tensor<RealOf<T>, 3>
      lse;  ///< (b h i), natural log of the sum of exp(logit), sink included, before dropout
};

}  // namespace attend
