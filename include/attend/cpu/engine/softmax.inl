// Included by each engine inside its namespace and its target.

/// Scores of one column of vectors after everything but masks.
template <class L>
void change_scores(const Tile<typename L::Real>& tile, int vectors) {
  using Vector = typename L::Vector;
  using Real = typename L::Real;
  const ScoreChange<Real>& change = *tile.change;
  const std::int64_t width = vectors * L::kLanes;
  const Vector lowest = L::set1(-std::numeric_limits<Real>::infinity());
  const Vector inverse_cap = L::set1(change.softcap > 0 ? 1 / change.softcap : Real{0});
  for (std::int64_t lane = 0; lane < width; lane += L::kLanes) {
    for (std::int64_t key = 0; key < tile.keys; ++key) {
      Real* const at = tile.scores + key * width + lane;
      Vector s = L::multiply(L::load(at), L::set1(change.scale));
      if (change.softcap > 0)
        s = L::multiply(L::set1(change.softcap), tanh<L>(L::multiply(s, inverse_cap)));
      if (change.bias != nullptr) {
        const Vector bias = L::load(change.bias + key * width + lane);
        s = L::select(L::equal(bias, lowest), lowest, L::add(s, bias));
      }
      if (change.slopes != nullptr) {
        const Vector distance =
            L::subtract(L::load(change.distance + lane), L::set1(static_cast<Real>(key)));
        s = L::subtract(s, L::multiply(L::load(change.slopes + lane), L::absolute(distance)));
      }
      L::store(at, s);
    }
  }
}

/// The greatest score of each lane and `start`; NaN scores are passed over (they come back as NaN
/// probabilities).
template <class L>
ATTEND_INLINE typename L::Vector column_max(const typename L::Real* scores, std::int64_t keys,
                                            std::int64_t width, typename L::Vector start) {
  typename L::Vector top[4] = {start, start, start, start};
  std::int64_t key = 0;
  for (; key + 4 <= keys; key += 4) {
    ATTEND_UNROLL for (int n = 0; n < 4; ++n) {
      top[n] = L::max(L::load(scores + (key + n) * width), top[n]);
    }
  }
  for (; key < keys; ++key) top[0] = L::max(L::load(scores + key * width), top[0]);
  return L::max(L::max(top[0], top[1]), L::max(top[2], top[3]));
}

/// The same of the allowed scores alone; excluded ones become -inf, by selection: whatever they
/// were.
template <class L>
ATTEND_INLINE typename L::Vector column_max_of_allowed(const Tile<typename L::Real>& tile,
                                                       std::int64_t lane, std::int64_t width,
                                                       typename L::Vector start) {
  using Real = typename L::Real;
  const typename L::Vector lowest = L::set1(-std::numeric_limits<Real>::infinity());
  typename L::Vector top[2] = {start, start};
  for (std::int64_t first = 0; first < tile.keys; first += 32) {
    const typename L::Words words = L::load_words(tile.allowed + first / 32 * width + lane);
    const int count = static_cast<int>(tile.keys - first < 32 ? tile.keys - first : 32);
    Real* const at = tile.scores + first * width + lane;
    for (int bit = 0; bit < count; bit += 2) {
      ATTEND_UNROLL for (int n = 0; n < 2; ++n) {
        if (n == 1 && bit + 1 == count) continue;
        const typename L::Vector s =
            L::select(L::test_bit(words, bit + n), L::load(at + (bit + n) * width), lowest);
        L::store(at + (bit + n) * width, s);
        top[n] = L::max(s, top[n]);
      }
    }
  }
  return L::max(top[0], top[1]);
}

/// Zeroes the probabilities that dropout drops. Four keys (rows) share a Philox counter.
template <class L>
void drop(const Tile<typename L::Real>& tile, std::int64_t lane, std::int64_t width) {
  const LaneDropout& dropout = *tile.dropout;
  const typename L::Words low = L::load_words(dropout.counter_low + lane);
  const typename L::Words high = L::load_words(dropout.counter_high + lane);
  for (std::int64_t key = 0; key < tile.keys; key += 4) {
    typename L::Words word[4] = {L::add_words(low, static_cast<std::uint32_t>(key / 4)), high,
                                 L::set1_words(0), L::set1_words(0)};
    word[1] = L::carry(word[0], static_cast<std::uint32_t>(key / 4), word[1]);
    auto key0 = static_cast<std::uint32_t>(dropout.seed);
    auto key1 = static_cast<std::uint32_t>(dropout.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      typename L::Words high0, low0, high1, low1;
      L::multiply_wide(word[0], 0xD2511F53, high0, low0);
      L::multiply_wide(word[2], 0xCD9E8D57, high1, low1);
      word[0] = L::exclusive_or(L::exclusive_or(high1, word[1]), L::set1_words(key0));
      word[1] = low1;
      word[2] = L::exclusive_or(L::exclusive_or(high0, word[3]), L::set1_words(key1));
      word[3] = low0;
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    const int count = static_cast<int>(tile.keys - key < 4 ? tile.keys - key : 4);
    for (int n = 0; n < count; ++n) {
      typename L::Real* const at = tile.scores + (key + n) * width + lane;
      L::store(at, L::select(L::not_below(word[n], dropout.threshold), L::load(at), L::zero()));
    }
  }
}

/// Takes probabilities of a column of vectors, key 2 t beside key 2 t + 1 (0 past the last), to the
/// pairs that the product with V reads.
template <class L>
void pair_probabilities(const Tile<typename L::Real>& tile, std::int64_t lane, std::int64_t width) {
  for (std::int64_t key = 0; key < tile.keys; key += 2) {
    const typename L::Real* const at = tile.scores + key * width + lane;
    L::store_pairs(tile.probabilities, key / 2 * width + lane, L::load(at),
                   key + 1 < tile.keys ? L::load(at + width) : L::zero());
  }
}

/// Scores of one column of vectors become probabilities against the panel's new maximum; `rescale`
/// (one vector) is what sums taken so far must be multiplied by.
template <class L>
void softmax_column(const Tile<typename L::Real>& tile, const Panel<typename L::Real>& panel,
                    std::int64_t lane, typename L::Real* rescale) {
  using Vector = typename L::Vector;
  using Real = typename L::Real;
  const std::int64_t width = panel.vectors * L::kLanes;
  Real* const scores = tile.scores + lane;
  const Vector scale = L::set1(tile.exponent_scale);
  const Vector old_max = L::load(panel.max + lane);
  const Vector new_max = tile.allowed == nullptr
                             ? column_max<L>(scores, tile.keys, width, old_max)
                             : column_max_of_allowed<L>(tile, lane, width, old_max);
  const Vector lowest = L::set1(-std::numeric_limits<Real>::infinity());
  // Where nothing is allowed yet the maximum is -inf, and -inf - -inf would be NaN.
  const Vector base = L::select(L::equal(new_max, lowest), L::zero(), new_max);
  const Vector factor = exp2<L>(L::multiply(L::subtract(old_max, base), scale));

  // Where nothing comes between, probabilities go straight to the pairs.
  const bool to_pairs = L::kStep == 2 && tile.dropout == nullptr;
  Vector sum[2] = {L::zero(), L::zero()};
  for (std::int64_t key = 0; key < tile.keys; key += 2) {
    Vector p[2];
    ATTEND_UNROLL for (int n = 0; n < 2; ++n) {
      p[n] = L::zero();
      if (n == 1 && key + 1 == tile.keys) continue;
      Real* const at = scores + (key + n) * width;
      // The maximum is subtracted before anything that could overflow.
      p[n] = exp2<L>(L::multiply(L::subtract(L::load(at), base), scale));
      sum[n] = L::add(sum[n], p[n]);
      if (!to_pairs) L::store(at, p[n]);
    }
    if constexpr (L::kStep == 2) {
      if (to_pairs) L::store_pairs(tile.probabilities, key / 2 * width + lane, p[0], p[1]);
    }
  }
  const Vector old_sum = L::multiply(L::load(panel.sum + lane), factor);
  L::store(panel.sum + lane, L::add(old_sum, L::add(sum[0], sum[1])));
  L::store(panel.max + lane, new_max);
  L::store(rescale + lane, factor);
  if (tile.dropout == nullptr) return;
  drop<L>(tile, lane, width);
  if constexpr (L::kStep == 2) pair_probabilities<L>(tile, lane, width);
}
