// Bugs planted in the PTX of kernels, and whether they are found: by the machine or by the result.
#pragma once

#include <gtest/gtest.h>

#include <attend/core/error.hpp>
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

inline std::string mutated(const std::string& ptx, const Mutant& mutant, int& found) {
  std::string result;
  bool inside = false;
  const std::regex pattern(mutant.instruction), kernel(mutant.kernel);
  for (std::size_t begin = 0; begin < ptx.size();) {
    const std::size_t end = std::min(ptx.find('\n', begin), ptx.size() - 1) + 1;
    std::string line = ptx.substr(begin, end - begin);
    if (line.find(".entry") != std::string::npos) inside = std::regex_search(line, kernel);
    if (inside && std::regex_search(line, pattern) && found++ == mutant.which)
      line = std::regex_replace(line, pattern, mutant.replacement);
    result += line;
    begin = end;
  }
  return result;
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
        options, [&](const std::string& ptx) { return mutated(ptx, GetParam(), found); });
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
