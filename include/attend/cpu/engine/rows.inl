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

/// A vector of a row's columns, `part` of them and zeros or, for 0, all.
template <class L, class T>
ATTEND_INLINE typename L::Vector load_columns(const T* from, std::int64_t part) {
  return part == 0 ? L::load(from) : load_part<L>(from, part);
}

/// Keys of a group: K and V are read in turn, a few KiB each (on Zen 4 groups of 16 keys gained 7%
/// over 32 for float, 8 lost 10%).
constexpr std::int64_t kGroupKeys = 16;

/// Asks for what lies `bytes` behind elements that begin a cache line, or nearly so, among a row's
/// `column`-th and following. Each line that is read asks for the one a group later: asked for all
/// at once they would be waited for, and the processor's own prefetch stops at every group's end
/// (on Zen 3 a cache of half types was read 1.2 to 1.4 times as fast, of floats 1.0 to 1.2 times).
template <class L, class T>
ATTEND_INLINE void prefetch_behind(const T* at, std::int64_t column, std::int64_t bytes) {
  constexpr std::int64_t kLine = 64 / sizeof(T);
  if (kLine <= L::kLanes || column % kLine == 0)
    __builtin_prefetch(reinterpret_cast<const char*>(at) + bytes);
}

/// How far ahead the keys or values of the next group are; 0 where those were asked for already.
template <class T>
std::int64_t bytes_ahead(const KeyTile<T>& tile, int first_row) {
  return first_row == 0 ? kGroupKeys * tile.key_stride * static_cast<std::int64_t>(sizeof(T)) : 0;
}

/// A vector that several products need, for which the loads are as scarce as the products (on Zen 3
/// dot products of four queries took 20% less time).
template <class L>
ATTEND_INLINE typename L::Vector load_once(const typename L::Real* from) {
  if constexpr (requires { L::load_once(from); })
    return L::load_once(from);
  else
    return L::load(from);
}

/// Adds one vector of columns to the dot products of kKeys keys with kRows queries.
template <class L, int kKeys, int kRows, class T>
ATTEND_INLINE void add_dots(const T* const (&key)[kKeys], const typename L::Real* query,
                            std::int64_t query_stride, std::int64_t column, std::int64_t part,
                            typename L::Vector (&dot)[kKeys][kRows]) {
  typename L::Vector k[kKeys];
  ATTEND_UNROLL for (int n = 0; n < kKeys; ++n) k[n] = load_columns<L>(key[n] + column, part);
  ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
    const typename L::Vector q = load_once<L>(query + r * query_stride + column);
    ATTEND_UNROLL for (int n = 0; n < kKeys; ++n) {
      dot[n][r] = L::multiply_add(k[n], q, dot[n][r]);
    }
  }
}

/// Dot products of kRows queries with all keys of the tile; kLanes of them are summed at a time.
template <class L, int kRows, class T>
void row_scores(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel, int first_row) {
  using Real = typename L::Real;
  constexpr int kKeys = L::kLanes / kRows;
  // Two keys at a time, whose sums do not wait for each other; but where memory is the limit alone,
  // with one query and wide elements, strictly one after the other, as a prefetcher likes it.
  constexpr bool kInTurn = kKeys < 2 || (kRows == 1 && sizeof(T) == sizeof(Real));
  constexpr int kAtOnce = kInTurn ? 1 : 2;
  const std::int64_t whole = tile.k.columns / L::kLanes * L::kLanes;
  const Real* const query = panel.queries + first_row * panel.query_stride;
  const std::int64_t ahead = bytes_ahead(tile.k, first_row);
  for (std::int64_t key = 0; key < tile.k.keys; key += kKeys) {
    typename L::Vector sum[L::kLanes];
    ATTEND_UNROLL for (int g = 0; g < kKeys; g += kAtOnce) {
      const T* from[kAtOnce];
      typename L::Vector dot[kAtOnce][kRows];
      ATTEND_UNROLL for (int n = 0; n < kAtOnce; ++n) {
        // Past the end the last key is read again.
        const std::int64_t at = key + g + n < tile.k.keys ? key + g + n : tile.k.keys - 1;
        from[n] = tile.k.data + at * tile.k.key_stride;
        ATTEND_UNROLL for (int r = 0; r < kRows; ++r) dot[n][r] = L::zero();
      }
      for (std::int64_t c = 0; c < whole; c += L::kLanes) {
        ATTEND_UNROLL for (int n = 0; n < kAtOnce; ++n) prefetch_behind<L>(from[n] + c, c, ahead);
        add_dots<L>(from, query, panel.query_stride, c, 0, dot);
      }
      if (whole < tile.k.columns)
        add_dots<L>(from, query, panel.query_stride, whole, tile.k.columns - whole, dot);
      ATTEND_UNROLL for (int n = 0; n < kAtOnce; ++n) {
        ATTEND_UNROLL for (int r = 0; r < kRows; ++r) sum[r * kKeys + g + n] = dot[n][r];
      }
    }
    Real dots[L::kLanes];
    L::store(dots, L::sums_of_lanes(sum));
    for (int r = 0; r < kRows; ++r)
      std::copy_n(dots + r * kKeys, kKeys, tile.scores + (first_row + r) * kRowTileKeys + key);
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

  const Real old_max = panel.max[row];
  Vector top = L::set1(old_max);
  for (std::int64_t key = 0; key < padded; key += L::kLanes) {
    Vector s = L::load(scores + key);
    if (tile.allowed != nullptr) {
      const std::uint32_t bits = tile.allowed[row] >> (tile.first_bit + key);
      s = L::select(L::mask_of_bits(bits), s, L::set1(kLowest));
      L::store(scores + key, s);
    }
    top = L::max(s, top);
  }
  const Real new_max = L::max_of_lanes(top);
  // Where nothing is allowed yet the maximum is -inf, and -inf - -inf would be NaN.
  const Vector base = L::set1(new_max == kLowest ? Real{0} : new_max);
  const Vector scale = L::set1(tile.exponent_scale);
  Real* const row_sum = panel.sum + row * L::kLanes;
  if (new_max != old_max) {
    const Vector factor = exp2<L>(L::multiply(L::subtract(L::set1(old_max), base), scale));
    L::store(row_sum, L::multiply(L::load(row_sum), factor));
    Real* const out = panel.out + row * panel.out_stride;
    for (std::int64_t c = 0; c < panel.out_stride; c += L::kLanes)
      L::store(out + c, L::multiply(L::load(out + c), factor));
    panel.max[row] = new_max;
  }
  Vector sum = L::load(row_sum);
  for (std::int64_t key = 0; key < padded; key += L::kLanes) {
    const Vector p = exp2<L>(L::multiply(L::subtract(L::load(scores + key), base), scale));
    sum = L::add(sum, p);
    L::store(scores + key, p);
  }
  L::store(row_sum, sum);
}

/// Adds the tile's values, weighed by kRows rows of probabilities, to kVectors vectors of columns.
template <class L, int kRows, int kVectors, class T>
ATTEND_INLINE void row_values_block(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel,
                                    int first_row, std::int64_t column, std::int64_t part) {
  typename L::Vector sum[kRows][kVectors];
  ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
    ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) sum[r][n] = L::zero();
  }
  const std::int64_t ahead = bytes_ahead(tile.v, first_row);
  const T* from = tile.v.data + column;
  const typename L::Real* p = tile.scores + first_row * kRowTileKeys;
  for (std::int64_t key = 0; key < tile.v.keys; ++key) {
    typename L::Vector v[kVectors];
    ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) {
      prefetch_behind<L>(from + n * L::kLanes, n * L::kLanes, ahead);
      v[n] = load_columns<L>(from + n * L::kLanes, part);
    }
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

/// The same for all columns from `column` on, in blocks as wide as there are.
template <class L, int kRows, int kVectors, class T>
ATTEND_INLINE void row_values_from(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel,
                                   int first_row, std::int64_t column) {
  for (; column + kVectors * L::kLanes <= tile.v.columns; column += kVectors * L::kLanes)
    row_values_block<L, kRows, kVectors>(tile, panel, first_row, column, 0);
  if (column == tile.v.columns) return;
  if constexpr (kVectors > 1)
    row_values_from<L, kRows, kVectors / 2>(tile, panel, first_row, column);
  else
    row_values_block<L, kRows, 1>(tile, panel, first_row, column, tile.v.columns - column);
}

/// Several rows at a time, so that an element of V is read, and widened, once for all of them.
template <class L, int kRows, class T>
void row_values(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel, int first_row) {
  constexpr int kSums = L::kLanes >= 16 ? 16 : 12;  // that registers hold
  constexpr int kVectors = kRows == 1 ? 8 : kSums / kRows;
  row_values_from<L, kRows, kVectors>(tile, panel, first_row, 0);
}

/// All rows of a panel on the keys from `first` on, `count` of them.
template <class L, class T>
void attend_group(RowTile<T> tile, const RowPanel<typename L::Real>& panel, std::int64_t first,
                  std::int64_t count) {
  constexpr int kMost = L::kLanes < 4 ? L::kLanes : 4;
  tile.k.data += first * tile.k.key_stride;
  tile.v.data += first * tile.v.key_stride;
  tile.k.keys = tile.v.keys = count;
  tile.first_bit = static_cast<int>(first);
  int row = 0;
  for (; row + kMost <= panel.rows; row += kMost) row_scores<L, kMost>(tile, panel, row);
  for (; row < panel.rows; ++row) row_scores<L, 1>(tile, panel, row);
  for (row = 0; row < panel.rows; ++row) softmax_row<L>(tile, panel, row);
  for (row = 0; row + 4 <= panel.rows; row += 4) row_values<L, 4>(tile, panel, row);
  for (; row + 2 <= panel.rows; row += 2) row_values<L, 2>(tile, panel, row);
  for (; row < panel.rows; ++row) row_values<L, 1>(tile, panel, row);
}

/// All rows of a panel on one tile of keys, in groups.
template <class L, class T>
void attend_rows(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel) {
  for (std::int64_t first = 0; first < tile.k.keys; first += kGroupKeys)
    attend_group<L>(tile, panel, first, std::min(kGroupKeys, tile.k.keys - first));
}
