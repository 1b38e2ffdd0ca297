#include "gpu/ptx/scope.hpp"

#include <charconv>

namespace gpu::ptx {

std::int32_t Scope::find_register(std::string_view name) const {
  if (const auto it = registers.find(name); it != registers.end()) return it->second;
  std::size_t digits = name.size();
  while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') --digits;
  // the range's name may end in digits itself: try every split
  for (std::size_t split = digits; split < name.size(); ++split) {
    const auto it = ranges.find(name.substr(0, split));
    if (it == ranges.end()) continue;
    std::int32_t number = -1;
    std::from_chars(name.data() + split, name.data() + name.size(), number);
    if (number >= 0 && number < it->second.count) return it->second.first + number;
  }
  return -1;
}

}  // namespace gpu::ptx
