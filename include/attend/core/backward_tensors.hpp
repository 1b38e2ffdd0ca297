#pragma once

#include "dtype.hpp"
#include "view.hpp"

/// @file
/// The tensors a backward pass reads and writes.

namespace attend {

/// Views of one backward pass; extents as in `Problem`. What is written is overwritten, not added
/// to. Those marked "null: not wanted" need not be there.
template <class T>
struct BackwardTensors {
  View<const T, 4> q = {};                 ///< (b h i d)
  View<const T, 4> k = {};                 ///< (b h_kv j d)
  View<const T, 4> v = {};                 ///< (b h_kv j e)
  View<const T, 4> out = {};               ///< (b h i e), of the forward pass
  View<const RealOf<T>, 3> lse = {};       ///< (b h i), of the forward pass
  View<const T, 4> grad_out = {};          ///< (b h i e), gradient of the loss by `out`
  View<const RealOf<T>, 3> grad_lse = {};  ///< (b h i), gradient of the loss by `lse`; null: 0

  View<T, 4> dq = {};                  ///< (b h i d)
  View<T, 4> dk = {};                  ///< (b h_kv j d)
  View<T, 4> dv = {};                  ///< (b h_kv j e)
  View<RealOf<T>, 4> dbias = {};       ///< (b|1 h|1 i|1 j|1), summed where 1; null: not wanted
  View<RealOf<T>, 2> dsink = {};       ///< (b|1 h|1), summed where 1; null: not wanted
  View<RealOf<T>, 1> parameters = {};  ///< of the user's score function; null: not wanted
};

}  // namespace attend
