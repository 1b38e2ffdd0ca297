#pragma once

/// @file
/// Coefficients of 2^r on [0, 1), highest power first: interpolation of (2^r - 1) / r at Chebyshev
/// points, so that 2^0 is exactly 1.

namespace attend::cpu {

/// Coefficients for one type of scores.
template <class Real>
struct Exp2Polynomial;

/// Relative error 5.3e-9 (degree 5 has 2.1e-7, nearly two units in the last place).
template <>
struct Exp2Polynomial<float> {
  /// Highest power.
  static constexpr int kDegree = 6;
  /// Highest power first.
  static constexpr float kCoefficients[] = {2.081791504e-4f,
                                            1.269216607e-3f,
                                            9.652195056e-3f,
                                            5.549602356e-2f,
                                            2.402272042e-1f,
                                            6.931471709e-1f,
                                            1.f};
};

/// Relative error 8.7e-18.
template <>
struct Exp2Polynomial<double> {
  /// Highest power.
  static constexpr int kDegree = 11;
  /// Highest power first.
  static constexpr double kCoefficients[] = {
      6.123092916826387140e-10, 6.634445866251414018e-9, 1.023602380327517930e-7,
      1.321058347776518810e-6,  1.525299889972841847e-5, 1.540352121910773309e-4,
      1.333355834393727875e-3,  9.618129105151756473e-3, 5.550410866498066869e-2,
      2.402265069590967308e-1,  6.931471805599453259e-1, 1.};
};

}  // namespace attend::cpu
