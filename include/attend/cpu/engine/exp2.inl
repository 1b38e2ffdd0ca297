// Included by each engine inside its namespace and its target.

/// (2^r - 1) / r for 0 <= r < 1.
template <class L>
ATTEND_INLINE typename L::Vector exp2_slope(typename L::Vector r) {
  using Polynomial = Exp2Polynomial<typename L::Real>;
  typename L::Vector p = L::set1(Polynomial::kCoefficients[0]);
  ATTEND_UNROLL for (int n = 1; n < Polynomial::kDegree; ++n) {
    p = L::multiply_add(p, r, L::set1(Polynomial::kCoefficients[n]));
  }
  return p;
}

/// 2^x for x <= 0 (and moderate x > 0), NaN for NaN. Below the least normal number it is 0: see
/// `FlushSubnormals` for what such numbers cost.
template <class L>
ATTEND_INLINE typename L::Vector exp2(typename L::Vector x) {
  x = L::clamp_exponent(x);
  const typename L::Vector r = L::fraction(x);
  return L::times_exp2_floor(L::multiply_add(exp2_slope<L>(r), r, L::set1(1)), x);
}

/// tanh(x) = t / (t + 2) of t = e^2|x| - 1, which is exact near 0 too; odd, NaN for NaN. Beyond 10
/// (of doubles 20) it is 1.
template <class L>
ATTEND_INLINE typename L::Vector tanh(typename L::Vector x) {
  using Vector = typename L::Vector;
  using Real = typename L::Real;
  const Vector size = L::min(L::set1(Real(sizeof(Real) == 4 ? 10 : 20)), L::absolute(x));
  const Vector exponent = L::multiply(size, L::set1(2 * kLog2E<Real>));
  const Vector r = L::fraction(exponent);
  const Vector rest = L::times_exp2_floor(L::multiply(exp2_slope<L>(r), r), exponent);
  const Vector power = L::times_exp2_floor(L::set1(1), exponent);
  const Vector t = L::add(rest, L::subtract(power, L::set1(1)));
  return L::copy_sign(L::divide(t, L::add(t, L::set1(2))), x);
}
