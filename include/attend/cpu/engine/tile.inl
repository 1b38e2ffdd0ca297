// Included by each engine inside its namespace and its target: the operations of `Kernels<T>` over
// a layer L of instructions.

template <class L>
void scores(const Tile<typename L::Real>& tile, const Panel<typename L::Real>& panel) {
  using Real = typename L::Real;
  const bool final = tile.change == nullptr;
  if (tile.top != nullptr)
    std::fill_n(tile.top, panel.vectors * L::kLanes, -std::numeric_limits<Real>::infinity());
  product<L>(tile.k, tile.keys, panel.queries, padded_steps<L>(panel.depth), tile.scores,
             panel.vectors, {.top = final ? tile.top : nullptr, .ahead = tile.ahead});
  if (!final) change_scores<L>(tile, panel.vectors);
}

template <class L>
void accumulate(const Tile<typename L::Real>& tile, const Panel<typename L::Real>& panel) {
  typename L::Real rescale[L::kMaxVectors * L::kLanes];
  softmax<L>(tile, panel, rescale);
  if constexpr (L::kStepsAtOnce > 1) pad_probabilities<L>(tile, panel.vectors * L::kLanes);
  const std::int64_t steps = padded_steps<L>(tile.keys);
  product<L>(tile.v, panel.depth_v, L::kStep == 1 ? tile.scores : tile.probabilities, steps,
             panel.out, panel.vectors, {tile.first ? Old::dropped : Old::rescaled, rescale});
}

/// The softmax of the keys of both (Milakov, Gimelshein, "Online normalizer calculation for
/// softmax", 2018, section 3.1).
template <class L>
void merge(const Panel<typename L::Real>& from, typename L::Real exponent_scale,
           const Panel<typename L::Real>& into) {
  using Vector = typename L::Vector;
  constexpr int kLanes = L::kLanes;
  const int width = into.vectors * kLanes;
  const Vector scale = L::set1(exponent_scale);
  for (int lane = 0; lane < width; lane += kLanes) {
    const Vector max = L::load(into.max + lane), other_max = L::load(from.max + lane);
    const Vector top = L::max(max, other_max);
    const Vector base = L::select(L::equal(top, lowest<L>()), L::zero(), top);
    const Vector weight = exp2<L>(L::multiply(L::subtract(max, base), scale));
    const Vector other = exp2<L>(L::multiply(L::subtract(other_max, base), scale));
    const auto weighted_sum = [&](typename L::Real* to, const typename L::Real* from_lane) {
      L::store(to,
               L::add(L::multiply(L::load(to), weight), L::multiply(L::load(from_lane), other)));
    };
    for (std::int64_t n = lane; n < into.depth_v * width; n += width)
      weighted_sum(into.out + n, from.out + n);
    weighted_sum(into.sum + lane, from.sum + lane);
    L::store(into.max + lane, top);
    L::store(into.met + lane, L::max(L::load(into.met + lane), L::load(from.met + lane)));
  }
}

/// The first `count` lanes to elements `stride` apart.
template <class L, class T>
void store_part(T* to, std::int64_t stride, int count, typename L::Vector v) {
  T lane[L::kLanes];
  L::store(lane, v);
  for (int c = 0; c < count; ++c) to[c * stride] = lane[c];
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
      ATTEND_UNROLL for (int c = 0; c < kLanes; ++c) {
        block[c] = L::zero();
        if (c < count)
          block[c] = L::multiply(L::load(panel.out + (column + c) * width + n * kLanes), scale);
        finite = L::multiply_add(block[c], L::zero(), finite);
      }
      L::transpose(block);
      const bool whole = rows.stride == 1 && count == kLanes;
      ATTEND_UNROLL for (int r = 0; r < kLanes; ++r) {
        if (n * kLanes + r >= rows.count) continue;
        T* const to = rows.row[n * kLanes + r] + column * rows.stride;
        whole ? L::store(to, block[r]) : store_part<L>(to, rows.stride, count, block[r]);
      }
    }
    L::store(check + n * kLanes, finite);
  }
}

/// An engine with its products, and what packs their operands, over another layer L.
template <class L, class T>
constexpr Kernels<T> with_products(Kernels<T> engine, const char* name, const Tuning& tuning) {
  engine.name = name;
  engine.tuning = tuning;
  engine.step = L::kStep;
  engine.pack_queries = &pack_queries<L, T>;
  engine.pack_keys = &pack_keys<L, T>;
  engine.pack_values = &pack_values<L, T>;
  engine.scores = &scores<L>;
  engine.accumulate = &accumulate<L>;
  return engine;
}
