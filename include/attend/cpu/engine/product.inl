// Included by each engine inside its namespace and its target; the form is explained in
// kernels.hpp. No guard: every engine compiles its own copy.

/// Sums of kRows x kVectors vectors over `steps` steps, in registers: `a` broadcast element by
/// element, `b` (steps x width) read as vectors.
template <class L, int kRows, int kVectors>
ATTEND_INLINE void product_block(const Operand& a, const char* b, std::int64_t steps,
                                 typename L::Vector (&sum)[kRows][kVectors]) {
  ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
    ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) sum[r][n] = L::zero();
  }
  const char* column = a.data;
  for (std::int64_t step = 0; step < steps; ++step) {
    typename L::Factor factor[kVectors];
    ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) {
      factor[n] = L::load_factor(b + n * static_cast<int>(sizeof(factor[n])));
    }
    ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
      const typename L::Factor element = L::broadcast_factor(column + r * a.row_bytes);
      ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) {
        sum[r][n] = L::multiply_add(element, factor[n], sum[r][n]);
      }
    }
    column += a.step_bytes;
    b += sizeof(factor);
  }
}

/// A vector of C becomes what was added up for it; its factors, if any, lie from `column` on.
template <class L>
ATTEND_INLINE void store_sum(typename L::Real* to, typename L::Vector sum,
                             const ProductOptions<typename L::Real>& options, int column) {
  if (options.old == Old::kept) sum = L::add(L::load(to), sum);
  if (options.old == Old::rescaled)
    sum = L::add(L::multiply(L::load(to), L::load(options.factor + column)), sum);
  L::store(to, sum);
}

/// kRows rows of C.
template <class L, int kRows, int kVectors>
ATTEND_INLINE void product_rows(const Operand& a, const char* b, std::int64_t steps,
                                typename L::Real* c,
                                const ProductOptions<typename L::Real>& options) {
  if (options.ahead != nullptr) options.ahead->ask(kRows);
  typename L::Vector sum[kRows][kVectors];
  product_block<L, kRows, kVectors>(a, b, steps, sum);
  if (options.top != nullptr) {  // on other pipes than the products of the next rows
    ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) {
      typename L::Vector most = L::load(options.top + n * L::kLanes);
      ATTEND_UNROLL for (int r = 0; r < kRows; ++r) most = L::max(sum[r][n], most);
      L::store(options.top + n * L::kLanes, most);
    }
  }
  ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
    ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) {
      store_sum<L>(c + (r * kVectors + n) * L::kLanes, sum[r][n], options, n * L::kLanes);
    }
  }
}

template <class L, int kVectors>
void product_of_width(Operand a, std::int64_t rows, const char* b, std::int64_t steps,
                      typename L::Real* c, ProductOptions<typename L::Real> options) {
  constexpr int kRows = L::block_rows(kVectors);
  std::int64_t row = 0;
  for (; row + kRows <= rows; row += kRows) {
    product_rows<L, kRows, kVectors>(a.from(row, 0), b, steps, c + row * kVectors * L::kLanes,
                                     options);
  }
  for (; row + 4 <= rows; row += 4) {
    product_rows<L, 4, kVectors>(a.from(row, 0), b, steps, c + row * kVectors * L::kLanes, options);
  }
  for (; row < rows; ++row) {
    product_rows<L, 1, kVectors>(a.from(row, 0), b, steps, c + row * kVectors * L::kLanes, options);
  }
}

/// C (rows x width) becomes A B, or what the options say. A is rows x steps, B steps x width, and
/// the width is `vectors` vectors. Each element is summed in the order of the steps, so it does not
/// depend on the shape of the blocks.
template <class L>
void product(const Operand& a, std::int64_t rows, const void* b, std::int64_t steps,
             typename L::Real* c, int vectors,
             const ProductOptions<typename L::Real>& options = {}) {
  if constexpr (L::kStepsAtOnce > 1) {
    tile_product<L>(a, rows, b, steps, c, vectors, options);
  } else {
    const char* right = static_cast<const char*>(b);
    if (vectors == 1) return product_of_width<L, 1>(a, rows, right, steps, c, options);
    if (vectors == 2) return product_of_width<L, 2>(a, rows, right, steps, c, options);
    if constexpr (L::kMaxVectors >= 3) {
      if (vectors == 3) return product_of_width<L, 3>(a, rows, right, steps, c, options);
    }
    if constexpr (L::kMaxVectors >= 4) {
      if (vectors == 4) return product_of_width<L, 4>(a, rows, right, steps, c, options);
    }
  }
}
