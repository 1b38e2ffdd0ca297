#include <gtest/gtest.h>

#include <attend/core/dtype.hpp>

namespace {

using attend::Dtype;

TEST(Dtype, NamesAndSizes) {
  EXPECT_STREQ(attend::name(Dtype::f16), "f16");
  EXPECT_STREQ(attend::name(Dtype::bf16), "bf16");
  EXPECT_STREQ(attend::name(Dtype::f32), "f32");
  EXPECT_STREQ(attend::name(Dtype::f64), "f64");
  EXPECT_EQ(attend::size_bytes(Dtype::f16), 2);
  EXPECT_EQ(attend::size_bytes(Dtype::bf16), 2);
  EXPECT_EQ(attend::size_bytes(Dtype::f32), 4);
  EXPECT_EQ(attend::size_bytes(Dtype::f64), 8);
  EXPECT_STREQ(attend::name(attend::Device::host), "host");
  EXPECT_STREQ(attend::name(attend::Device::cuda), "cuda");
}

}  // namespace
