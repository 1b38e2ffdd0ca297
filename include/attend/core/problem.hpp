#pragma once

#include <cstdint>

#include "dtype.hpp"

/// @file
/// The sizes of one attention problem.

namespace attend {

/// Sizes, element type and place of one call: `q (batch heads len_q head_dim)`, `k (batch heads_kv
/// len_k head_dim)`, `v (batch heads_kv len_k head_dim_v)`, output `(batch heads len_q
/// head_dim_v)`.
struct Problem {
  std::int64_t batch = 1;        ///< b
  std::int64_t heads = 1;        ///< query heads, a multiple of heads_kv
  std::int64_t heads_kv = 1;     ///< key and value heads
  std::int64_t len_q = 1;        ///< queries
  std::int64_t len_k = 1;        ///< keys
  std::int64_t head_dim = 64;    ///< d: elements of a query or key
  std::int64_t head_dim_v = 64;  ///< e: elements of a value
  Dtype dtype = Dtype::f32;      ///< element type of q, k, v and the output
  Device device = Device::host;  ///< where the tensors lie

  /// Query heads that share one key and value head (GQA); 1 where there are no heads at all.
  ATTEND_HD constexpr std::int64_t group() const { return heads_kv > 0 ? heads / heads_kv : 1; }
  /// The key and value head that query head `h` reads.
  ATTEND_HD constexpr std::int64_t head_kv(std::int64_t h) const { return h / group(); }
};

/// Where in the score matrix a score stands: batch, query head, query, key.
struct Index {
  std::int64_t b = 0;  ///< batch
  std::int64_t h = 0;  ///< query head
  std::int64_t i = 0;  ///< query
  std::int64_t j = 0;  ///< key
};

}  // namespace attend
