// The textbook computation's arithmetic in each element type: the oracle's formulas, evaluated so,
// say how much error the type itself costs.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <type_traits>

namespace support {

template <class T>
inline constexpr bool kHalfType =
    std::is_same_v<T, Eigen::half> || std::is_same_v<T, Eigen::bfloat16>;

/// The value in T nearest to x, as a double.
template <class T>
double rounded(double x) {
  if constexpr (kHalfType<T>) {
    return static_cast<double>(static_cast<float>(static_cast<T>(static_cast<float>(x))));
  } else {
    return static_cast<double>(static_cast<T>(x));
  }
}

/// Arithmetic in T, for oracle::forward: sums in float for half types, each result stored in T.
template <class T>
struct Plain {
  using Real = std::conditional_t<std::is_same_v<T, double>, double, float>;
  static Real round(Real x) {
    if constexpr (kHalfType<T>) {
      return static_cast<Real>(static_cast<T>(x));
    } else {
      return x;
    }
  }
};

/// The same without storing in between: what a log-sum-exp, never stored in a half type, is
/// measured by.
template <class T>
using PlainSums = Plain<typename Plain<T>::Real>;

}  // namespace support
