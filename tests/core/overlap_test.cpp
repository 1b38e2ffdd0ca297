#include <gtest/gtest.h>

#include <attend/core/overlap.hpp>
#include <random>
#include <set>

namespace {

using attend::Footprint;
using attend::View;

TEST(Footprint, InterleavedTensorsShareNothing) {
  float data[2 * 3 * 4 * 5] = {};  // (b n 4 d): four tensors of (b n d)
  const attend::Extents<3> extents{2, 3, 5};
  const attend::Strides<3> strides{60, 20, 1};
  const View<float, 3> first(data, extents, strides), second(data + 5, extents, strides);
  const View<float, 3> shifted(data + 4, extents, strides);
  EXPECT_FALSE(Footprint(first).overlaps(Footprint(second)));
  EXPECT_TRUE(Footprint(first).overlaps(Footprint(shifted)));
  EXPECT_TRUE(Footprint(first).overlaps(Footprint(first)));
}

TEST(Footprint, EmptyAndNullTakeNothing) {
  float data[4] = {};
  const View<float, 2> whole(data, {2, 2});
  EXPECT_FALSE((Footprint(whole).overlaps(Footprint(View<float, 2>(data, {0, 2})))));
  EXPECT_FALSE((Footprint(whole).overlaps(Footprint(View<float, 2>()))));
}

TEST(Footprint, OverlapsItself) {
  float data[100] = {};
  EXPECT_FALSE((Footprint(View<float, 2>(data, {3, 4})).overlaps_itself()));
  EXPECT_FALSE((Footprint(View<float, 2>(data + 11, {3, 4}, {-4, -1})).overlaps_itself()));
  EXPECT_TRUE((Footprint(View<float, 2>(data, {3, 4}, {0, 1})).overlaps_itself()));
  EXPECT_FALSE((Footprint(View<float, 2>(data, {1, 4}, {0, 1})).overlaps_itself()));
  EXPECT_TRUE((Footprint(View<float, 2>(data, {3, 4}, {3, 1})).overlaps_itself()));
  EXPECT_FALSE((Footprint(View<float, 2>(data, {3, 4}, {2, 7})).overlaps_itself()));
}

// Whole tensors of one buffer, far too many rows to look at each of them.
TEST(Footprint, ManyRows) {
  const auto at = [](std::int64_t n) { return reinterpret_cast<char*>(4096 + n); };  // not read
  constexpr std::int64_t kMany = 1 << 20;
  const attend::Extents<4> extents{kMany, 16, kMany, 64};
  const attend::Strides<4> strides{kMany * 3072, 64, 3072, 1};
  const View<char, 4> q(at(0), extents, strides), k(at(1024), extents, strides),
      shifted(at(1023 * kMany * 3072 + 1000), extents, strides),
      wide(at(2048), {kMany, kMany, 1024, 1}, {kMany * 3072, 3072, 1, 1});
  EXPECT_FALSE(Footprint(q).overlaps(Footprint(k)));
  EXPECT_FALSE(Footprint(q).overlaps(Footprint(wide)));
  EXPECT_TRUE(Footprint(q).overlaps(Footprint(shifted)));
  EXPECT_FALSE(Footprint(q).overlaps_itself());
}

// Strides that are nearly equal, and even: of an odd distance.
TEST(Footprint, ManyRowsThatAreNotNested) {
  const attend::Extents<4> extents{64, 64, 64, 64};
  const View<float, 4> a(reinterpret_cast<float*>(4096), extents,
                         {2000006, 2000026, 2000058, 2000062}),
      b(reinterpret_cast<float*>(4100), extents, {2000082, 2000118, 2000126, 2000142});
  EXPECT_FALSE(Footprint(a).overlaps(Footprint(b)));
}

// Random views of a small buffer of two-byte elements, against the sets of their bytes.
TEST(Footprint, AgreesWithTheSetsOfBytes) {
  std::mt19937 random(5);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<short> data(400);
  const auto view = [&] {
    return View<short, 3>(data.data() + 150 + below(60), {1 + below(3), 1 + below(4), 1 + below(4)},
                          {below(41) - 20, below(15) - 7, below(7) - 3});
  };
  int overlaps = 0;
  for (int round = 0; round < 5000; ++round) {
    const View<short, 3> views[] = {view(), view()};
    std::set<const short*> elements[2];
    bool itself[2] = {};
    for (int n = 0; n < 2; ++n)
      for (int x = 0; x < views[n].extent(0); ++x)
        for (int y = 0; y < views[n].extent(1); ++y)
          for (int z = 0; z < views[n].extent(2); ++z)
            itself[n] = !elements[n].insert(&views[n](x, y, z)).second || itself[n];
    bool shared = false;
    for (const short* element : elements[0]) shared = shared || elements[1].count(element) != 0;
    ASSERT_EQ(Footprint(views[0]).overlaps(Footprint(views[1])), shared);
    ASSERT_EQ(Footprint(views[0]).overlaps_itself(), itself[0]);
    overlaps += shared;
  }
  EXPECT_GT(overlaps, 500);
  EXPECT_LT(overlaps, 4500);
}

}  // namespace
