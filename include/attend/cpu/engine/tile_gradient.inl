// Included by each engine inside its namespace and its target: the operations of
// `GradientKernels<T>` over a layer L of instructions.

template <class L, class T>
void pack_columns(const Rows<const T>& rows, typename L::Real* to, int vectors) {
  Panel<typename L::Real> panel{};
  panel.vectors = vectors;
  panel.queries = to;
  pack_queries<L>(rows, typename L::Real{1}, panel);
}

/// One row of a column block, from column `first` on, 0 past its end.
template <class L, class T>
void pack_row(const Rows<const T>& rows, std::int64_t row, std::int64_t first, std::int64_t width,
              typename L::Real* to) {
  using Real = typename L::Real;
  const std::int64_t count =
      row < rows.count ? std::min(std::max<std::int64_t>(rows.columns - first, 0), width) : 0;
  const T* const from = count > 0 ? rows.row[row] + first * rows.stride : nullptr;
  std::int64_t column = 0;
  if (rows.stride == 1) {
    for (; column + L::kLanes <= count; column += L::kLanes)
      L::store(to + column, L::load(from + column));
  }
  for (; column < count; ++column) to[column] = static_cast<Real>(from[column * rows.stride]);
  for (; column < width; ++column) to[column] = 0;
}

/// Rows `row` and `row` + 1 as one row of pairs, likewise.
template <class L>
void pack_row_pair(const Rows<const Eigen::bfloat16>& rows, int row, std::int64_t first,
                   std::int64_t width, float* to) {
  auto* const pairs = reinterpret_cast<std::uint32_t*>(to);
  std::int64_t column = 0;
  if (rows.stride == 1 && row + 1 < rows.count) {
    for (; column + L::kLanes <= std::min(rows.columns - first, width); column += L::kLanes)
      L::store_interleaved(pairs + column, rows.row[row] + first + column,
                           rows.row[row + 1] + first + column);
  }
  for (; column < width; ++column)
    pairs[column] = pair_of(element_of(rows, row, first + column, 1),
                            element_of(rows, row + 1, first + column, 1));
}

template <class L, class T>
void pack_rows(const Rows<const T>& rows, std::int64_t all_rows, const ColumnBlocks& columns,
               typename L::Real* to) {
  for (std::int64_t block = 0; block < columns.blocks; ++block) {
    typename L::Real* at = to + block * all_rows * columns.width;
    for (int row = 0; row < all_rows; row += L::kStep, at += columns.width) {
      if constexpr (L::kStep == 2)
        pack_row_pair<L>(rows, row, block * columns.width, columns.width, at);
      else
        pack_row<L>(rows, row, block * columns.width, columns.width, at);
    }
  }
}

template <class L, class T>
Operand pack_key_columns(const KeyTile<T>& tile, const Operand& keys, void* scratch) {
  if constexpr (L::kStep == 2)
    return pack_values<L>(tile, scratch);
  else
    return {keys.data, keys.step_bytes, keys.row_bytes};
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
  product<L>(tile.k, tile.keys, panel.queries, padded_steps<L>(panel.depth), tile.scores,
             panel.vectors, {.ahead = tile.ahead});
  if (tile.change == nullptr) return;
  if (tile.slopes != nullptr) cap_slopes<L>(tile, tile.keys * panel.vectors * L::kLanes);
  Tile<Real> scores;
  scores.keys = tile.keys;
  scores.scores = tile.scores;
  scores.change = tile.change;
  change_scores<L>(scores, panel.vectors);
}

/// See `GradientKernels`.
template <class L>
void measure(const GradientTile<typename L::Real>& tile, int vectors, typename L::Real* max,
             typename L::Real* sum) {
  using Real = typename L::Real;
  Tile<Real> logits;
  logits.keys = tile.keys;
  logits.scores = tile.scores;
  logits.probabilities = tile.gradient_pairs;
  logits.exponent_scale = kLog2E<Real>;
  logits.allowed = tile.allowed;
  Panel<Real> panel{};
  panel.vectors = vectors;
  panel.max = max;
  panel.sum = sum;
  Real rescale[L::kMaxVectors * L::kLanes];
  softmax<L>(logits, panel, rescale);
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

/// What the gradients of a column of vectors have in common.
template <class L>
struct GradientColumn {
  typename L::Vector minus_shift, factor, delta, scale, late_scale;
  typename L::Vector excluded;  // gradient of an excluded pair
};

/// One vector of pairs at `at`: its weights of V and the gradients of its products. A score of -inf
/// is an excluded key: its gradient is selected to be 0, whatever dP is. Or it is an allowed key of
/// such a logit; that makes a difference where the row's factor is NaN, and then it is NaN for
/// both.
template <class L>
ATTEND_INLINE void differentiate_at(const GradientTile<typename L::Real>& tile,
                                    const GradientColumn<L>& column, std::int64_t at,
                                    typename L::Vector& weight, typename L::Vector& gradient) {
  using Real = typename L::Real;
  using Vector = typename L::Vector;
  const Vector lowest = L::set1(-std::numeric_limits<Real>::infinity());
  const Vector score = L::load(tile.scores + at);
  // The maximum is subtracted before anything that could overflow, and of a logit that is rounded
  // as the forward pass' greatest one was: where one key has all the weight, they are the same
  // number.
  const Vector logit = L::rounded(L::multiply(score, column.late_scale));
  const Vector power = L::multiply(L::add(logit, column.minus_shift), L::set1(kLog2E<Real>));
  const Vector probability = L::multiply(exp2<L>(power), column.factor);
  Vector of_probability = L::load(tile.gradients + at);
  weight = probability;
  if (tile.keep != nullptr) {
    const Vector keep = L::load(tile.keep + at);
    weight = L::multiply(weight, keep);
    of_probability = L::multiply(of_probability, keep);
  }
  gradient = L::multiply(probability, L::subtract(of_probability, column.delta));
  gradient =
      L::multiply(gradient, tile.slopes == nullptr ? column.scale : L::load(tile.slopes + at));
  gradient = L::select(L::equal(score, lowest), column.excluded, gradient);
}

/// `scores` (logits) becomes the weights of V, `gradients` (dP) the gradients of the products.
/// Where the engine takes pairs, both are rounded in place, each row from its beginning, and the
/// gradients are paired by keys, too.
template <class L>
void differentiate(const GradientTile<typename L::Real>& tile,
                   const GradientPanel<typename L::Real>& panel) {
  using Vector = typename L::Vector;
  const std::int64_t width = panel.vectors * L::kLanes;
  for (std::int64_t lane = 0; lane < width; lane += L::kLanes) {
    const Vector factor = L::load(panel.factor + lane);
    const GradientColumn<L> column{
        L::load(panel.minus_shift + lane), factor,
        L::load(panel.delta + lane),       L::set1(tile.scale),
        L::set1(tile.late_scale),          L::multiply(factor, L::zero())};
    for (std::int64_t key = 0; key < tile.keys; key += L::kStep) {
      Vector gradient[L::kStep];
      ATTEND_UNROLL for (int n = 0; n < L::kStep; ++n) {
        gradient[n] = L::zero();
        if (key + n == tile.keys) continue;
        const std::int64_t row = (key + n) * width;
        Vector weight;
        differentiate_at<L>(tile, column, row + lane, weight, gradient[n]);
        if constexpr (L::kStep == 2) {
          L::store(reinterpret_cast<Eigen::bfloat16*>(tile.scores + row) + lane, weight);
          L::store(reinterpret_cast<Eigen::bfloat16*>(tile.gradients + row) + lane, gradient[n]);
        } else {
          L::store(tile.scores + row + lane, weight);
          L::store(tile.gradients + row + lane, gradient[n]);
        }
      }
      if constexpr (L::kStep == 2)
        L::store_pairs(tile.gradient_pairs, key / 2 * width + lane, gradient[0], gradient[1]);
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
  const Operand left{reinterpret_cast<const char*>(pairs), width * std::int64_t{sizeof(Real)},
                     sizeof(Real)};
  for (std::int64_t block = 0; block < columns.blocks; ++block)
    product<L>(left, tile.keys, rows + block * width * columns.width, padded_steps<L>(panel.rows),
               to + block * tile.rows * columns.width, columns.vectors,
               {.old = Old::kept, .ahead = tile.ahead});
}

template <class L>
void accumulate_gradients(const GradientTile<typename L::Real>& tile,
                          const GradientPanel<typename L::Real>& panel, const ColumnBlocks& columns,
                          const ColumnBlocks& columns_v) {
  const FlushSubnormals flush;  // the sums, too: all that is added up for a distant key is small
  const std::int64_t width = panel.vectors * L::kLanes;
  product<L>(tile.v, tile.keys, panel.grads, padded_steps<L>(panel.depth_v), tile.gradients,
             panel.vectors, {.ahead = tile.ahead});
  if (tile.allowed != nullptr) exclude_scores<L>(tile, width);
  if (tile.dropout != nullptr) keep_factors<L>(tile, width);
  differentiate<L>(tile, panel);
  add_rows<L>(tile, panel, tile.scores, panel.grad_rows, columns_v, tile.dv);
  add_rows<L>(tile, panel, tile.gradients, panel.query_rows, columns, tile.dk);
  product<L>(tile.k_columns, panel.depth, L::kStep == 2 ? tile.gradient_pairs : tile.gradients,
             padded_steps<L>(tile.keys), panel.dq, panel.vectors,
             {.old = Old::kept, .ahead = tile.ahead});
}

/// See `GradientKernels`.
template <class L, class T>
typename L::Real store_row(const typename L::Real* from, std::int64_t all_rows,
                           const ColumnBlocks& columns, T* to, std::int64_t stride,
                           std::int64_t count) {
  typename L::Vector finite = L::zero();
  for (std::int64_t first = 0; first < count; first += columns.width) {
    for (std::int64_t n = 0; n < columns.width && first + n < count; n += L::kLanes) {
      const typename L::Vector v = L::load(from + n);
      const std::int64_t left = count - first - n;
      finite = L::multiply_add(v, L::zero(), finite);  // what pads the row is 0
      stride == 1 && left >= L::kLanes
          ? L::store(to + first + n, v)
          : store_part<L>(to + (first + n) * stride, stride,
                          static_cast<int>(left < L::kLanes ? left : L::kLanes), v);
    }
    from += all_rows * columns.width;
  }
  typename L::Real lane[L::kLanes], check = 0;
  L::store(lane, finite);
  for (const typename L::Real value : lane) check += value;
  return check;
}

/// The engine's table for element type T.
template <class L, class T>
constexpr GradientKernels<T> gradient_kernels(Tuning tuning) {
  return {tuning,
          L::kStep,
          &pack_columns<L, T>,
          &pack_rows<L, T>,
          &pack_keys<L, T>,
          &pack_key_columns<L, T>,
          &gradient_scores<L>,
          &measure<L>,
          &accumulate_gradients<L>,
          &mask_words<L>,
          &store<L, T>,
          &store_row<L, T>};
}
