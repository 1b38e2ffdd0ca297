// The recorded cases of tests/data as problems.
#pragma once

#include <fstream>
#include <string>

#include "npy.hpp"
#include "oracle.hpp"

namespace support {

/// q, k, v and mask (where there is such a file) of a recorded case.
inline oracle::Problem recorded(const std::string& prefix, const std::string& mask_file) {
  const NpyArray q = read_npy(prefix + ".q.npy");
  const NpyArray k = read_npy(prefix + ".k.npy");
  const NpyArray v = read_npy(prefix + ".v.npy");
  oracle::Problem p;
  p.batch = q.shape[0], p.heads = q.shape[1], p.heads_kv = k.shape[1];
  p.len_q = q.shape[2], p.len_k = k.shape[2];
  p.head_dim = q.shape[3], p.head_dim_v = v.shape[3];
  p.q = q.data, p.k = k.data, p.v = v.data;
  if (std::ifstream(mask_file).good()) {
    const NpyArray mask = read_npy(mask_file);
    p.mask = {mask.shape, mask.data};
  }
  return p;
}

}  // namespace support
