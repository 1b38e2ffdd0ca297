// One case on every host path: against the oracle, and path against path.
#pragma once

#include <gtest/gtest.h>

#include "host_paths.hpp"
#include "support/case.hpp"
#include "support/reference.hpp"

namespace cross {

template <class T>
void check_forward(const support::Case& c) {
  const oracle::Problem problem = support::problem<T>(c);
  const support::Sample<T> sample(problem, c.layout);
  const support::Reference<T> reference(problem);
  std::vector<support::Answer> answers;
  for (const NamedPath<T>& path : host_paths<T>()) {
    SCOPED_TRACE(path.name);
    const support::Answer answer = support::run<T>(path.run, sample);
    EXPECT_TRUE(support::within(answer.out, reference.out, reference.allowed_out)) << "out";
    EXPECT_TRUE(support::within(answer.lse, reference.lse, reference.allowed_lse)) << "lse";
    EXPECT_TRUE(answer.surroundings_untouched);
    for (const support::Answer& other : answers) {  // two errors meet: less than both at their most
      EXPECT_TRUE(support::within(answer.out, other.out, 1.5 * reference.allowed_out));
      EXPECT_TRUE(support::within(answer.lse, other.lse, 1.5 * reference.allowed_lse));
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
