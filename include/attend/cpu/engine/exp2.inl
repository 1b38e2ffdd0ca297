// Included by each engine inside its namespace and its target.

/// 2^x for x <= 0 (and moderate x > 0), 0 for -inf, NaN for NaN.
template <class L>
ATTEND_INLINE typename L::Vector exp2(typename L::Vector x) {
  using Polynomial = Exp2Polynomial<typename L::Real>;
  x = L::clamp_exponent(x);
  const typename L::Vector r = L::fraction(x);
  typename L::Vector p = L::set1(Polynomial::kCoefficients[0]);
  ATTEND_UNROLL for (int n = 1; n <= Polynomial::kDegree; ++n) {
    p = L::multiply_add(p, r, L::set1(Polynomial::kCoefficients[n]));
  }
  return L::times_exp2_floor(p, x);
}

/// tanh(x); odd, NaN for NaN. Near 0 a polynomial, else 1 - 2 / (e^2x + 1).
template <class L>
ATTEND_INLINE typename L::Vector tanh(typename L::Vector x) {
  using Vector = typename L::Vector;
  using Real = typename L::Real;
  if constexpr (sizeof(Real) == sizeof(double)) {
    Real lane[L::kLanes];
    L::store(lane, x);
    for (Real& value : lane) value = std::tanh(value);
    return L::load(lane);
  } else {
    const Vector size = L::absolute(x);
    const Vector e =
        exp2<L>(L::multiply(L::min(L::set1(Real(10)), size), L::set1(Real(2.885390082))));
    const Vector far = L::subtract(L::set1(1), L::divide(L::set1(2), L::add(e, L::set1(1))));
    const Vector z = L::multiply(x, x);
    Vector p = L::set1(elementary::kTanhNearZero[0]);
    ATTEND_UNROLL for (int n = 1; n < 5; ++n) {
      p = L::multiply_add(p, z, L::set1(elementary::kTanhNearZero[n]));
    }
    const Vector near = L::multiply_add(L::multiply(p, z), x, x);
    return L::select(L::less(size, L::set1(Real(0.625))), near, L::copy_sign(far, x));
  }
}
