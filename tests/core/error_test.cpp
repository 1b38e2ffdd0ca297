#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attend/core/error.hpp>
#include <type_traits>

namespace {

using ::testing::ElementsAre;

TEST(Error, AllHaveOneBase) {
  static_assert(std::is_base_of_v<std::runtime_error, attend::error>);
  static_assert(std::is_base_of_v<attend::error, attend::shape_error>);
  static_assert(std::is_base_of_v<attend::error, attend::value_error>);
  static_assert(std::is_base_of_v<attend::error, attend::unsupported_error>);
  static_assert(std::is_base_of_v<attend::error, attend::memory_error>);
  static_assert(std::is_base_of_v<attend::error, attend::device_error>);
}

TEST(Error, UnsupportedListsItsReasons) {
  const attend::unsupported_error error("path x cannot run", {"one", "two"});
  EXPECT_STREQ(error.what(), "path x cannot run: one; two");
  EXPECT_THAT(error.reasons(), ElementsAre("one", "two"));
}

TEST(Error, DeviceNamesTheCall) {
  const attend::device_error error("cudaMalloc(&p, 4)", 2, "out of memory");
  EXPECT_STREQ(error.what(), "cudaMalloc(&p, 4) failed with code 2: out of memory");
  EXPECT_EQ(error.code(), 2);
  EXPECT_EQ(error.call(), "cudaMalloc(&p, 4)");
}

}  // namespace
