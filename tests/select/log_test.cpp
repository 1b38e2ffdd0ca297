#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attend/select/log.hpp>
#include <cstdlib>
#include <vector>

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Log, OneLinePerDevice) {
  std::vector<std::string> lines;
  attend::set_logger([&](const std::string& line) { lines.push_back(line); });
  attend::Log& log = attend::Log::instance();
  log.choice("host", {attend::Path::fused, "flash is on"});
  log.choice("host", {attend::Path::math, "flash is off"});
  log.choice("device 0", {attend::Path::flash, "an A100"});
  EXPECT_THAT(lines, ElementsAre(AllOf(HasSubstr("host"), HasSubstr("fused"), HasSubstr("is on")),
                                 AllOf(HasSubstr("device 0"), HasSubstr("flash"))));
  attend::set_logger({});
  log.choice("device 1", {attend::Path::flash, ""});
  EXPECT_EQ(lines.size(), 2u);
  attend::set_logger([&](const std::string& line) { lines.push_back(line); });
  log.choice("host", {attend::Path::fused, "told anew"});
  EXPECT_EQ(lines.size(), 3u);
  attend::set_logger({});
}

// A logger may itself use the library.
TEST(Log, LoggerMaySetALogger) {
  attend::set_logger([](const std::string&) { attend::set_logger({}); });
  attend::Log::instance().choice("host", {});
}

// The environment is read once, so each of these runs in a process of its own.
void choose_and_exit() {
  attend::Log::instance().choice("host", {attend::Path::fused, "flash is on"});
  std::exit(0);
}

TEST(LogDeathTest, EnvironmentAsksForLinesOnStderr) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  setenv("ATTEND_LOG", "1", 1);
  EXPECT_EXIT(choose_and_exit(), testing::ExitedWithCode(0),
              "attend: host: fused path: flash is on");
  unsetenv("ATTEND_LOG");
}

TEST(LogDeathTest, SilentUnlessAsked) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  unsetenv("ATTEND_LOG");
  EXPECT_EXIT(choose_and_exit(), testing::ExitedWithCode(0), "^$");
}

}  // namespace
