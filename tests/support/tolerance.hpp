// When is a result right? Its greatest error may be a small multiple of the error that the textbook
// computation makes in the same element type (the rule of FlashAttention's tests).
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "arithmetic.hpp"

namespace support {

/// Greatest |a - b| and where. NaN on one side only, or infinities that differ, are an infinite
/// difference; NaN on both sides or equal infinities are none.
struct Difference {
  double greatest = 0;
  std::size_t at = 0;
};

inline Difference difference(const std::vector<double>& a, const std::vector<double>& b) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (a.size() != b.size()) return {kInfinity, std::min(a.size(), b.size())};
  Difference worst;
  for (std::size_t n = 0; n < a.size(); ++n) {
    double here = 0;
    if (std::isnan(a[n]) || std::isnan(b[n])) {
      here = std::isnan(a[n]) && std::isnan(b[n]) ? 0 : kInfinity;
    } else if (a[n] != b[n]) {
      here = std::abs(a[n] - b[n]);
    }
    if (here > worst.greatest) worst = {here, n};
  }
  return worst;
}

/// What storing results of this size in T costs, whatever the computation.
template <class T>
double storage_error(const std::vector<double>& oracle) {
  double worst = 0;
  for (const double x : oracle) {
    if (!std::isfinite(x)) continue;
    const double stored = rounded<T>(rounded<T>(x + 0.3) - 0.3);
    worst = std::max(worst, std::abs(stored - x));
  }
  return worst;
}

/// `factor` is 2 for results and 3 for gradients. Infinite if the textbook computation itself fails
/// where the oracle doesn't: then it can't serve as a yardstick.
///
/// The greatest error of few numbers says little: the textbook may be right by luck. So where there
/// are fewer than `few` it counts as at least four roundings of `size`, the size of the terms that
/// the results are sums of.
template <class T>
double allowance(const std::vector<double>& oracle, const std::vector<double>& plain, double factor,
                 double size = 0, std::size_t few = 1000) {
  using Real = typename Plain<T>::Real;
  double yardstick = difference(plain, oracle).greatest;
  if (oracle.size() < few)
    yardstick = std::max(yardstick, 4 * double{std::numeric_limits<Real>::epsilon()} * size);
  return factor * yardstick + 2 * storage_error<T>(oracle);
}

/// The greatest finite |x|.
inline double greatest_size(const std::vector<double>& values) {
  double size = 0;
  for (const double x : values)
    if (std::isfinite(x)) size = std::max(size, std::abs(x));
  return size;
}

/// Whether `result` is within `allowance` of the oracle.
inline ::testing::AssertionResult within(const std::vector<double>& result,
                                         const std::vector<double>& oracle, double allowance) {
  if (!std::isfinite(allowance))
    return ::testing::AssertionFailure() << "the textbook computation fails here: no yardstick";
  const Difference worst = difference(result, oracle);
  if (worst.greatest <= allowance) return ::testing::AssertionSuccess();
  auto failure = ::testing::AssertionFailure();
  if (result.size() != oracle.size()) {
    return failure << result.size() << " elements instead of " << oracle.size();
  }
  return failure << "element " << worst.at << " is " << result[worst.at] << " instead of "
                 << oracle[worst.at] << "; allowed is an error of " << allowance;
}

/// Whether two results agree bit for bit (NaN equals NaN).
inline ::testing::AssertionResult identical(const std::vector<double>& a,
                                            const std::vector<double>& b) {
  return within(a, b, 0);
}

}  // namespace support
