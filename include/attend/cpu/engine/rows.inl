// Included by each engine inside its namespace and its target: a few rows against many keys, as in
// decoding. There are too few queries to fill the lanes, so the lanes run along head_dim (for the
// scores) and along head_dim_v (for the output), and each element of K and V is read once, where it
// lies. This is bound by memory: half types are widened in registers.

/// `count` < kLanes elements and zeros.
template <class L, class T>
ATTEND_INLINE typename L::Vector load_part(const T* from, std::int64_t count) {
  T part[L::kLanes] = {};
  for (std::int64_t n = 0; n < count; ++n) part[n] = from[n];
  return L::load(part);
}

/// Asks for a key's row before it is needed. While a tile's keys are read its values are on their
/// way, and then the next tile's keys: memory never waits for the arithmetic.
template <class T>
ATTEND_INLINE void prefetch_row(const KeyTile<T>& tile, std::int64_t key) {
  constexpr std::int64_t kLine = 64 / sizeof(T);
  const T* const row = tile.data + key * tile.key_stride;
  for (std::int64_t c = 0; c < tile.columns; c += kLine) __builtin_prefetch(row + c);
}

/// Dot products of kRows queries with all keys of the tile; kLanes of them are summed at a time.
template <class L, int kRows, class T>
void row_scores(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel, int first_row) {
  using Real = typename L::Real;
  constexpr int kKeys = L::kLanes / kRows;
  const std::int64_t whole = tile.k.columns / L::kLanes * L::kLanes;
  const Real* const query = panel.queries + first_row * panel.query_stride;
  for (std::int64_t key = 0; key < tile.k.keys; key += kKeys) {
    const T* from[kKeys];
    for (int g = 0; g < kKeys; ++g) {  // past the end the last key is read again
      const std::int64_t j = key + g < tile.k.keys ? key + g : tile.k.keys - 1;
      from[g] = tile.k.data + j * tile.k.key_stride;
      if (first_row == 0) prefetch_row(tile.v, j);
    }
    typename L::Vector sum[L::kLanes];
    ATTEND_UNROLL for (int n = 0; n < L::kLanes; ++n) sum[n] = L::zero();
    for (std::int64_t c = 0; c < whole; c += L::kLanes) {
      typename L::Vector q[kRows];
      ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
        q[r] = L::load(query + r * panel.query_stride + c);
      }
      ATTEND_UNROLL for (int g = 0; g < kKeys; ++g) {
        const typename L::Vector k = L::load(from[g] + c);
        ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
          sum[r * kKeys + g] = L::multiply_add(k, q[r], sum[r * kKeys + g]);
        }
      }
    }
    if (whole < tile.k.columns) {
      ATTEND_UNROLL for (int g = 0; g < kKeys; ++g) {
        const typename L::Vector k = load_part<L>(from[g] + whole, tile.k.columns - whole);
        ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
          const typename L::Vector q = L::load(query + r * panel.query_stride + whole);
          sum[r * kKeys + g] = L::multiply_add(k, q, sum[r * kKeys + g]);
        }
      }
    }
    Real dot[L::kLanes];
    L::store(dot, L::sums_of_lanes(sum));
    for (int r = 0; r < kRows; ++r) {
      Real* const to = tile.scores + (first_row + r) * kRowTileKeys + key;
      for (int g = 0; g < kKeys; ++g) to[g] = dot[r * kKeys + g];
    }
  }
}

/// One row's scores become probabilities against its new maximum; its output is rescaled.
template <class L, class T>
void softmax_row(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel, int row) {
  using Real = typename L::Real;
  using Vector = typename L::Vector;
  constexpr Real kLowest = -std::numeric_limits<Real>::infinity();
  Real* const scores = tile.scores + row * kRowTileKeys;
  const std::int64_t keys = tile.k.keys;
  const std::int64_t padded = (keys + L::kLanes - 1) / L::kLanes * L::kLanes;
  for (std::int64_t key = keys; key < padded; ++key) scores[key] = kLowest;

  Vector top = L::set1(panel.max[row]);
  for (std::int64_t key = 0; key < padded; key += L::kLanes) {
    Vector s = L::load(scores + key);
    if (tile.allowed != nullptr) {
      const std::uint32_t word = tile.allowed[key / 32 * panel.rows + row];
      s = L::select(L::mask_of_bits(word >> (key % 32)), s, L::set1(kLowest));
      L::store(scores + key, s);
    }
    top = L::max(s, top);
  }
  Real lane[L::kLanes];
  L::store(lane, top);
  Real new_max = lane[0];
  for (const Real x : lane) new_max = x > new_max ? x : new_max;

  // Where nothing is allowed yet the maximum is -inf, and -inf - -inf would be NaN.
  const Vector base = L::set1(new_max == kLowest ? Real{0} : new_max);
  const Vector scale = L::set1(tile.exponent_scale);
  const Vector factor = exp2<L>(L::multiply(L::subtract(L::set1(panel.max[row]), base), scale));
  Vector sum = L::zero();
  for (std::int64_t key = 0; key < padded; key += L::kLanes) {
    const Vector p = exp2<L>(L::multiply(L::subtract(L::load(scores + key), base), scale));
    sum = L::add(sum, p);
    L::store(scores + key, p);
  }
  L::store(lane, factor);
  panel.sum[row] *= lane[0];
  L::store(lane, sum);
  for (const Real x : lane) panel.sum[row] += x;
  panel.max[row] = new_max;
  Real* const out = panel.out + row * panel.out_stride;
  for (std::int64_t c = 0; c < panel.out_stride; c += L::kLanes)
    L::store(out + c, L::multiply(L::load(out + c), factor));
}

/// Adds the tile's values, weighed by kRows rows of probabilities, to kVectors vectors of columns.
template <class L, int kRows, int kVectors, class T>
ATTEND_INLINE void row_values_block(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel,
                                    int first_row, std::int64_t column, std::int64_t part) {
  typename L::Vector sum[kRows][kVectors];
  ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
    ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) sum[r][n] = L::zero();
  }
  const T* from = tile.v.data + column;
  const typename L::Real* p = tile.scores + first_row * kRowTileKeys;
  for (std::int64_t key = 0; key < tile.v.keys; ++key) {
    typename L::Vector v[kVectors];
    ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) {
      v[n] = part == 0 ? L::load(from + n * L::kLanes) : load_part<L>(from, part);
    }
    if (first_row == 0 && column == 0) prefetch_row(tile.k, tile.k.keys + key);
    ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
      const typename L::Vector weight = L::set1(p[r * kRowTileKeys + key]);
      ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) {
        sum[r][n] = L::multiply_add(weight, v[n], sum[r][n]);
      }
    }
    from += tile.v.key_stride;
  }
  ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
    ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) {
      typename L::Real* const to =
          panel.out + (first_row + r) * panel.out_stride + column + n * L::kLanes;
      L::store(to, L::add(L::load(to), sum[r][n]));
    }
  }
}

template <class L, int kRows, class T>
void row_values(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel, int first_row) {
  constexpr int kVectors = kRows == 1 ? 8 : L::kLanes >= 16 ? 4 : 2;
  std::int64_t column = 0;
  for (; column + kVectors * L::kLanes <= tile.v.columns; column += kVectors * L::kLanes)
    row_values_block<L, kRows, kVectors>(tile, panel, first_row, column, 0);
  for (; column + L::kLanes <= tile.v.columns; column += L::kLanes)
    row_values_block<L, kRows, 1>(tile, panel, first_row, column, 0);
  if (column < tile.v.columns)
    row_values_block<L, kRows, 1>(tile, panel, first_row, column, tile.v.columns - column);
}

/// All rows of a panel on one tile of keys.
template <class L, class T>
void attend_rows(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel) {
  constexpr int kMost = L::kLanes < 4 ? L::kLanes : 4;
  int row = 0;
  for (; row + kMost <= panel.rows; row += kMost) row_scores<L, kMost>(tile, panel, row);
  for (; row < panel.rows; ++row) row_scores<L, 1>(tile, panel, row);
  for (row = 0; row < panel.rows; ++row) softmax_row<L>(tile, panel, row);
  for (row = 0; row + kMost <= panel.rows; row += kMost) row_values<L, kMost>(tile, panel, row);
  for (; row < panel.rows; ++row) row_values<L, 1>(tile, panel, row);
}
