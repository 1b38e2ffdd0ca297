// One case on every host path: against the oracle, and path against path.
#pragma once

#include <gtest/gtest.h>

#include "host_paths.hpp"
#include "support/case.hpp"
#include "support/tolerance.hpp"

namespace cross {

/// What a case's results are held against.
template <class T>
struct Reference {
  oracle::Forward oracle;
  double allowed_out, allowed_lse;

  explicit Reference(const oracle::Problem& problem)
      : oracle(oracle::forward(problem)),
        allowed_out(
            support::allowance<T>(oracle.out, oracle::forward<support::Plain<T>>(problem).out, 2)),
        allowed_lse(support::allowance<attend::RealOf<T>>(
            oracle.lse, oracle::forward<support::PlainSums<T>>(problem).lse, 2)) {}
};

template <class T>
void check_forward(const support::Case& c) {
  const oracle::Problem problem = support::problem<T>(c);
  const support::Sample<T> sample(problem, c.layout);
  const Reference<T> reference(problem);
  std::vector<support::Answer> answers;
  for (const NamedPath<T>& path : host_paths<T>()) {
    SCOPED_TRACE(path.name);
    const support::Answer answer = support::run<T>(path.run, sample);
    EXPECT_TRUE(support::within(answer.out, reference.oracle.out, reference.allowed_out)) << "out";
    EXPECT_TRUE(support::within(answer.lse, reference.oracle.lse, reference.allowed_lse)) << "lse";
    EXPECT_TRUE(answer.surroundings_untouched);
    for (const support::Answer& other : answers) {
      EXPECT_TRUE(support::within(answer.out, other.out, reference.allowed_out)) << "path to path";
      EXPECT_TRUE(support::within(answer.lse, other.lse, reference.allowed_lse)) << "path to path";
    }
    answers.push_back(answer);
  }
}

// Each element type is compiled in a file of its own.
extern template void check_forward<float>(const support::Case&);
extern template void check_forward<double>(const support::Case&);
extern template void check_forward<Eigen::half>(const support::Case&);
extern template void check_forward<Eigen::bfloat16>(const support::Case&);

}  // namespace cross
