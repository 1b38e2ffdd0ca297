#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attend/select/obstacle.hpp>

namespace {

using attend::Device;
using attend::Dtype;
using attend::Path;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(WhyNot, NamesEveryReason) {
  const attend::Problem problem{
      .head_dim = 300, .head_dim_v = 64, .dtype = Dtype::f32, .device = Device::cuda};
  EXPECT_THAT(attend::why_not(Path::flash, problem, {7, 0}),
              ElementsAre(HasSubstr("f32"), HasSubstr("7.0"), HasSubstr("300")));
  EXPECT_THAT(attend::why_not(Path::mem_efficient, problem, {7, 0}), ElementsAre(HasSubstr("7.0")));
  EXPECT_THAT(attend::why_not(Path::fused, problem, {7, 0}), ElementsAre(HasSubstr("host")));
  EXPECT_THAT(attend::why_not(Path::math, problem, {7, 5}), IsEmpty());
}

TEST(WhyNot, OnTheHost) {
  const attend::Problem problem{.dtype = Dtype::f64, .device = Device::host};
  EXPECT_THAT(attend::why_not(Path::math, problem), IsEmpty());
  EXPECT_THAT(attend::why_not(Path::fused, problem), IsEmpty());
  EXPECT_THAT(attend::why_not(Path::mem_efficient, problem),
              ElementsAre(HasSubstr("lie on the host"), HasSubstr("f64")));
}

// `can` and `why_not` never disagree.
TEST(WhyNot, IsEmptyExactlyWhereThePathCan) {
  for (const Path path : {Path::math, Path::fused, Path::flash, Path::mem_efficient})
    for (const Device device : {Device::host, Device::cuda})
      for (const Dtype dtype : {Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64})
        for (const int head_dim : {64, 256, 257})
          for (const int major : {6, 7, 8, 9}) {
            const attend::Problem problem{.head_dim = head_dim, .dtype = dtype, .device = device};
            EXPECT_EQ(attend::can(path, problem, {major, 0}),
                      attend::why_not(path, problem, {major, 0}).empty());
          }
}

}  // namespace
