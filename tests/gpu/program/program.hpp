#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/machine/module.hpp"
#include "gpu/program/function.hpp"

namespace gpu {

/// Function addresses are kFunctionBase + 16 * index.
constexpr Address kFunctionBase = Address{4} << 48;
/// Generic addresses of the other spaces: no canonical host address starts like these.
constexpr Address kSharedWindow = Address{1} << 48;
constexpr Address kLocalWindow = Address{2} << 48;
constexpr Address kParamWindow = Address{3} << 48;
constexpr Address kWindowMask = Address{0xFFFF} << 48;
/// Shared memory starts here, so that a null pointer is none of its addresses.
constexpr std::uint32_t kSharedBase = 1024;

struct Module::Program {
  std::string name;
  Memory* memory = nullptr;
  Capability target;
  std::vector<std::shared_ptr<Function>> functions;  ///< with bodies; kernels not read are empty
  std::deque<Variable> variables;
};

}  // namespace gpu
