// Bugs planted in the PTX of kernels, and whether they are found: by the machine or by the result.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <string>

#include "gpu/machine/device.hpp"

namespace planted {

/// A change of one instruction of a kernel.
struct Mutant {
  std::string name;
  std::string kernel;       // a regular expression that finds its mangled name
  std::string instruction;  // a regular expression
  int which;                // of those that match, counted from 0
  std::string replacement;  // as in std::regex_replace; empty: the instruction is deleted
};

void PrintTo(const Mutant& mutant, std::ostream* out);
std::string name_of(const ::testing::TestParamInfo<Mutant>& info);

// Instructions of most kernels.
inline constexpr const char* kBarrier = "bar\\.sync[^;]*;";
inline constexpr const char* kCopy = "cp\\.async\\.cg[^;]*;";
inline constexpr const char* kCommit = "cp\\.async\\.commit_group;";
inline constexpr const char* kWait = "cp\\.async\\.wait_group [^;]*;";
inline constexpr const char* kProduct = "mma\\.sync[^;]*;";
inline constexpr const char* kTransposed = "ldmatrix(.*)\\.trans";
inline constexpr const char* kNotTransposed = "ldmatrix(.*x4)\\.shared";
inline constexpr const char* kAnyLane = "vote\\.sync\\.any\\.pred([^,]*),[^,]*, (%r\\d+);";

// Those of kernels on warpgroups, which run on a device of 9.0.
inline constexpr gpu::Capability kHopper{9, 0};
inline constexpr const char* kArrived =
    "\\{\\.reg \\.pred done; mbarrier\\.try_wait[^}]*selp\\.u32 (%r\\d+), 1, 0, done;\\}";
inline constexpr const char* kArrive = "\\{[^}]*mbarrier\\.arrive[^}]*\\}";
inline constexpr const char* kProxy = "fence\\.proxy\\.async[^;]*;";
inline constexpr const char* kDone = "wgmma\\.wait_group[^;]*;";
inline constexpr const char* kFence = "wgmma\\.fence[^;]*;";
inline constexpr const char* kGroup = "wgmma\\.commit_group[^;]*;";
inline constexpr const char* kWarpgroupProduct = "wgmma\\.mma_async[^;]*;";

/// One test for each mutant.
class Mutants : public ::testing::TestWithParam<Mutant> {
 protected:
  /// Demands that `right` is false on a device of a capability, or throws an error of the device.
  static void expect_caught(const std::function<bool()>& right,
                            const gpu::Capability& capability = {8, 0});
};

/// `right` on a device of a capability, started for it like a mutant's.
bool right_without_mutant(const std::function<bool()>& right,
                          const gpu::Capability& capability = {8, 0});

/// A text in which every match of a regular expression is replaced.
std::string replaced(const std::string& text, const std::string& pattern,
                     const std::string& replacement);

}  // namespace planted
