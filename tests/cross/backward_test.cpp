#include <gtest/gtest.h>

#include "backward_check.hpp"
#include "support/cases.hpp"

namespace {

using support::Case;

class Backward : public ::testing::TestWithParam<Case> {};

std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

void check_all_types(const Case& c) {
  {
    SCOPED_TRACE("f32");
    cross::check_backward<float>(c);
  }
  {
    SCOPED_TRACE("f64");
    cross::check_backward<double>(c);
  }
  {
    SCOPED_TRACE("f16");
    cross::check_backward<Eigen::half>(c);
  }
  {
    SCOPED_TRACE("bf16");
    cross::check_backward<Eigen::bfloat16>(c);
  }
}

TEST_P(Backward, AgreesWithTheOracle) { check_all_types(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Cases, Backward, ::testing::ValuesIn(support::cases()), case_name);

TEST(BackwardLong, AgreesWithTheOracle) {
  for (const Case& c : support::long_cases()) {
    SCOPED_TRACE(c.name);
    check_all_types(c);
  }
}

}  // namespace
