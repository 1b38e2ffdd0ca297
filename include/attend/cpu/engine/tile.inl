// Included by each engine inside its namespace and its target: the operations of `Kernels<T>` over
// a layer L of instructions.

/// `rows` times `factor`, transposed, to `to` (columns x width); lanes without a row become 0.
template <class L, class T>
void transpose_scaled(const Rows<const T>& rows, typename L::Real factor, typename L::Real* to,
                      int vectors) {
  using Real = typename L::Real;
  constexpr int kLanes = L::kLanes;
  const std::int64_t width = vectors * kLanes;
  for (int n = 0; n < vectors; ++n) {
    std::int64_t column = 0;
    if (rows.stride == 1) {
      for (; column + kLanes <= rows.columns; column += kLanes) {
        typename L::Vector block[kLanes];
        for (int r = 0; r < kLanes; ++r) {
          const int row = n * kLanes + r;
          block[r] = row < rows.count
                         ? L::multiply(L::load(rows.row[row] + column), L::set1(factor))
                         : L::zero();
        }
        L::transpose(block);
        for (int c = 0; c < kLanes; ++c) L::store(to + (column + c) * width + n * kLanes, block[c]);
      }
    }
    for (; column < rows.columns; ++column) {
      for (int r = 0; r < kLanes; ++r) {
        const int row = n * kLanes + r;
        to[column * width + row] =
            row < rows.count ? static_cast<Real>(rows.row[row][column * rows.stride]) * factor
                             : Real{0};
      }
    }
  }
}

template <class L>
void transpose_rows(const Rows<const typename L::Real>& rows, typename L::Real* to, int vectors) {
  transpose_scaled<L>(rows, typename L::Real{1}, to, vectors);
}

template <class L, class T>
void pack_queries(const Rows<const T>& rows, typename L::Real factor,
                  const Panel<typename L::Real>& panel) {
  transpose_scaled<L>(rows, factor, static_cast<typename L::Real*>(panel.queries), panel.vectors);
}

/// The tile in the type of the scores: where it lies if it has that type already, else converted to
/// `scratch`. Element (key, column) of the result is at `row_bytes` * key + `step_bytes` * column.
template <class L, class T>
Operand as_real(const KeyTile<T>& tile, void* scratch) {
  using Real = typename L::Real;
  constexpr std::int64_t kBytes = sizeof(Real);
  if constexpr (std::is_same_v<T, Real>) {
    return {reinterpret_cast<const char*>(tile.data), tile.key_stride * kBytes,
            tile.column_stride * kBytes};
  } else {
    const std::int64_t width = (tile.columns + L::kLanes - 1) / L::kLanes * L::kLanes;
    Real* const to = static_cast<Real*>(scratch);
    for (std::int64_t key = 0; key < tile.keys; ++key) {
      const T* const from = tile.data + key * tile.key_stride;
      std::int64_t column = 0;
      if (tile.column_stride == 1) {
        for (; column + L::kLanes <= tile.columns; column += L::kLanes)
          L::store(to + key * width + column, L::load(from + column));
      }
      for (; column < tile.columns; ++column)
        to[key * width + column] = static_cast<Real>(from[column * tile.column_stride]);
    }
    return {static_cast<const char*>(scratch), width * kBytes, kBytes};
  }
}

template <class L, class T>
Operand pack_keys(const KeyTile<T>& tile, void* scratch) {
  return as_real<L>(tile, scratch);
}

template <class L, class T>
Operand pack_values(const KeyTile<T>& tile, void* scratch) {
  const Operand rows = as_real<L>(tile, scratch);
  return {rows.data, rows.step_bytes, rows.row_bytes};
}

template <class L>
void scores(const Tile<typename L::Real>& tile, const Panel<typename L::Real>& panel) {
  product<L>(tile.k, tile.keys, panel.queries, panel.depth, tile.scores, panel.vectors, nullptr);
  if (tile.change != nullptr) change_scores<L>(tile, panel.vectors);
}

template <class L>
void accumulate(const Tile<typename L::Real>& tile, const Panel<typename L::Real>& panel) {
  typename L::Real rescale[L::kMaxVectors * L::kLanes];
  for (std::int64_t lane = 0; lane < panel.vectors * L::kLanes; lane += L::kLanes)
    softmax_column<L>(tile, panel, lane, rescale);
  product<L>(tile.v, panel.depth_v, tile.scores, tile.keys, panel.out, panel.vectors, rescale);
}

template <class L, class T>
void store(const Panel<typename L::Real>& panel, const typename L::Real* factor,
           const Rows<T>& rows, typename L::Real* check) {
  using Vector = typename L::Vector;
  constexpr int kLanes = L::kLanes;
  const std::int64_t width = panel.vectors * kLanes;
  for (int n = 0; n < panel.vectors; ++n) {
    const Vector scale = L::load(factor + n * kLanes);
    Vector finite = L::zero();
    for (std::int64_t column = 0; column < rows.columns; column += kLanes) {
      const int count =
          static_cast<int>(rows.columns - column < kLanes ? rows.columns - column : kLanes);
      Vector block[kLanes];
      for (int c = 0; c < kLanes; ++c) {
        block[c] = c < count
                       ? L::multiply(L::load(panel.out + (column + c) * width + n * kLanes), scale)
                       : L::zero();
        finite = L::add(finite, L::multiply(block[c], L::zero()));
      }
      L::transpose(block);
      for (int r = 0; r < kLanes && n * kLanes + r < rows.count; ++r) {
        T* const to = rows.row[n * kLanes + r] + column * rows.stride;
        if (rows.stride == 1 && count == kLanes) {
          L::store(to, block[r]);
        } else {
          T lane[kLanes];
          L::store(lane, block[r]);
          for (int c = 0; c < count; ++c) to[c * rows.stride] = lane[c];
        }
      }
    }
    L::store(check + n * kLanes, finite);
  }
}

/// The engine's table for element type T.
template <class L, class T>
constexpr Kernels<T> kernels(const char* name, const Tuning& tuning) {
  return {name,
          tuning,
          1,
          &pack_queries<L, T>,
          &transpose_rows<L>,
          &pack_keys<L, T>,
          &pack_values<L, T>,
          &scores<L>,
          &accumulate<L>,
          &store<L, T>,
          &attend_rows<L, T>};
}
