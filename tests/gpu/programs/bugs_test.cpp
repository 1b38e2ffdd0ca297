// Each class of bug is found, named rightly, and placed on its line of the source.
#include "bugs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <ostream>
#include <set>

#include "emulation.hpp"

namespace programs {

void PrintTo(const Bug& bug, std::ostream* out) { *out << bug.name; }

namespace {

// The lines of that source that are marked as the place of that bug.
std::set<int> marked_lines(const std::string& path, const std::string& bug) {
  std::ifstream source(path);
  std::set<int> lines;
  std::string text;
  for (int line = 1; std::getline(source, text); ++line) {
    if (text.ends_with("// BUG " + bug)) lines.insert(line);
  }
  return lines;
}

class Bugs : public testing::TestWithParam<Bug> {};

TEST_P(Bugs, AreReported) {
  const Bug& bug = GetParam();
  Emulation emulation;
  if (emulation.control() == nullptr) GTEST_SKIP() << "a real GPU reports little of this";
  emulation.print_failures = false;
  emulation.step_limit = 100'000;
  const bool hopper = bug.least_capability == 90;
  const std::string source =
      std::string(ATTEND_BUGS_FOLDER) + (hopper ? "/hopper/bugs.cu" : "/bugs.cu");
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE("ATTEND_EMULATED_SEED=" + std::to_string(seed));
    emulation.start(hopper ? gpu::Capability{9, 0} : gpu::Capability{8, 0}, seed);
    EXPECT_EQ(bug.run().error, bug.error);
    // The error stays, whatever is called.
    EXPECT_EQ(cudaGetLastError(), bug.error);
    EXPECT_EQ(cudaDeviceSynchronize(), bug.error);
    std::vector<gpu::Report> failures = emulation.control()->take_failures();
    ASSERT_EQ(failures.size(), 1u);
    const gpu::Report& report = failures[0];
    const std::string text = report.text();
    EXPECT_NE(std::find(bug.faults.begin(), bug.faults.end(), report.fault), bug.faults.end())
        << text;
    EXPECT_NE(text.find(bug.part_of_message), std::string::npos) << text;
    EXPECT_NE(text.find(gpu::to_string(report.fault)), std::string::npos) << text;
    EXPECT_NE(report.kernel.find("_kernel("), std::string::npos) << report.kernel;
    std::set<int> lines = marked_lines(source, bug.name);
    if (!lines.empty()) {
      EXPECT_TRUE(report.file.ends_with(hopper ? "hopper/bugs.cu" : "/bugs.cu")) << text;
      EXPECT_TRUE(lines.count(report.line)) << text;
      EXPECT_NE(text.find("bugs.cu:" + std::to_string(report.line)), std::string::npos) << text;
    }
  }
}

std::string bug_name(const testing::TestParamInfo<Bug>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(All, Bugs, testing::ValuesIn(all_bugs()), bug_name);

TEST(KeepGoing, ReportsAndFinishes) {
  Emulation emulation;
  if (emulation.control() == nullptr) GTEST_SKIP() << "a real GPU reports little of this";
  emulation.print_failures = false;
  emulation.start({8, 0}, 1);
  gpu::RuntimeOptions options = emulation.control()->options();
  options.launch.keep_going = true;
  emulation.control()->restart(options);
  EXPECT_EQ(uninitialised_shared().error, cudaSuccess);
  std::vector<gpu::Report> failures = emulation.control()->take_failures();
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].fault, gpu::Fault::undefined_store);
}

}  // namespace
}  // namespace programs
