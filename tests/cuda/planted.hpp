// Bugs planted in the PTX of kernels, and whether they are found: by the machine or by the result.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <attend/core/error.hpp>
#include <cstddef>
#include <functional>
#include <ostream>
#include <regex>
#include <string>

#include "gpu/runtime/control.hpp"

namespace planted {

/// A change of one instruction of a kernel.
struct Mutant {
  std::string name;
  std::string kernel;       // a part of its mangled name
  std::string instruction;  // a regular expression
  int which;                // of those that match, counted from 0
  std::string replacement;  // empty: the instruction is deleted
};

inline void PrintTo(const Mutant& mutant, std::ostream* out) { *out << mutant.name; }

/// Whether a kernel is among those that mutants and what is called with them need: of half or
/// float, and head dims up to 64, if it is one of an engine. The rest would only have to be read.
inline bool is_needed(const std::string& entry) {
  const auto has = [&](const char* part) { return entry.find(part) != std::string::npos; };
  return !has("4BF16") && (!has("Engine") || has("Li64E"));
}

/// PTX of the kernels that are needed, with an instruction changed if there is a mutant.
inline std::string planted_ptx(const std::string& ptx, const Mutant* mutant, int& found) {
  std::string result;
  bool inside = false, needed = true;
  std::ptrdiff_t depth = 0;  // of braces
  const std::regex pattern(mutant == nullptr ? "" : mutant->instruction),
      kernel(mutant == nullptr ? "" : mutant->kernel);
  for (std::size_t begin = 0; begin < ptx.size();) {
    const std::size_t end = std::min(ptx.find('\n', begin), ptx.size() - 1) + 1;
    std::string line = ptx.substr(begin, end - begin);
    begin = end;
    if (line.find(".entry") != std::string::npos) {
      needed = is_needed(line);
      inside = mutant != nullptr && std::regex_search(line, kernel);
    }
    if (inside && std::regex_search(line, pattern) && found++ == mutant->which)
      line = std::regex_replace(line, pattern, mutant->replacement);
    if (needed) result += line;
    const std::ptrdiff_t closed = std::count(line.begin(), line.end(), '}');
    depth += std::count(line.begin(), line.end(), '{') - closed;
    if (closed > 0 && depth == 0) needed = true;
  }
  return result;
}

/// `right` on a device of a capability, where there is nothing but the kernels that mutants need.
inline bool right_without_mutant(const std::function<bool()>& right,
                                 const gpu::Capability& capability = {8, 0}) {
  if (gpu::emulated_control() == nullptr) return right();
  const gpu::RuntimeOptions before = gpu::emulated_control()->options();
  gpu::RuntimeOptions options = before;
  options.capabilities = {capability};
  gpu::emulated_control()->restart(options, [](const std::string& ptx) {
    int none = 0;
    return planted_ptx(ptx, nullptr, none);
  });
  const bool is_right = right();
  gpu::emulated_control()->restart(before, {});
  return is_right;
}

/// Restarts the emulated GPU with a mutant, for one test.
class Mutants : public ::testing::TestWithParam<Mutant> {
 protected:
  void SetUp() override {
    if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
    before_ = gpu::emulated_control()->options();
  }
  void TearDown() override {
    if (gpu::emulated_control() != nullptr) gpu::emulated_control()->restart(before_, {});
  }

  /// Demands that `right` is false on a device of a capability, or throws an error of the device.
  void expect_caught(const std::function<bool()>& right,
                     const gpu::Capability& capability = {8, 0}) const {
    gpu::RuntimeOptions options = before_;
    options.capabilities = {capability};
    options.print_failures = false;
    options.launch.step_limit = 4'000'000;  // many times what these kernels need
    int found = 0;
    gpu::emulated_control()->restart(
        options, [&](const std::string& ptx) { return planted_ptx(ptx, &GetParam(), found); });
    bool caught = false;
    try {
      caught = !right();
    } catch (const attend::device_error&) {
      caught = true;
    }
    EXPECT_GT(found, GetParam().which) << "there is no such instruction";
    EXPECT_TRUE(caught);
  }

 private:
  gpu::RuntimeOptions before_;
};

}  // namespace planted
