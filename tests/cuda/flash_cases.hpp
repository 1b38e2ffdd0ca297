// The cases that the flash path takes, of the shared ones or others.
#pragma once

#include <algorithm>
#include <vector>

#include "support/cases.hpp"

namespace device {

/// Head dims up to 256.
inline std::vector<support::Case> flash_cases(std::vector<support::Case> list = support::cases()) {
  std::erase_if(list,
                [](const support::Case& c) { return std::max(c.head_dim, c.head_dim_v) > 256; });
  return list;
}

}  // namespace device
