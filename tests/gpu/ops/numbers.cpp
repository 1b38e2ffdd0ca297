#include "gpu/ops/numbers.hpp"

namespace gpu::ops {

double round_to(double x, const Format& format, Rounding rounding) {
  if (!std::isfinite(x) || x == 0) return x;
  int exponent = 0;
  std::frexp(x, &exponent);
  const int unit = std::max(exponent - 1, format.min_exponent) - format.mantissa;
  const double scaled = std::ldexp(std::fabs(x), -unit);  // exact: a power of two
  const bool negative = std::signbit(x);
  double whole = std::floor(scaled);
  const double rest = scaled - whole;
  bool up = false;
  switch (rounding) {
    case Rounding::nearest:
      up = rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2.0) != 0);
      break;
    case Rounding::zero:
      break;
    case Rounding::down:
      up = negative && rest > 0;
      break;
    case Rounding::up:
      up = !negative && rest > 0;
      break;
    case Rounding::away:
      up = rest >= 0.5;
      break;
  }
  if (up) whole += 1;
  const double result = std::ldexp(whole, unit);
  const double largest = std::ldexp(2.0 - std::ldexp(1.0, -format.mantissa), format.max_exponent);
  double limited = result;
  if (result > largest) {
    const bool to_infinity = rounding == Rounding::nearest || rounding == Rounding::away ||
                             (rounding == Rounding::up && !negative) ||
                             (rounding == Rounding::down && negative);
    limited = to_infinity ? std::numeric_limits<double>::infinity() : largest;
  }
  return negative ? -limited : limited;
}

}  // namespace gpu::ops
