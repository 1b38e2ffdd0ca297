// Included by engines with matrix tiles (AMX) inside their namespace and their target: the product
// by blocks of 2 x 2 tiles of 16 x 16 sums, each step of which takes 16 pairs.

/// Zero pairs of probabilities after the last key, up to a whole tile: the instruction takes 16.
template <class L>
void pad_probabilities(const Tile<float>& tile, std::int64_t width) {
  const std::int64_t used = (tile.keys + 1) / 2 * width;
  const std::int64_t all = padded_steps<L>(tile.keys) * width;
  std::fill(static_cast<std::uint32_t*>(tile.probabilities) + used,
            static_cast<std::uint32_t*>(tile.probabilities) + all, 0u);
}

/// Values transposed, (columns x keys): a row of the instruction's left tile is 16 pairs of keys.
template <class L>
Operand pack_value_rows(const KeyTile<Eigen::bfloat16>& tile, void* scratch) {
  const std::int64_t keys = 2 * padded_steps<L>(tile.keys);
  auto* const to = static_cast<Eigen::bfloat16*>(scratch);
  for (std::int64_t c = 0; c < tile.columns; ++c) {
    for (std::int64_t key = 0; key < keys; ++key) {
      to[c * keys + key] = key < tile.keys
                               ? tile.data[key * tile.key_stride + c * tile.column_stride]
                               : Eigen::bfloat16(0.f);
    }
  }
  return {static_cast<const char*>(scratch), keys * 2, 4};
}

/// In product.inl.
template <class L>
ATTEND_INLINE void store_sum(typename L::Real* to, typename L::Vector sum,
                             const ProductOptions<typename L::Real>& options, int column);

/// As `product`, up to 32 rows and two sixteens of columns, from `first` on, of C (width apart).
template <class L>
void tile_block(const Operand& a, int rows, const char* b, std::int64_t steps, float* c, int first,
                int vectors, std::int64_t width, const ProductOptions<float>& options) {
  const int low = rows < 16 ? rows : 16;
  const int high = rows - low;
  typename L::Tiles tiles(low, high);
  for (std::int64_t step = 0; step < steps; step += 16) {
    const Operand at = a.from(0, step);
    const char* const right = b + step * width * 4;
    tiles.template load_factor<0>(right, width * 4);
    if (vectors > 1) tiles.template load_factor<1>(right + 64, width * 4);
    tiles.template load_rows<0>(at.data, at.row_bytes);
    tiles.template multiply_add<0, 0>();
    if (vectors > 1) tiles.template multiply_add<0, 1>();
    if (high == 0) continue;
    tiles.template load_rows<1>(at.from(16, 0).data, at.row_bytes);
    tiles.template multiply_add<1, 0>();
    if (vectors > 1) tiles.template multiply_add<1, 1>();
  }
  alignas(64) float sum[2][2][16 * 16];
  tiles.template store<0, 0>(sum[0][0]);
  if (vectors > 1) tiles.template store<0, 1>(sum[0][1]);
  if (high > 0) tiles.template store<1, 0>(sum[1][0]);
  if (high > 0 && vectors > 1) tiles.template store<1, 1>(sum[1][1]);
  for (int r = 0; r < rows; ++r) {
    for (int n = 0; n < vectors; ++n) {
      for (int lane = 0; lane < 16; lane += L::kLanes) {
        const int column = first + n * 16 + lane;
        const typename L::Vector s = L::load(sum[r / 16][n] + r % 16 * 16 + lane);
        if (options.top != nullptr)
          L::store(options.top + column, L::max(s, L::load(options.top + column)));
        store_sum<L>(c + r * width + column, s, options, column);
      }
    }
  }
}

/// As `product`, on tiles.
template <class L>
void tile_product(const Operand& a, std::int64_t rows, const void* b, std::int64_t steps, float* c,
                  int vectors, const ProductOptions<float>& options) {
  const std::int64_t width = vectors * L::kLanes;
  const int sixteens = static_cast<int>(width / 16);
  for (std::int64_t row = 0; row < rows; row += 32) {
    const int count = static_cast<int>(rows - row < 32 ? rows - row : 32);
    for (int n = 0; n < sixteens; n += 2) {
      tile_block<L>(a.from(row, 0), count, static_cast<const char*>(b) + n * 64, steps,
                    c + row * width, n * 16, sixteens - n < 2 ? 1 : 2, width, options);
    }
    if (options.ahead != nullptr) options.ahead->ask(count);
  }
}
