#include <gtest/gtest.h>

#include <attend/select/path.hpp>

namespace {

using attend::Capability;

TEST(Path, Names) {
  EXPECT_STREQ(attend::name(attend::Path::math), "math");
  EXPECT_STREQ(attend::name(attend::Path::fused), "fused");
  EXPECT_STREQ(attend::name(attend::Path::flash), "flash");
  EXPECT_STREQ(attend::name(attend::Path::mem_efficient), "mem_efficient");
}

TEST(Capability, IsOrderedAsVersionsAre) {
  EXPECT_LT((Capability{7, 5}), (Capability{8, 0}));
  EXPECT_LT((Capability{9, 0}), (Capability{12, 0}));
  EXPECT_EQ((Capability{8, 0}), attend::kCapabilityA100);
}

TEST(Backends, TheOriginalsTriple) {
  const attend::Backends a100 = attend::backends({8, 0});
  EXPECT_TRUE(a100.flash && !a100.math && !a100.mem_efficient);
  for (const Capability capability : {Capability{7, 5}, {8, 6}, {9, 0}}) {
    const attend::Backends other = attend::backends(capability);
    EXPECT_TRUE(!other.flash && other.math && other.mem_efficient);
  }
}

}  // namespace
