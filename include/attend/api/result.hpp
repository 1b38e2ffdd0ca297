#pragma once

#include <cstdint>
#include <string>

#include "../core/dropout.hpp"
#include "../cpu/element.hpp"
#include "../select/path.hpp"
#include "place.hpp"
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

/// Result of `Attend<T>::forward`: output, log-sum-exp, and how they came about. The tensors lie
/// where q, k and v do.
template <class T, Device device = Device::host>
struct Forward : Run {
  /// Owns elements there.
  template <class Element, int Rank>
  using Owner = typename Place<device>::template Owner<Element, Rank>;

  Owner<T, 4> out;  ///< (b h i e)
  Owner<RealOf<T>, 3>
      lse;  ///< (b h i), natural log of the sum of exp(logit), sink included, before dropout
};

}  // namespace attend
