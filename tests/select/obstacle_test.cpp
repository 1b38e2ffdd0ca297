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

// The flash kernels count queries and keys in 32 bits.
TEST(Obstacles, Lengths) {
  attend::Problem problem{
      .len_q = 8, .len_k = 8, .head_dim = 64, .dtype = Dtype::f16, .device = Device::cuda};
  EXPECT_TRUE(attend::can(Path::flash, problem, {9, 0}));
  for (std::int64_t attend::Problem::*length : {&attend::Problem::len_q, &attend::Problem::len_k}) {
    attend::Problem longer = problem;
    longer.*length = std::int64_t{1} << 31;
    EXPECT_FALSE(attend::can(Path::flash, longer, {9, 0}));
    EXPECT_TRUE(attend::can(Path::mem_efficient, longer, {9, 0}));
  }
  problem.len_q = std::int64_t{1} << 31;
  EXPECT_EQ(attend::why_not(Path::flash, problem, {9, 0}).front(),
            "the flash path takes up to 2147483392 queries and keys; q has 2147483648, k has 8");
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
