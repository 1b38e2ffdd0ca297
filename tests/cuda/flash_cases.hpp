// The cases that the flash path takes, of the shared ones or others.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "support/cases.hpp"

namespace device {

/// Head dims up to 256. Those up to 32 have kernels of their own: such cases come a second time,
/// with more columns.
inline std::vector<support::Case> flash_cases(std::vector<support::Case> list = support::cases()) {
  std::erase_if(list,
                [](const support::Case& c) { return std::max(c.head_dim, c.head_dim_v) > 256; });
  for (std::size_t n = 0, count = list.size(); n < count; ++n) {
    if (std::max(list[n].head_dim, list[n].head_dim_v) > 32) continue;
    support::Case wider = list[n];
    wider.name += "_wider";
    wider.head_dim += 32;
    if (wider.head_dim_v != 0) wider.head_dim_v += 8;
    list.push_back(wider);
  }
  return list;
}

}  // namespace device
