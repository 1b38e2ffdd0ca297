// The list of cases through the public face.
#include "support/cases.hpp"

#include <gtest/gtest.h>

#include "call_of.hpp"
#include "support/reference.hpp"

namespace {

using support::Case;
using support::view;

template <class T>
void check(const Case& c) {
  const oracle::Problem problem = support::problem<T>(c);
  const support::Sample<T> sample(problem, c.layout);
  const support::Reference<T> reference(problem);
  const attend::Call<T> call = attend_test::call_of(problem, sample);
  for (const bool flash : {false, true}) {
    SCOPED_TRACE(flash ? "fused" : "math");
    const attend::Attend<T> attention(attend_test::options_of(problem, flash));
    const auto result = attention.forward(view(sample.q), view(sample.k), view(sample.v), call);
    EXPECT_EQ(result.path, flash ? attend::Path::fused : attend::Path::math);
    const std::vector<double> out = attend_test::values(result.out);
    EXPECT_TRUE(support::within(out, reference.out, reference.allowed_out));
    EXPECT_TRUE(
        support::within(attend_test::values(result.lse), reference.lse, reference.allowed_lse));

    support::Strided<T, 4> into = sample.make_out();
    auto lse = sample.make_lse();
    attention.forward_into(view(into), view(lse), view(sample.q), view(sample.k), view(sample.v),
                           call);
    EXPECT_TRUE(support::identical(into.values(), out));
    EXPECT_TRUE(support::identical(lse.values(), attend_test::values(result.lse)));
    EXPECT_TRUE(into.surroundings_untouched() && lse.surroundings_untouched());
  }
}

TEST(Cases, Float) {
  for (const Case& c : support::cases()) {
    SCOPED_TRACE(c.name);
    check<float>(c);
  }
}

TEST(Cases, Half) {
  for (const Case& c : support::cases()) {
    SCOPED_TRACE(c.name);
    check<Eigen::half>(c);
  }
}

}  // namespace
