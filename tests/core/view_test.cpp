#include <gtest/gtest.h>

#include <attend/core/view.hpp>
#include <vector>

namespace {

using attend::View;

TEST(View, NullIsNotGiven) {
  EXPECT_FALSE((View<float, 4>()));
  float x = 0;
  EXPECT_TRUE((View<float, 1>(&x, {1})));

  EXPECT_FALSE((View<float, 4>().given()));
  EXPECT_TRUE((View<float, 1>(&x, {1}).given()));
  EXPECT_TRUE((View<float, 2>(nullptr, {0, 0}).given()));  // a tensor without elements
  EXPECT_TRUE((View<float, 2>(nullptr, {2, 3}).given()));  // a tensor without memory: an error
}

TEST(View, ContiguousStrides) {
  std::vector<int> data(24);
  for (int n = 0; n < 24; ++n) data[static_cast<std::size_t>(n)] = n;
  const View<const int, 3> view(data.data(), {2, 3, 4});
  EXPECT_EQ(view.strides(), (attend::Strides<3>{12, 4, 1}));
  EXPECT_EQ(view(1, 2, 3), 23);
  EXPECT_EQ(view.offset(1), 12);
  EXPECT_EQ(view.size(), 24);
}

TEST(View, AnyStrides) {
  std::vector<int> data = {0, 1, 2, 3, 4, 5};
  const View<int, 2> reversed(data.data() + 5, {2, 3}, {-3, -1});
  EXPECT_EQ(reversed(0, 0), 5);
  EXPECT_EQ(reversed(1, 2), 0);
  const View<const int, 2> repeated(data.data(), {4, 3}, {0, 1});
  EXPECT_EQ(repeated(3, 2), 2);
}

TEST(View, CountsPast32Bits) {
  const char data = 'x';
  const View<const char, 2> repeated(&data, {std::int64_t{1} << 20, std::int64_t{1} << 20}, {0, 0});
  EXPECT_EQ(repeated.size(), std::int64_t{1} << 40);
  const View<const char, 2> vast(&data, {1 << 20, 1 << 20}, {1 << 20, 1});
  EXPECT_EQ(vast.offset((1 << 20) - 1, 0), ((std::int64_t{1} << 20) - 1) << 20);
}

TEST(View, SplitHeads) {
  float data[2 * 3 * 4 * 5] = {};
  const auto view = attend::split_heads(data, 2, 3, 4, 5);
  EXPECT_EQ(view.extents(), (attend::Extents<4>{2, 4, 3, 5}));
  EXPECT_EQ(&view(1, 2, 1, 3), data + ((1 * 3 + 1) * 4 + 2) * 5 + 3);
}

}  // namespace
