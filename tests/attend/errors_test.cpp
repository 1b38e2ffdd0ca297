// Every wrong argument gets an error that names it, says what it was and what was expected; nothing
// has been written and the object is as it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cmath>
#include <functional>
#include <limits>

#include "support/strided.hpp"

namespace {

using attend::Call;
using ::testing::HasSubstr;
using Row = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using Mask2 = Eigen::Tensor<bool, 2, Eigen::RowMajor>;
using Mask4 = Eigen::Tensor<bool, 4, Eigen::RowMajor>;
using Vector = Eigen::Tensor<float, 1, Eigen::RowMajor>;
using Matrix = Eigen::Tensor<float, 2, Eigen::RowMajor>;
using View4 = attend::View<const float, 4>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class Tensor, class... Extents>
Tensor filled(Extents... extents) {
  Tensor x(extents...);
  x.setConstant(typename Tensor::Scalar(1));
  return x;
}

class Errors : public ::testing::Test {
 protected:
  // Runs with every argument right but those that `change` makes wrong.
  struct Arguments {
    View4 q, k, v;
    Call<float> call;
    attend::View<float, 4> out;
    attend::View<float, 3> lse;
  };

  template <class Error>
  void expect(const std::function<void(Arguments&)>& change,
              std::initializer_list<const char*> words) {
    support::Strided<float, 4> out({2, 8, 5, 6}, support::Layout::padded);
    support::Strided<float, 3> lse({2, 8, 5}, support::Layout::padded);
    Arguments a{
        attend::as_view(std::as_const(q)),          attend::as_view(std::as_const(k)),
        attend::as_view(std::as_const(v)),          {},
        {out.data(), out.extents(), out.strides()}, {lse.data(), lse.extents(), lse.strides()}};
    change(a);
    for (const bool flash : {false, true}) {
      const attend::Attend<float> attention{{.dropout = 0.5, .flash = flash, .seed = 3}};
      try {
        attention.forward_into(a.out, a.lse, a.q, a.k, a.v, a.call);
        ADD_FAILURE() << "no error; expected one that names " << *words.begin();
      } catch (const Error& error) {
        for (const char* word : words) EXPECT_THAT(error.what(), HasSubstr(word));
      } catch (const std::exception& error) {
        ADD_FAILURE() << "another type of error: " << error.what();
      }
      EXPECT_TRUE(out.untouched() && lse.untouched());
      EXPECT_EQ(attention.rng().offset, 0u);
    }
  }
  void expect_shape(const std::function<void(Arguments&)>& change,
                    std::initializer_list<const char*> words) {
    expect<attend::shape_error>(change, words);
  }
  void expect_value(const std::function<void(Arguments&)>& change,
                    std::initializer_list<const char*> words) {
    expect<attend::value_error>(change, words);
  }

  // b 2, h 8, i 5, d 4; h_kv 2, j 7, e 6
  Row q = filled<Row>(2, 8, 5, 4), k = filled<Row>(2, 2, 7, 4), v = filled<Row>(2, 2, 7, 6);
};

TEST_F(Errors, ShapesOfKeysAndValues) {
  const auto with_k = [&](int b, int h, int n, int d, std::initializer_list<const char*> words) {
    const Row other = filled<Row>(b, h, n, d);
    expect_shape([&](Arguments& a) { a.k = attend::as_view(other); }, words);
  };
  const auto with_v = [&](int b, int h, int n, int d, std::initializer_list<const char*> words) {
    const Row other = filled<Row>(b, h, n, d);
    expect_shape([&](Arguments& a) { a.v = attend::as_view(other); }, words);
  };
  with_k(3, 2, 7, 4, {"k has 3 batch elements", "2"});
  with_k(2, 2, 7, 5, {"k has head dim 5", "expected 4"});
  with_v(3, 2, 7, 6, {"v has 3 batch elements", "2"});
  with_v(2, 1, 7, 6, {"v has 1 head", "expected 2"});
  with_v(2, 2, 8, 6, {"v has 8 keys", "expected 7"});
  const Row k7 = filled<Row>(2, 7, 7, 4), v7 = filled<Row>(2, 7, 7, 6);
  expect_shape([&](Arguments& a) { a.k = attend::as_view(k7), a.v = attend::as_view(v7); },
               {"k has 7 heads; the 8 query heads must be a multiple of them"});
  const Row k0 = filled<Row>(2, 0, 7, 4), v0 = filled<Row>(2, 0, 7, 6);
  expect_shape([&](Arguments& a) { a.k = attend::as_view(k0), a.v = attend::as_view(v0); },
               {"k has 0 heads", "8 query heads"});
}

TEST_F(Errors, HeadDimZero) {
  const Row q0 = filled<Row>(2, 8, 5, 0), k0 = filled<Row>(2, 2, 7, 0);
  expect_shape([&](Arguments& a) { a.q = attend::as_view(q0), a.k = attend::as_view(k0); },
               {"q has head dim 0", "at least 1"});
}

TEST_F(Errors, NegativeExtents) {
  expect_shape(
      [&](Arguments& a) {
        a.q = {q.data(), {2, 8, -5, 4}, {1, 1, 1, 1}};
      },
      {"q has extents (2, 8, -5, 4)"});
}

TEST_F(Errors, MoreElementsThanCanBeCounted) {
  constexpr std::int64_t kMany = std::int64_t{1} << 40;
  expect_shape(
      [&](Arguments& a) {
        a.k = {k.data(), {2, kMany, kMany, 4}};
      },
      {"k has extents (2, 1099511627776, 1099511627776, 4)", "fewer than 2^63"});
  expect_shape(
      [&](Arguments& a) {
        a.q = {q.data(), {1, 1, kMany, 1}, {0, 0, 0, 1}};
        a.k = {k.data(), {1, 1, 1, 1}};
        a.v = {v.data(), {1, 1, 1, kMany}, {0, 0, 0, 0}};
      },
      {"the output of q and v has extents (1, 1, 1099511627776, 1099511627776)"});
}

TEST_F(Errors, NullPointers) {
  expect_value([&](Arguments& a) { a.q = {nullptr, {2, 8, 5, 4}}; }, {"q is a null pointer"});
  expect_value([&](Arguments& a) { a.k = {nullptr, {2, 2, 7, 4}}; }, {"k is a null pointer"});
  expect_value([&](Arguments& a) { a.v = {nullptr, {2, 2, 7, 6}}; }, {"v is a null pointer"});
  expect_value([&](Arguments& a) { a.out = {nullptr, {2, 8, 5, 6}}; }, {"out is a null pointer"});
  expect_value([&](Arguments& a) { a.lse = {nullptr, {2, 8, 5}}; }, {"lse is a null pointer"});
  expect_value(
      [&](Arguments& a) {
        a.call.bias = View4(nullptr, {1, 1, 5, 7});
      },
      {"bias is a null pointer"});
  expect_value(
      [&](Arguments& a) {
        a.call.mask = attend::View<const bool, 2>(nullptr, {2, 7});
      },
      {"mask is a null pointer"});
}

TEST_F(Errors, NullViewsAndEmptyTensors) {
  expect_value([](Arguments& a) { a.q = {}; }, {"q is a null view; expected a tensor"});
  expect_value([](Arguments& a) { a.k = {}; }, {"k is a null view; expected a tensor"});
  expect_value([](Arguments& a) { a.v = {}; }, {"v is a null view; expected a tensor"});
  const Row never_filled;
  expect_shape([&](Arguments& a) { a.q = attend::as_view(never_filled); }, {"q has head dim 0"});
  const Mask4 no_mask;
  expect_shape([&](Arguments& a) { a.call.mask = no_mask; }, {"mask has extents (0, 0, 0, 0)"});
  const Eigen::Tensor<std::int32_t, 1, Eigen::RowMajor> no_lengths;
  expect_shape([&](Arguments& a) { a.call.key_lengths = no_lengths; },
               {"key_lengths has 0 elements"});
}

TEST_F(Errors, AddressesOffTheirAlignment) {
  alignas(8) char bytes[5000] = {};
  const auto* odd = reinterpret_cast<const float*>(bytes + 1);
  expect_value([&](Arguments& a) { a.q = {odd, {2, 8, 5, 4}}; }, {"q", "multiple of 4"});
  expect_value(
      [&](Arguments& a) {
        a.call.bias = View4(odd, {1, 1, 5, 7});
      },
      {"bias", "multiple of 4"});
}

TEST_F(Errors, Outputs) {
  expect_shape(
      [&](Arguments& a) {
        a.out = {a.out.data(), {2, 8, 5, 4}, a.out.strides()};
      },
      {"out has extents (2, 8, 5, 4)", "expected (2, 8, 5, 6)"});
  expect_shape(
      [&](Arguments& a) {
        a.lse = {a.lse.data(), {2, 8, 4}, a.lse.strides()};
      },
      {"lse has extents (2, 8, 4)", "expected (2, 8, 5)"});
  expect_value(
      [&](Arguments& a) {
        a.out = {a.out.data(), {2, 8, 5, 6}, {0, 40, 8, 1}};
      },
      {"out has elements that share memory"});
  expect_value(
      [&](Arguments& a) {
        a.lse = {a.lse.data(), {2, 8, 5}, {8, 4, 1}};
      },
      {"lse has elements that share memory"});
}

TEST_F(Errors, Overlap) {
  const auto out_in = [](Row& x) {
    return attend::View<float, 4>(x.data(), {2, 8, 5, 6}, {1, 2, 16, 80});
  };
  Row qs = filled<Row>(2, 8, 5, 40), ks = filled<Row>(2, 8, 15, 40), vs = filled<Row>(2, 8, 15, 6);
  const auto shapes = [&](Arguments& a) {
    a.q = attend::as_view(std::as_const(qs)), a.k = attend::as_view(std::as_const(ks));
    a.v = attend::as_view(std::as_const(vs));
  };
  expect_value([&](Arguments& a) { shapes(a), a.out = out_in(qs); }, {"out overlaps q"});
  expect_value([&](Arguments& a) { shapes(a), a.out = out_in(ks); }, {"out overlaps k"});
  expect_value([&](Arguments& a) { shapes(a), a.out = out_in(vs); }, {"out overlaps v"});
  expect_value(
      [&](Arguments& a) {
        shapes(a), a.lse = {qs.data() + qs.size() - 80, {2, 8, 5}};
      },
      {"lse overlaps q"});
  Row bias = filled<Row>(2, 8, 5, 15);
  expect_value([&](Arguments& a) { shapes(a), a.call.bias = bias, a.out = out_in(bias); },
               {"out overlaps bias"});
  expect_value([&](Arguments& a) { a.lse = {a.out.data(), {2, 8, 5}}; }, {"out overlaps lse"});
}

TEST_F(Errors, Scalars) {
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    expect_value([&](Arguments& a) { a.call.scale = bad; }, {"scale is", "finite"});
    expect_value([&](Arguments& a) { a.call.softcap = bad; }, {"softcap is", "finite"});
  }
  expect_value([&](Arguments& a) { a.call.softcap = -1; }, {"softcap is -1"});
  expect_value([&](Arguments& a) { a.call.window = {.left = -2}; }, {"window.left is -2", "-1"});
  expect_value([&](Arguments& a) { a.call.window = {.right = -5}; }, {"window.right is -5", "-1"});
}

TEST_F(Errors, Dropout) {
  for (const double bad : {-0.1, 1.5, kNan, kInfinity}) {
    try {
      const attend::Attend<float> attention{{.dropout = bad}};
      ADD_FAILURE() << bad;
    } catch (const attend::value_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("dropout is"));
    }
  }
}

TEST_F(Errors, BiasAndMask) {
  const Row bias = filled<Row>(2, 2, 5, 7);
  expect_shape([&](Arguments& a) { a.call.bias = bias; },
               {"bias has extents (2, 2, 5, 7)", "8 or 1"});
  const Mask2 mask2 = filled<Mask2>(2, 6);
  expect_shape([&](Arguments& a) { a.call.mask = mask2; }, {"mask has extents (2, 6)", "7 or 1"});
  const Mask2 queries = filled<Mask2>(5, 7);  // no (i j) meaning of rank 2
  expect_shape([&](Arguments& a) { a.call.mask = queries; }, {"mask has extents (5, 7)"});
  const Mask4 mask4 = filled<Mask4>(2, 1, 4, 7);
  expect_shape([&](Arguments& a) { a.call.mask = mask4; },
               {"mask has extents (2, 1, 4, 7)", "5 or 1"});
  const Mask4 none = filled<Mask4>(2, 0, 5, 7);
  expect_shape([&](Arguments& a) { a.call.mask = none; }, {"mask has extents (2, 0, 5, 7)"});
}

TEST_F(Errors, PerHead) {
  const Vector two = filled<Vector>(2);
  const Matrix wrong = filled<Matrix>(3, 8);
  expect_shape([&](Arguments& a) { a.call.alibi = two; }, {"alibi has extents (2)", "8"});
  expect_shape([&](Arguments& a) { a.call.alibi = wrong; }, {"alibi has extents (3, 8)", "2 or 1"});
  expect_shape([&](Arguments& a) { a.call.sink = two; }, {"sink has extents (2)", "8"});
}

TEST_F(Errors, PerBatch) {
  expect_value(
      [&](Arguments& a) { a.call.key_lengths = attend::View<const std::int32_t, 1>(nullptr, {2}); },
      {"key_lengths is a null pointer", "2 elements"});
  std::int64_t numbers[3] = {};
  const auto* const between =
      reinterpret_cast<const std::int64_t*>(reinterpret_cast<const char*>(numbers) + 4);
  expect_value(
      [&](Arguments& a) {
        a.call.causal = attend::Causal::offset(attend::View<const std::int64_t, 1>(between, {2}));
      },
      {"causal.offset's address is not a multiple of 8"});
  expect_shape([&](Arguments& a) { a.call.key_lengths = {7}; },
               {"key_lengths has 1 element", "expected 2"});
  expect_value(
      [&](Arguments& a) {
        a.call.key_lengths = {7, 8};
      },
      {"key_lengths[1] is 8", "0 to 7"});
  expect_value(
      [&](Arguments& a) {
        a.call.key_lengths = {-1, 7};
      },
      {"key_lengths[0] is -1", "0 to 7"});
  expect_shape(
      [&](Arguments& a) {
        a.call.causal = attend::Causal::offset({1, 2, 3});
      },
      {"causal.offset has 3 elements", "expected 2"});
}

TEST_F(Errors, ForcedPathThatCannotRun) {
  for (const attend::Path path : {attend::Path::flash, attend::Path::mem_efficient})
    expect<attend::unsupported_error>([&](Arguments& a) { a.call.path = path; },
                                      {name(path), "lie on the host"});
}

TEST(ErrorsThreads, BelowOne) { EXPECT_THROW(attend::set_threads(0), attend::value_error); }

}  // namespace
