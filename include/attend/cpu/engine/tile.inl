// Included by each engine inside its namespace and its target: the operations of `Kernels<T>` over
// a layer L of instructions.

template <class L>
void scores(const Tile<typename L::Real>& tile, const Panel<typename L::Real>& panel) {
  const std::int64_t steps = padded_steps<L>(panel.depth);
  product<L>(tile.k, tile.keys, panel.queries, steps, tile.scores, panel.vectors, nullptr);
  if (tile.change != nullptr) change_scores<L>(tile, panel.vectors);
}

template <class L>
void accumulate(const Tile<typename L::Real>& tile, const Panel<typename L::Real>& panel) {
  typename L::Real rescale[L::kMaxVectors * L::kLanes];
  for (std::int64_t lane = 0; lane < panel.vectors * L::kLanes; lane += L::kLanes)
    softmax_column<L>(tile, panel, lane, rescale);
  if constexpr (L::kStepsAtOnce > 1) pad_probabilities<L>(tile, panel.vectors * L::kLanes);
  const std::int64_t steps = padded_steps<L>(tile.keys);
  product<L>(tile.v, panel.depth_v, L::kStep == 1 ? tile.scores : tile.probabilities, steps,
             panel.out, panel.vectors, rescale);
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
          L::kStep,
          &pack_queries<L, T>,
          &transpose_rows<L>,
          &pack_keys<L, T>,
          &pack_values<L, T>,
          &scores<L>,
          &accumulate<L>,
          &store<L, T>,
          &attend_rows<L, T>};
}
