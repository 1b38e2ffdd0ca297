// Included by each engine inside its namespace and its target: operands of the products as their
// instructions take them.

/// Up to kLanes columns of up to kLanes rows; what is not there becomes 0.
template <class L, class T>
void load_part_of_rows(const Rows<const T>& rows, int first, std::int64_t column,
                       typename L::Vector (&block)[L::kLanes]) {
  const std::int64_t count = rows.columns - column;
  for (int r = 0; r < L::kLanes; ++r) {
    block[r] = L::zero();
    if (first + r >= rows.count) continue;
    const T* const from = rows.row[first + r] + column * rows.stride;
    if (rows.stride == 1 && count >= L::kLanes) {
      block[r] = L::load(from);
      continue;
    }
    typename L::Real part[L::kLanes] = {};
    for (int c = 0; c < L::kLanes && c < count; ++c)
      part[c] = static_cast<typename L::Real>(from[c * rows.stride]);
    block[r] = L::load(part);
  }
}

/// Elements of kLanes rows from `first` on, transposed: vector c becomes column `column` + c of
/// them. What is not there becomes 0.
template <class L, class T>
ATTEND_INLINE void load_transposed(const Rows<const T>& rows, int first, std::int64_t column,
                                   typename L::Vector (&block)[L::kLanes]) {
  if (rows.stride == 1 && column + L::kLanes <= rows.columns && first + L::kLanes <= rows.count) {
    ATTEND_UNROLL for (int r = 0; r < L::kLanes; ++r) {
      block[r] = L::load(rows.row[first + r] + column);
    }
  } else {  // in an array of its own, so that `block` can be registers
    typename L::Vector part[L::kLanes];
    load_part_of_rows<L>(rows, first, column, part);
    ATTEND_UNROLL for (int r = 0; r < L::kLanes; ++r) block[r] = part[r];
  }
  L::transpose(block);
}

/// `rows` times `factor`, transposed, to `to` (columns x width); lanes without a row become 0.
template <class L, class T>
void transpose_scaled(const Rows<const T>& rows, typename L::Real factor, typename L::Real* to,
                      int vectors) {
  constexpr int kLanes = L::kLanes;
  const std::int64_t width = vectors * kLanes;
  const typename L::Vector scale = L::set1(factor);
  for (int n = 0; n < vectors; ++n) {
    for (std::int64_t column = 0; column < rows.columns; column += kLanes) {
      typename L::Vector block[kLanes];
      load_transposed<L>(rows, n * kLanes, column, block);
      ATTEND_UNROLL for (int c = 0; c < kLanes; ++c) {
        if (column + c < rows.columns)
          L::store(to + (column + c) * width + n * kLanes, L::multiply(block[c], scale));
      }
    }
  }
}

/// See `MaskWords`.
template <class L>
void mask_words(const Rows<const bool>& mask, std::int64_t skipped, std::uint32_t* words,
                std::int64_t width) {
  for (int r = 0; r < mask.count; ++r) {
    const bool* from = mask.row[r] + skipped;
    std::uint32_t* to = words + r;
    std::int64_t left = mask.columns;
    if (mask.stride == 1)
      for (; left >= 32; left -= 32, from += 32, to += width) *to = L::bits_of_bytes(from);
    for (; left > 0; left -= 32, from += 32 * mask.stride, to += width)
      *to = mask_word(from, mask.stride, left < 32 ? left : 32);
  }
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

/// Two bfloat16 as one word, the first in the low half.
inline std::uint32_t pair_of(Eigen::bfloat16 first, Eigen::bfloat16 second) {
  std::uint16_t low, high;
  std::memcpy(&low, &first, sizeof low);
  std::memcpy(&high, &second, sizeof high);
  return static_cast<std::uint32_t>(high) << 16 | low;
}

/// Element `column` of a row times `factor` (1, -1 or 0: exact), 0 past the end.
inline Eigen::bfloat16 element_of(const Rows<const Eigen::bfloat16>& rows, int row,
                                  std::int64_t column, float factor) {
  if (row >= rows.count || column >= rows.columns) return Eigen::bfloat16(0.f);
  return static_cast<Eigen::bfloat16>(static_cast<float>(rows.row[row][column * rows.stride]) *
                                      factor);
}

/// Queries as pairs of neighbouring elements: (depth_steps x width) words.
template <class L>
void pack_query_pairs(const Rows<const Eigen::bfloat16>& rows, float factor,
                      const Panel<float>& panel) {
  constexpr int kLanes = L::kLanes;
  const std::int64_t width = panel.vectors * kLanes;
  const std::int64_t steps = padded_steps<L>(rows.columns);
  auto* const to = static_cast<std::uint32_t*>(panel.queries);
  for (int n = 0; n < panel.vectors; ++n) {
    std::int64_t step = 0;
    if (rows.stride == 1 && factor == 1) {  // a transposition of whole words
      for (; (step + kLanes) * 2 <= rows.columns; step += kLanes) {
        typename L::Vector block[kLanes];
        for (int r = 0; r < kLanes; ++r) {
          const int row = n * kLanes + r;
          block[r] = row < rows.count
                         ? L::load(reinterpret_cast<const float*>(rows.row[row]) + step)
                         : L::zero();
        }
        L::transpose(block);
        for (int c = 0; c < kLanes; ++c)
          L::store(reinterpret_cast<float*>(to) + (step + c) * width + n * kLanes, block[c]);
      }
    }
    for (; step < steps; ++step) {
      for (int r = 0; r < kLanes; ++r) {
        const int row = n * kLanes + r;
        to[step * width + row] = pair_of(element_of(rows, row, 2 * step, factor),
                                         element_of(rows, row, 2 * step + 1, factor));
      }
    }
  }
}

/// Keys in place where the instructions can read whole pairs there, else copied with zeros behind.
template <class L>
Operand pack_key_pairs(const KeyTile<Eigen::bfloat16>& tile, void* scratch) {
  const std::int64_t columns = 2 * padded_steps<L>(tile.columns);
  if (tile.column_stride == 1 && columns == tile.columns)
    return {reinterpret_cast<const char*>(tile.data), tile.key_stride * 2, 4};
  auto* const to = static_cast<Eigen::bfloat16*>(scratch);
  for (std::int64_t key = 0; key < tile.keys; ++key) {
    for (std::int64_t c = 0; c < columns; ++c) {
      to[key * columns + c] = c < tile.columns
                                  ? tile.data[key * tile.key_stride + c * tile.column_stride]
                                  : Eigen::bfloat16(0.f);
    }
  }
  return {static_cast<const char*>(scratch), columns * 2, 4};
}

/// Values as pairs of neighbouring keys, (keys / 2 x columns) words: two rows are interleaved.
template <class L>
Operand pack_value_pairs(const KeyTile<Eigen::bfloat16>& tile, void* scratch) {
  const std::int64_t width = (tile.columns + L::kLanes - 1) / L::kLanes * L::kLanes;
  auto* const to = static_cast<std::uint32_t*>(scratch);
  for (std::int64_t key = 0; key < tile.keys; key += 2) {
    const Eigen::bfloat16* const first = tile.data + key * tile.key_stride;
    const Eigen::bfloat16* const second = key + 1 < tile.keys ? first + tile.key_stride : nullptr;
    std::uint32_t* const row = to + key / 2 * width;
    std::int64_t c = 0;
    if (tile.column_stride == 1 && second != nullptr) {
      for (; c + L::kLanes <= tile.columns; c += L::kLanes)
        L::store_interleaved(row + c, first + c, second + c);
    }
    for (; c < tile.columns; ++c) {
      row[c] = pair_of(first[c * tile.column_stride],
                       second != nullptr ? second[c * tile.column_stride] : Eigen::bfloat16(0.f));
    }
  }
  return {static_cast<const char*>(scratch), 4, width * 4};
}

template <class L, class T>
void pack_queries(const Rows<const T>& rows, typename L::Real factor,
                  const Panel<typename L::Real>& panel) {
  if constexpr (L::kStep == 2)
    pack_query_pairs<L>(rows, factor, panel);
  else
    transpose_scaled<L>(rows, factor, static_cast<typename L::Real*>(panel.queries), panel.vectors);
}

template <class L, class T>
Operand pack_keys(const KeyTile<T>& tile, void* scratch) {
  if constexpr (L::kStep == 2)
    return pack_key_pairs<L>(tile, scratch);
  else
    return as_real<L>(tile, scratch);
}

template <class L, class T>
Operand pack_values(const KeyTile<T>& tile, void* scratch) {
  if constexpr (L::kStepsAtOnce > 1) {
    return pack_value_rows<L>(tile, scratch);
  } else if constexpr (L::kStep == 2) {
    return pack_value_pairs<L>(tile, scratch);
  } else {
    const Operand rows = as_real<L>(tile, scratch);
    return {rows.data, rows.step_bytes, rows.row_bytes};
  }
}
