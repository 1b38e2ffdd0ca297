#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gpu::ptx {

/// Names declared between a pair of braces: registers, ranges of registers (%r<10>), labels, and
/// variables that were renamed because an outer one has the same name.
struct Scope {
  struct Range {
    std::int32_t first;
    std::int32_t count;
  };
  std::map<std::string_view, std::int32_t> registers;
  std::map<std::string_view, Range> ranges;
  std::map<std::string_view, std::uint64_t> labels;
  std::map<std::string_view, std::string_view> variables;
  /// (statement, operand) pairs that name something not declared yet, perhaps a label further down
  struct Use {
    std::size_t statement;
    std::size_t operand;
  };
  std::vector<Use> unresolved;
  std::map<std::string_view, std::vector<std::string_view>> tables;

  /// Index of a register of this scope, or -1.
  std::int32_t find_register(std::string_view name) const;
};

}  // namespace gpu::ptx
