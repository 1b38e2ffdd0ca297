// The shared cases on the device's paths, against the oracle. Half types and float take turns; math
// has double too.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "cuda/device_path.hpp"
#include "cuda/flash_cases.hpp"
#include "support/cases.hpp"
#include "support/reference.hpp"

namespace {

using attend::Path;
using support::Case;

template <class T>
void check(Path path, const Case& c) {
  SCOPED_TRACE(attend::name(attend::ElementTraits<T>::kDtype));
  const oracle::Problem problem = support::problem<T>(c);
  const support::Sample<T> sample(problem, c.layout);
  const support::Reference<T> reference(problem);
  const support::Answer answer = support::run<T>(device::forward_path<T>(path), sample);
  EXPECT_TRUE(support::within(answer.out, reference.out, reference.allowed_out)) << "out";
  EXPECT_TRUE(support::within(answer.lse, reference.lse, reference.allowed_lse)) << "lse";
  EXPECT_TRUE(answer.surroundings_untouched);
}

class MathForward : public ::testing::TestWithParam<Case> {};
class MemEfficientForward : public ::testing::TestWithParam<Case> {};

TEST_P(MathForward, AgreesWithTheOracle) {
  switch (GetParam().seed % 4) {
    case 0:
      return check<float>(Path::math, GetParam());
    case 1:
      return check<double>(Path::math, GetParam());
    case 2:
      return check<Eigen::half>(Path::math, GetParam());
    default:
      return check<Eigen::bfloat16>(Path::math, GetParam());
  }
}

TEST_P(MemEfficientForward, AgreesWithTheOracle) {
  switch (GetParam().seed % 3) {
    case 0:
      return check<float>(Path::mem_efficient, GetParam());
    case 1:
      return check<Eigen::half>(Path::mem_efficient, GetParam());
    default:
      return check<Eigen::bfloat16>(Path::mem_efficient, GetParam());
  }
}

// The flash path takes half types.
class FlashForward : public ::testing::TestWithParam<Case> {};

TEST_P(FlashForward, AgreesWithTheOracle) {
  if (GetParam().seed % 2 == 0) return check<Eigen::half>(Path::flash, GetParam());
  check<Eigen::bfloat16>(Path::flash, GetParam());
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Cases, MathForward, ::testing::ValuesIn(support::cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Cases, MemEfficientForward, ::testing::ValuesIn(support::cases()),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Cases, FlashForward, ::testing::ValuesIn(device::flash_cases()),
                         case_name);

// By hand: thousands of them.
INSTANTIATE_TEST_SUITE_P(Long, MathForward, ::testing::ValuesIn(support::long_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Long, MemEfficientForward, ::testing::ValuesIn(support::long_cases()),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Long, FlashForward,
                         ::testing::ValuesIn(device::flash_cases(support::long_cases())),
                         case_name);

}  // namespace
