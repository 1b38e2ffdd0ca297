// The shared cases' gradients on the device's paths, against the oracle. Half types and float take
// turns; math has double too.
#include <gtest/gtest.h>

#include "cross/backward_check.hpp"
#include "cuda/backward_path.hpp"
#include "cuda/flash_cases.hpp"
#include "support/cases.hpp"

namespace {

using attend::Path;
using support::Case;

template <class T>
void check(Path path, const Case& c) {
  SCOPED_TRACE(attend::name(attend::ElementTraits<T>::kDtype));
  const oracle::Problem problem = support::problem<T>(c);
  const support::Sample<T> sample(problem, c.layout);
  const cross::IncomingGradients<T> incoming(problem, c.seed + 1);
  const cross::GradientReference<T> reference(problem, incoming);
  const cross::GradientAnswer answer =
      cross::run_backward(sample, incoming, problem, c.layout, 1, device::backward_path<T>(path));
  EXPECT_EQ(reference.faults(answer), "");
}

class MathBackward : public ::testing::TestWithParam<Case> {};
class MemEfficientBackward : public ::testing::TestWithParam<Case> {};

TEST_P(MathBackward, AgreesWithTheOracle) {
  switch (GetParam().seed % 4) {
    case 0:
      return check<double>(Path::math, GetParam());
    case 1:
      return check<float>(Path::math, GetParam());
    case 2:
      return check<Eigen::bfloat16>(Path::math, GetParam());
    default:
      return check<Eigen::half>(Path::math, GetParam());
  }
}

TEST_P(MemEfficientBackward, AgreesWithTheOracle) {
  switch (GetParam().seed % 3) {
    case 0:
      return check<Eigen::bfloat16>(Path::mem_efficient, GetParam());
    case 1:
      return check<float>(Path::mem_efficient, GetParam());
    default:
      return check<Eigen::half>(Path::mem_efficient, GetParam());
  }
}

class FlashBackward : public ::testing::TestWithParam<Case> {};

TEST_P(FlashBackward, AgreesWithTheOracle) {
  if (GetParam().seed % 2 == 0) return check<Eigen::bfloat16>(Path::flash, GetParam());
  check<Eigen::half>(Path::flash, GetParam());
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Cases, MathBackward, ::testing::ValuesIn(support::cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Cases, MemEfficientBackward, ::testing::ValuesIn(support::cases()),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Cases, FlashBackward, ::testing::ValuesIn(device::flash_cases()),
                         case_name);

// By hand: thousands of them.
INSTANTIATE_TEST_SUITE_P(Long, MathBackward, ::testing::ValuesIn(support::long_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Long, MemEfficientBackward, ::testing::ValuesIn(support::long_cases()),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Long, FlashBackward,
                         ::testing::ValuesIn(device::flash_cases(support::long_cases())),
                         case_name);

}  // namespace
