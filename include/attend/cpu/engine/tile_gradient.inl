// Included by each engine inside its namespace and its target: the operations of
// `GradientKernels<T>` over a layer L of instructions.

template <class L, class T>
void transpose_elements(const Rows<const T>& rows, typename L::Real* to, int vectors) {
  transpose_scaled<L>(rows, typename L::Real{1}, to, vectors);
}

template <class L, class T>
void pack_rows(const Rows<const T>& rows, std::int64_t all_rows, const ColumnBlocks& columns,
               typename L::Real* to) {
  using Real = typename L::Real;
  for (std::int64_t block = 0; block < columns.blocks; ++block) {
    const std::int64_t first = block * columns.width;
    std::int64_t count =
        rows.columns - first < columns.width ? rows.columns - first : columns.width;
    if (count < 0) count = 0;
    for (std::int64_t row = 0; row < all_rows; ++row, to += columns.width) {
      std::int64_t column = 0;
      if (row < rows.count) {
        const T* const from = rows.row[row] + first * rows.stride;
        if (rows.stride == 1) {
          for (; column + L::kLanes <= count; column += L::kLanes)
            L::store(to + column, L::load(from + column));
        }
        for (; column < count; ++column) to[column] = static_cast<Real>(from[column * rows.stride]);
      }
      for (; column < columns.width; ++column) to[column] = 0;
    }
  }
}

/// Derivatives of `softcap tanh(scale s / softcap)` by s, from the raw products in `scores`.
template <class L>
void cap_slopes(const GradientTile<typename L::Real>& tile, std::int64_t size) {
  using Vector = typename L::Vector;
  const Vector one = L::set1(1), scale = L::set1(tile.change->scale);
  const Vector inverse_cap = L::set1(1 / tile.change->softcap);
  for (std::int64_t n = 0; n < size; n += L::kLanes) {
    const Vector s = L::multiply(L::load(tile.scores + n), scale);
    const Vector t = tanh<L>(L::multiply(s, inverse_cap));
    L::store(tile.slopes + n, L::multiply(scale, L::subtract(one, L::multiply(t, t))));
  }
}

template <class L>
void gradient_scores(const GradientTile<typename L::Real>& tile,
                     const GradientPanel<typename L::Real>& panel) {
  using Real = typename L::Real;
  product<L>(tile.k, tile.keys, panel.queries, panel.depth, tile.scores, panel.vectors, nullptr);
  if (tile.change == nullptr) return;
  const std::int64_t size = tile.keys * panel.vectors * L::kLanes;
  if (tile.slopes != nullptr) {
    if (tile.change->softcap > 0) {
      cap_slopes<L>(tile, size);
    } else {
      for (std::int64_t n = 0; n < size; ++n) tile.slopes[n] = tile.change->scale;
    }
  }
  Tile<Real> scores;
  scores.keys = tile.keys;
  scores.scores = tile.scores;
  scores.change = tile.change;
  change_scores<L>(scores, panel.vectors);
}

/// Excludes by selection: bits that are not set make the score -inf. The maximum that comes with it
/// is not needed here.
template <class L>
void exclude_scores(const GradientTile<typename L::Real>& tile, std::int64_t width) {
  Tile<typename L::Real> scores;
  scores.keys = tile.keys;
  scores.scores = tile.scores;
  scores.allowed = tile.allowed;
  for (std::int64_t lane = 0; lane < width; lane += L::kLanes)
    static_cast<void>(column_max_of_allowed<L>(scores, lane, width, L::zero()));
}

/// Dropout's factor of every pair of the tile.
template <class L>
void keep_factors(const GradientTile<typename L::Real>& tile, std::int64_t width) {
  for (std::int64_t n = 0; n < tile.keys * width; n += L::kLanes)
    L::store(tile.keep + n, L::set1(tile.keep_scale));
  Tile<typename L::Real> factors;
  factors.keys = tile.keys;
  factors.scores = tile.keep;
  factors.dropout = tile.dropout;
  for (std::int64_t lane = 0; lane < width; lane += L::kLanes) drop<L>(factors, lane, width);
}

/// `scores` (logits) becomes the weights of V, `gradients` (dP) the gradients of the products. A
/// score of -inf is an excluded key: its gradient is selected to be 0, whatever dP is.
template <class L>
void differentiate(const GradientTile<typename L::Real>& tile,
                   const GradientPanel<typename L::Real>& panel) {
  using Real = typename L::Real;
  using Vector = typename L::Vector;
  const std::int64_t width = panel.vectors * L::kLanes;
  const Vector lowest = L::set1(-std::numeric_limits<Real>::infinity());
  const Vector log2e = L::set1(static_cast<Real>(1.442695040888963407359924681001892137));
  const Vector scale = L::set1(tile.scale);
  const Vector late_scale = tile.change == nullptr ? scale : L::set1(1);
  for (std::int64_t lane = 0; lane < width; lane += L::kLanes) {
    const Vector minus_shift = L::load(panel.minus_shift + lane);
    const Vector factor = L::load(panel.factor + lane);
    const Vector delta = L::load(panel.delta + lane);
    for (std::int64_t at = lane; at < tile.keys * width; at += width) {
      const Vector score = L::load(tile.scores + at);
      // The maximum is subtracted before anything that could overflow.
      const Vector power = L::multiply(L::multiply_add(score, late_scale, minus_shift), log2e);
      const Vector probability = L::multiply(exp2<L>(power), factor);
      Vector weight = probability, of_probability = L::load(tile.gradients + at);
      if (tile.keep != nullptr) {
        const Vector keep = L::load(tile.keep + at);
        weight = L::multiply(weight, keep);
        of_probability = L::multiply(of_probability, keep);
      }
      Vector gradient = L::multiply(probability, L::subtract(of_probability, delta));
      gradient = L::multiply(gradient, tile.slopes == nullptr ? scale : L::load(tile.slopes + at));
      L::store(tile.scores + at, weight);
      L::store(tile.gradients + at, L::select(L::equal(score, lowest), L::zero(), gradient));
    }
  }
}

/// `to` (column blocks) += A^T B with the tile's pairs as left factor and the panel's rows as
/// right.
template <class L>
void add_rows(const GradientTile<typename L::Real>& tile,
              const GradientPanel<typename L::Real>& panel, const typename L::Real* pairs,
              const typename L::Real* rows, const ColumnBlocks& columns, typename L::Real* to) {
  using Real = typename L::Real;
  const std::int64_t width = panel.vectors * L::kLanes;
  Real ones[L::kMaxVectors * L::kLanes];
  for (Real& one : ones) one = 1;
  const Operand left{reinterpret_cast<const char*>(pairs), width * std::int64_t{sizeof(Real)},
                     sizeof(Real)};
  for (std::int64_t block = 0; block < columns.blocks; ++block)
    product<L>(left, tile.keys, rows + block * width * columns.width, panel.rows,
               to + block * tile.rows * columns.width, columns.vectors, ones);
}

template <class L>
void accumulate_gradients(const GradientTile<typename L::Real>& tile,
                          const GradientPanel<typename L::Real>& panel, const ColumnBlocks& columns,
                          const ColumnBlocks& columns_v) {
  using Real = typename L::Real;
  const std::int64_t width = panel.vectors * L::kLanes;
  product<L>(tile.v, tile.keys, panel.grads, panel.depth_v, tile.gradients, panel.vectors, nullptr);
  if (tile.allowed != nullptr) exclude_scores<L>(tile, width);
  if (tile.dropout != nullptr) keep_factors<L>(tile, width);
  differentiate<L>(tile, panel);
  add_rows<L>(tile, panel, tile.scores, panel.grad_rows, columns_v, tile.dv);
  add_rows<L>(tile, panel, tile.gradients, panel.query_rows, columns, tile.dk);
  Real ones[L::kMaxVectors * L::kLanes];
  for (Real& one : ones) one = 1;
  product<L>(tile.k_columns, panel.depth, tile.gradients, tile.keys, panel.dq, panel.vectors, ones);
}

/// The engine's table for element type T.
template <class L, class T>
constexpr GradientKernels<T> gradient_kernels(Tuning tuning) {
  return {tuning,
          &transpose_elements<L, T>,
          &pack_rows<L, T>,
          &as_real<L, T>,
          &gradient_scores<L>,
          &accumulate_gradients<L>,
          &mask_words<L>,
          &store<L, T>};
}
