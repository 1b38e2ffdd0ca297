// Included by each engine inside its namespace and its target: a few rows against many keys, as in
// decoding. There are too few queries to fill the lanes, so the lanes run along head_dim (for the
// scores) and along head_dim_v (for the output), and each element of K and V is read once, where it
// lies. Half types are widened in registers, or multiplied as pairs where the engine does that.

/// Columns that one factor of a dot product holds.
template <class L>
constexpr int kFactorColumns = L::kLanes* L::kStep;

/// Keys of a tile that are computed together, [first, end).
struct KeyGroup {
  std::int64_t first, end;
};

/// Keys of a group: K and V are read in turn, 8 KiB each (of float, on Zen 4, 4 and 16 KiB cost 7
/// to 10% more; of half types, on Zen 5, 4 KiB cost 5 to 25% more).
template <class T>
std::int64_t group_keys(const KeyTile<T>& tile) {
  return tile.columns * 32 * static_cast<std::int64_t>(sizeof(T)) <= 8192 ? 32 : 16;
}

/// Asks for what lies `bytes` behind elements that begin a cache line, or nearly so, among a row's
/// `column`-th and following. Each line that is read asks for the one a group later: asked for all
/// at once they would be waited for, and the processor's own prefetch stops at every group's end
/// (on Zen 3 a cache of half types was read 1.2 to 1.4 times as fast, of floats 1.0 to 1.2 times).
template <class L, class T>
ATTEND_INLINE void prefetch_behind(const T* at, std::int64_t column, std::int64_t bytes) {
  constexpr std::int64_t kLine = 64 / sizeof(T);
  if (kLine <= kFactorColumns<L> || column % kLine == 0)
    __builtin_prefetch(reinterpret_cast<const char*>(at) + bytes);
}

/// How far ahead the keys or values of the next group are; 0 where those were asked for already.
template <class T>
std::int64_t bytes_ahead(const KeyTile<T>& tile, int first_row) {
  const std::int64_t bytes = tile.key_stride * static_cast<std::int64_t>(sizeof(T));
  return first_row == 0 ? group_keys(tile) * bytes : 0;
}

/// Columns of a row of K or V as a product takes them: in the type of scores, or as they are where
/// the engine multiplies pairs.
template <class L, class T>
ATTEND_INLINE typename L::Factor load_whole(const T* from) {
  if constexpr (L::kStep == 2)
    return L::load_factor(reinterpret_cast<const char*>(from));
  else
    return L::load(from);
}

/// The same of `part` columns and zeros or, for 0, of all.
template <class L, class T>
ATTEND_INLINE typename L::Factor load_columns(const T* from, std::int64_t part) {
  if (part == 0) return load_whole<L>(from);
  T whole[kFactorColumns<L>] = {};
  for (std::int64_t n = 0; n < part; ++n) whole[n] = from[n];
  return load_whole<L>(whole);
}

/// Columns of a query that several keys are multiplied with. To registers, where the loads are as
/// scarce as the products (on Zen 3 dot products of four queries took 20% less time). Pairs are
/// exact: queries have not been scaled.
template <class L>
ATTEND_INLINE typename L::Factor load_query(const typename L::Real* from) {
  if constexpr (L::kStep == 2)
    return L::pairs(L::load(from), L::load(from + L::kLanes));
  else if constexpr (requires { L::load_once(from); })
    return L::load_once(from);
  else
    return L::load(from);
}

/// Adds one factor of columns to the dot products of kKeys keys with kRows queries.
template <class L, int kKeys, int kRows, class T>
ATTEND_INLINE void add_dots(const T* const (&key)[kKeys], const typename L::Real* query,
                            std::int64_t query_stride, std::int64_t column, std::int64_t part,
                            typename L::Vector (&dot)[kKeys][kRows]) {
  typename L::Factor k[kKeys];
  ATTEND_UNROLL for (int n = 0; n < kKeys; ++n) k[n] = load_columns<L>(key[n] + column, part);
  ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
    const typename L::Factor q = load_query<L>(query + r * query_stride + column);
    ATTEND_UNROLL for (int n = 0; n < kKeys; ++n) {
      dot[n][r] = L::multiply_add(k[n], q, dot[n][r]);
    }
  }
}

/// Dot products of kRows queries with kLanes / kRows keys from `key` on: those of a row lie side by
/// side. Past the end the last key is read again.
template <class L, int kRows, class T>
ATTEND_INLINE typename L::Vector dots(const KeyTile<T>& k, const typename L::Real* query,
                                      std::int64_t query_stride, std::int64_t key,
                                      std::int64_t ahead) {
  constexpr int kKeys = L::kLanes / kRows;
  // Several keys at a time, whose sums do not wait for each other; but where memory is the limit
  // alone, with one query and wide elements, strictly one after the other, as a prefetcher likes
  // it.
  constexpr int kAtOnce = kRows > 1 ? kKeys : sizeof(T) == sizeof(typename L::Real) ? 1 : 2;
  const std::int64_t whole = k.columns / kFactorColumns<L> * kFactorColumns<L>;
  typename L::Vector sum[L::kLanes];
  ATTEND_UNROLL for (int g = 0; g < kKeys; g += kAtOnce) {
    const T* from[kAtOnce];
    typename L::Vector dot[kAtOnce][kRows];
    ATTEND_UNROLL for (int n = 0; n < kAtOnce; ++n) {
      from[n] = k.data + std::min(key + g + n, k.keys - 1) * k.key_stride;
      ATTEND_UNROLL for (int r = 0; r < kRows; ++r) dot[n][r] = L::zero();
    }
    for (std::int64_t c = 0; c < whole; c += kFactorColumns<L>) {
      ATTEND_UNROLL for (int n = 0; n < kAtOnce; ++n) prefetch_behind<L>(from[n] + c, c, ahead);
      add_dots<L>(from, query, query_stride, c, 0, dot);
    }
    if (whole < k.columns) add_dots<L>(from, query, query_stride, whole, k.columns - whole, dot);
    ATTEND_UNROLL for (int n = 0; n < kAtOnce; ++n) {
      ATTEND_UNROLL for (int r = 0; r < kRows; ++r) sum[r * kKeys + g + n] = dot[n][r];
    }
  }
  return L::sums_of_lanes(sum);
}

/// Scores of kRows queries and a group of keys.
template <class L, int kRows, class T>
void row_scores(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel, int first_row,
                const KeyGroup& group) {
  const typename L::Real* const query = panel.queries + first_row * panel.query_stride;
  const std::int64_t ahead = bytes_ahead(tile.k, first_row);
  for (std::int64_t key = group.first; key < group.end; key += L::kLanes) {
    typename L::Vector row[kRows];
    for (int n = 0; n < kRows; ++n) {
      row[n] =
          dots<L, kRows>(tile.k, query, panel.query_stride, key + n * (L::kLanes / kRows), ahead);
    }
    if constexpr (kRows > 1) L::transpose_parts(row);
    for (int r = 0; r < kRows; ++r)
      L::store(tile.scores + (first_row + r) * kRowTileKeys + key, row[r]);
  }
}

/// One row's scores become probabilities against its new maximum; its output is rescaled.
template <class L, class T>
void softmax_row(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel, int row,
                 const KeyGroup& group) {
  using Real = typename L::Real;
  using Vector = typename L::Vector;
  constexpr Real kLowest = -std::numeric_limits<Real>::infinity();
  Real* const scores = tile.scores + row * kRowTileKeys;
  const std::int64_t padded = (group.end + L::kLanes - 1) / L::kLanes * L::kLanes;
  for (std::int64_t key = group.end; key < padded; ++key) scores[key] = kLowest;

  const Real old_max = panel.max[row];
  Vector top = L::set1(old_max);
  for (std::int64_t key = group.first; key < padded; key += L::kLanes) {
    Vector s = L::load(scores + key);
    if (tile.allowed != nullptr) {
      const std::uint32_t bits = tile.allowed[key / 32 * panel.rows + row] >> key % 32;
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
  for (std::int64_t key = group.first; key < padded; key += L::kLanes) {
    const Vector p = exp2<L>(L::multiply(L::subtract(L::load(scores + key), base), scale));
    sum = L::add(sum, p);
    if constexpr (L::kStep == 2)  // the pairs that the product with V reads
      L::store(reinterpret_cast<T*>(scores) + key, p);
    else
      L::store(scores + key, p);
  }
  L::store(row_sum, sum);
}

/// Columns of kVectors vectors of a value as factors; where the engine multiplies pairs, of a key's
/// and its neighbour's value together, in the order that `in_order` takes back.
template <class L, int kVectors, class T>
ATTEND_INLINE void load_values(const T* from, std::int64_t next, std::int64_t part,
                               typename L::Factor (&v)[kVectors]) {
  ATTEND_UNROLL for (int n = 0; n < kVectors; n += L::kStep) {
    const typename L::Factor first = load_columns<L>(from + n * L::kLanes, part);
    if constexpr (L::kStep == 2)
      L::interleave(first, load_columns<L>(from + next + n * L::kLanes, part), v[n], v[n + 1]);
    else
      v[n] = first;
  }
}

/// Adds the tile's values, weighed by kRows rows of probabilities, to kVectors vectors of columns.
template <class L, int kRows, int kVectors, class T>
ATTEND_INLINE void row_values_block(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel,
                                    int first_row, const KeyGroup& group, std::int64_t column,
                                    std::int64_t part) {
  typename L::Vector sum[kRows][kVectors];
  ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
    ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) sum[r][n] = L::zero();
  }
  const std::int64_t ahead = bytes_ahead(tile.v, first_row);
  const T* from = tile.v.data + group.first * tile.v.key_stride + column;
  // A weight, or a pair of them, is as wide as a score.
  constexpr int kBytes = static_cast<int>(sizeof(typename L::Real));
  const auto* p = reinterpret_cast<const char*>(tile.scores + first_row * kRowTileKeys) +
                  group.first / L::kStep * kBytes;
  for (std::int64_t key = group.first; key < group.end; key += L::kStep) {
    // The neighbour of the last of an odd number of keys has the weight 0.
    const std::int64_t next = key + 1 < group.end ? tile.v.key_stride : 0;
    ATTEND_UNROLL for (int row = 0; row < L::kStep; ++row) {
      ATTEND_UNROLL for (int n = 0; n < kVectors; n += L::kStep) {
        prefetch_behind<L>(from + row * next + n * L::kLanes, n * L::kLanes, ahead);
      }
    }
    typename L::Factor v[kVectors];
    load_values<L>(from, next, part, v);
    ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
      const typename L::Factor weight = L::broadcast_factor(p + r * kRowTileKeys * kBytes);
      ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) {
        sum[r][n] = L::multiply_add(weight, v[n], sum[r][n]);
      }
    }
    from += L::kStep * tile.v.key_stride;
    p += kBytes;
  }
  ATTEND_UNROLL for (int r = 0; r < kRows; ++r) {
    ATTEND_UNROLL for (int n = 0; n < kVectors; ++n) {
      if constexpr (L::kStep == 2)
        if (n % 2 == 0) L::in_order(sum[r][n], sum[r][n + 1]);
      typename L::Real* const to =
          panel.out + (first_row + r) * panel.out_stride + column + n * L::kLanes;
      L::store(to, L::add(L::load(to), sum[r][n]));
    }
  }
}

/// The same for all columns from `column` on, in blocks as wide as there are.
template <class L, int kRows, int kVectors, class T>
ATTEND_INLINE void row_values_from(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel,
                                   int first_row, const KeyGroup& group, std::int64_t column) {
  for (; column + kVectors * L::kLanes <= tile.v.columns; column += kVectors * L::kLanes)
    row_values_block<L, kRows, kVectors>(tile, panel, first_row, group, column, 0);
  if (column == tile.v.columns) return;
  if constexpr (kVectors > L::kStep)
    row_values_from<L, kRows, kVectors / 2>(tile, panel, first_row, group, column);
  else
    row_values_block<L, kRows, kVectors>(tile, panel, first_row, group, column,
                                         tile.v.columns - column);
}

/// Several rows at a time, so that an element of V is read, and widened, once for all of them.
template <class L, int kRows, class T>
void row_values(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel, int first_row,
                const KeyGroup& group) {
  constexpr int kSums = sizeof(typename L::Vector) >= 64 ? 16 : 12;  // that registers hold
  constexpr int kVectors = kRows == 1 ? 8 : kSums / kRows;
  row_values_from<L, kRows, kVectors>(tile, panel, first_row, group, 0);
}

/// Scores of all rows of a panel and a group of keys.
template <class L, class T>
void group_scores(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel,
                  const KeyGroup& group) {
  int row = 0;
  if constexpr (L::kLanes >= 8)
    for (; row + 4 <= panel.rows; row += 4) row_scores<L, 4>(tile, panel, row, group);
  for (; row < panel.rows; ++row) row_scores<L, 1>(tile, panel, row, group);
}

/// Adds a group's values to the outputs of all rows of a panel.
template <class L, class T>
void group_values(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel,
                  const KeyGroup& group) {
  int row = 0;
  for (; row + 4 <= panel.rows; row += 4) row_values<L, 4>(tile, panel, row, group);
  for (; row + 2 <= panel.rows; row += 2) row_values<L, 2>(tile, panel, row, group);
  for (; row < panel.rows; ++row) row_values<L, 1>(tile, panel, row, group);
}

/// All rows of a panel on one tile of keys, group by group. A softmax is a chain of few long steps:
/// the next group's scores, which do not wait for it, stand between it and the values.
template <class L, class T>
void attend_rows(const RowTile<T>& tile, const RowPanel<typename L::Real>& panel) {
  const std::int64_t keys = tile.k.keys, step = group_keys(tile.k);
  KeyGroup group{0, std::min(step, keys)};
  group_scores<L>(tile, panel, group);
  while (group.first < keys) {
    for (int row = 0; row < panel.rows; ++row) softmax_row<L>(tile, panel, row, group);
    const KeyGroup next{group.end, std::min(group.end + step, keys)};
    if (next.first < keys) group_scores<L>(tile, panel, next);
    group_values<L>(tile, panel, group);
    group = next;
  }
}
