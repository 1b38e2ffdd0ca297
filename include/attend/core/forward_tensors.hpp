#pragma once

#include "dtype.hpp"
#include "view.hpp"

/// @file
/// The tensors a forward pass reads and writes.

namespace attend {

/// Views of one forward pass; extents as in `Problem`. `lse` may be null: then it is not written.
template <class T>
struct ForwardTensors {
  View<const T, 4> q = {};      ///< (b h i d)
  View<const T, 4> k = {};      ///< (b h_kv j d)
  View<const T, 4> v = {};      ///< (b h_kv j e)
  View<T, 4> out = {};          ///< (b h i e)
  View<RealOf<T>, 3> lse = {};  ///< (b h i), natural log; null: not wanted
};

}  // namespace attend
