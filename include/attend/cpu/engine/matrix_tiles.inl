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
  constexpr int kLanes = L::kLanes;
  const std::int64_t pairs = padded_steps<L>(tile.keys);
  auto* const to = static_cast<Eigen::bfloat16*>(scratch);
  for (std::int64_t pair = 0; pair < pairs; pair += kLanes) {
    std::int64_t column = 0;
    if (tile.column_stride == 1 && 2 * (pair + kLanes) <= tile.keys) {
      for (; column + kLanes <= tile.columns; column += kLanes) {  // a transposition of words
        typename L::Vector block[kLanes];
        for (int n = 0; n < kLanes; ++n) {
          const Eigen::bfloat16* const first =
              tile.data + 2 * (pair + n) * tile.key_stride + column;
          std::uint32_t words[kLanes];
          L::store_interleaved(words, first, first + tile.key_stride);
          block[n] = L::load(reinterpret_cast<const float*>(words));
        }
        L::transpose(block);
        for (int c = 0; c < kLanes; ++c)
          L::store(reinterpret_cast<float*>(to) + (column + c) * pairs + pair, block[c]);
      }
    }
    for (; column < tile.columns; ++column)
      for (std::int64_t key = 2 * pair; key < 2 * (pair + kLanes); ++key)
        to[column * 2 * pairs + key] =
            key < tile.keys ? tile.data[key * tile.key_stride + column * tile.column_stride]
                            : Eigen::bfloat16(0.f);
  }
  return {static_cast<const char*>(scratch), pairs * 4, 4};
}

/// In product.inl.
template <class L>
ATTEND_INLINE void store_sum(typename L::Real* to, typename L::Vector sum,
                             const ProductOptions<typename L::Real>& options, int column);

/// As `product`, up to 32 rows and two sixteens of columns, from `first` on, of C (width apart).
template <class L>
void tile_block(typename L::Tiles& tiles, const Operand& a, int rows, const char* b,
                std::int64_t steps, float* c, int first, int vectors, std::int64_t width,
                const ProductOptions<float>& options) {
  const int high = rows > 16 ? rows - 16 : 0;
  tiles.clear();
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
  // Blocks of `count` rows.
  const auto blocks = [&](std::int64_t begin, std::int64_t end, int count) {
    typename L::Tiles tiles(count < 16 ? count : 16, count > 16 ? count - 16 : 0);
    for (std::int64_t row = begin; row < end; row += count) {
      if (options.ahead != nullptr) options.ahead->ask(count);
      for (int n = 0; n < sixteens; n += 2) {
        tile_block<L>(tiles, a.from(row, 0), count, static_cast<const char*>(b) + n * 64, steps,
                      c + row * width, n * 16, sixteens - n < 2 ? 1 : 2, width, options);
      }
    }
  };
  const std::int64_t whole = rows / 32 * 32;
  if (whole > 0) blocks(0, whole, 32);
  if (rows > whole) blocks(whole, rows, static_cast<int>(rows - whole));
}
