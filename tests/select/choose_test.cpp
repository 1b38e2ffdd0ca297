#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attend/select/choose.hpp>
#include <thread>

namespace {

using attend::Capability;
using attend::choose;
using attend::Device;
using attend::Dtype;
using attend::Path;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

const attend::Options kFlash{.flash = true};

attend::Problem on(Device device, Dtype dtype = Dtype::f16) {
  return {.batch = 2,
          .heads = 8,
          .heads_kv = 8,
          .len_q = 256,
          .len_k = 1024,
          .head_dim = 32,
          .head_dim_v = 32,
          .dtype = dtype,
          .device = device};
}

TEST(Choose, OnTheHost) {
  EXPECT_EQ(choose(on(Device::host), kFlash).path, Path::fused);
  EXPECT_EQ(choose(on(Device::host), {}).path, Path::math);
  EXPECT_EQ(choose(on(Device::host), kFlash, {8, 0}).path, Path::fused);  // whatever the device
}

// The rule: 8.0 takes flash, every other capability mem-efficient.
TEST(Choose, OnADevice) {
  for (const Capability capability :
       {Capability{7, 5}, {8, 6}, {8, 7}, {8, 9}, {9, 0}, {10, 0}, {12, 0}, {12, 1}}) {
    EXPECT_EQ(choose(on(Device::cuda), kFlash, capability).path, Path::mem_efficient);
    EXPECT_EQ(choose(on(Device::cuda), {}, capability).path, Path::math);
  }
  EXPECT_EQ(choose(on(Device::cuda), kFlash, {8, 0}).path, Path::flash);
  EXPECT_EQ(choose(on(Device::cuda), {}, {8, 0}).path, Path::math);
}

TEST(Choose, FallsBackAndSaysWhy) {
  const auto single = choose(on(Device::cuda, Dtype::f32), kFlash, {8, 0});
  EXPECT_EQ(single.path, Path::mem_efficient);
  EXPECT_THAT(single.reason, HasSubstr("f32"));
  const auto twice = choose(on(Device::cuda, Dtype::f64), kFlash, {8, 0});
  EXPECT_EQ(twice.path, Path::math);
  EXPECT_THAT(twice.reason, AllOf(HasSubstr("flash path"), HasSubstr("mem_efficient path")));
  attend::Problem wide = on(Device::cuda);
  wide.head_dim = 320;
  const auto large = choose(wide, kFlash, {8, 0});
  EXPECT_EQ(large.path, Path::mem_efficient);
  EXPECT_THAT(large.reason, HasSubstr("320"));
  EXPECT_EQ(choose(on(Device::cuda), kFlash, {7, 0}).path, Path::math);
}

TEST(Choose, ForcedPath) {
  EXPECT_EQ(choose(on(Device::host), {}, {}, Path::fused).path, Path::fused);
  EXPECT_EQ(choose(on(Device::host), kFlash, {}, Path::math).path, Path::math);
  EXPECT_EQ(choose(on(Device::cuda), kFlash, {9, 0}, Path::flash).path, Path::flash);
  try {
    choose(on(Device::host, Dtype::f32), kFlash, {}, Path::flash);
    FAIL() << "a flash path on the host";
  } catch (const attend::unsupported_error& error) {
    EXPECT_EQ(error.reasons(), attend::why_not(Path::flash, on(Device::host, Dtype::f32)));
    EXPECT_EQ(error.reasons().size(), 2u);
    for (const std::string& reason : error.reasons()) EXPECT_THAT(error.what(), HasSubstr(reason));
  }
}

TEST(Choose, OverridesNestAndStayOnTheirThread) {
  const attend::Problem problem = on(Device::host);
  {
    const attend::PathOverride outer(Path::math);
    EXPECT_EQ(choose(problem, kFlash).path, Path::math);
    {
      const attend::PathOverride inner(Path::fused);
      EXPECT_EQ(choose(problem, {}).path, Path::fused);
      EXPECT_EQ(choose(problem, {}, {}, Path::math).path, Path::math);  // the argument goes first
    }
    EXPECT_EQ(choose(problem, kFlash).path, Path::math);
    std::thread([&] { EXPECT_EQ(choose(problem, kFlash).path, Path::fused); }).join();
  }
  EXPECT_EQ(choose(problem, kFlash).path, Path::fused);
  const attend::PathOverride flash(Path::flash);
  EXPECT_THROW(choose(problem, kFlash), attend::unsupported_error);
}

// The choice and the reasons come from one source: whatever is chosen can run.
TEST(Choose, NeverPicksWhatCannotRun) {
  for (const Device device : {Device::host, Device::cuda})
    for (const Dtype dtype : {Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64})
      for (const int head_dim : {1, 64, 256, 257, 1024})
        for (const int major : {0, 6, 7, 8, 9, 12})
          for (const int minor : {0, 5}) {
            attend::Problem problem = on(device, dtype);
            problem.head_dim_v = head_dim;
            const Path path = choose(problem, kFlash, {major, minor}).path;
            if (path == Path::math) continue;
            EXPECT_TRUE(attend::why_not(path, problem, {major, minor}).empty());
          }
}

}  // namespace
