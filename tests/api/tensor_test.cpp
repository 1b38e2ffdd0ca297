#include <gtest/gtest.h>

#include <attend/api/tensor.hpp>
#include <type_traits>

namespace {

using attend::as_view;
using Row = Eigen::Tensor<float, 3, Eigen::RowMajor>;
using Column = Eigen::Tensor<float, 3>;

TEST(AsView, StridesOfBothLayouts) {
  Row row(2, 3, 4);
  Column column(2, 3, 4);
  EXPECT_EQ(as_view(row).strides(), (attend::Strides<3>{12, 4, 1}));
  EXPECT_EQ(as_view(column).strides(), (attend::Strides<3>{1, 2, 6}));
  EXPECT_EQ(&as_view(row)(1, 2, 3), &row(1, 2, 3));
  EXPECT_EQ(&as_view(column)(1, 2, 3), &column(1, 2, 3));
}

TEST(AsView, ConstAndMaps) {
  const Row row(2, 3, 4);
  static_assert(std::is_same_v<decltype(as_view(row))::value_type, const float>);
  float data[24] = {};
  Eigen::TensorMap<Column> map(data, 2, 3, 4);
  EXPECT_EQ(&as_view(map)(1, 2, 3), &map(1, 2, 3));
  Eigen::TensorFixedSize<float, Eigen::Sizes<2, 3>, Eigen::RowMajor> fixed;
  EXPECT_EQ(as_view(fixed).strides(), (attend::Strides<2>{3, 1}));
}

TEST(AsView, ConceptsTellRankAndType) {
  static_assert(attend::HostTensor<Row, float, 3>);
  static_assert(attend::HostTensor<attend::View<const float, 3>, float, 3>);
  static_assert(!attend::HostTensor<Row, float, 4>);
  static_assert(!attend::HostTensor<Row, double, 3>);
  static_assert(!attend::WritableTensorAt<const Row&, attend::Device::host, float, 3>);
  static_assert(attend::WritableTensorAt<Row&, attend::Device::host, float, 3>);
  using Sum = decltype(std::declval<Row>() + std::declval<Row>());
  static_assert(!attend::HostTensor<Sum, float, 3>);  // an expression has no memory
}

}  // namespace
