// Included by each engine inside its namespace and its target.

/// -infinity: the score of a key that is excluded.
template <class L>
ATTEND_INLINE typename L::Vector lowest() {
  return L::set1(-std::numeric_limits<typename L::Real>::infinity());
}

/// One vector of scores becomes `s`, and `top` takes it in.
template <class L>
ATTEND_INLINE void put_score(typename L::Real* at, typename L::Vector s, typename L::Vector& top) {
  L::store(at, s);
  top = L::max(s, top);
}

/// The greatest scores of some lanes, where they are asked for.
template <class L>
ATTEND_INLINE void put_top(const Tile<typename L::Real>& tile, std::int64_t lane,
                           typename L::Vector top) {
  if (tile.top != nullptr) L::store(tile.top + lane, top);
}

/// Scores s become scale s.
template <class L>
void scale_scores(const Tile<typename L::Real>& tile, std::int64_t width) {
  const typename L::Vector scale = L::set1(tile.change->scale);
  for (std::int64_t lane = 0; lane < width; lane += L::kLanes) {
    typename L::Vector top = lowest<L>();
    for (std::int64_t n = lane; n < tile.keys * width; n += width)
      put_score<L>(tile.scores + n, L::multiply(L::load(tile.scores + n), scale), top);
    put_top<L>(tile, lane, top);
  }
}

/// Scores s become softcap tanh(scale s / softcap).
template <class L>
void cap_scores(const Tile<typename L::Real>& tile, std::int64_t width) {
  using Vector = typename L::Vector;
  const Vector cap = L::set1(tile.change->softcap);
  constexpr auto kMost = std::numeric_limits<typename L::Real>::max();  // infinity times 0 is NaN
  const Vector inner =
      L::set1(std::clamp(tile.change->scale / tile.change->softcap, -kMost, kMost));
  for (std::int64_t lane = 0; lane < width; lane += L::kLanes) {
    Vector top = lowest<L>();
    for (std::int64_t n = lane; n < tile.keys * width; n += width) {
      const Vector s = L::load(tile.scores + n);
      put_score<L>(tile.scores + n, L::multiply(cap, tanh<L>(L::multiply(s, inner))), top);
    }
    put_top<L>(tile, lane, top);
  }
}

/// Scores s become scale s + bias; a bias of -inf is selected, whatever s is. The bias lies in rows
/// of queries and is transposed block by block in registers.
template <class L>
void bias_scores(const Tile<typename L::Real>& tile, std::int64_t width, typename L::Vector scale) {
  using Vector = typename L::Vector;
  for (int lane = 0; lane < width; lane += L::kLanes) {
    Vector top = lowest<L>();
    for (std::int64_t key = 0; key < tile.keys; key += L::kLanes) {
      Vector bias[L::kLanes];
      load_transposed<L>(tile.change->bias, lane, key, bias);
      typename L::Real* const at = tile.scores + key * width + lane;
      ATTEND_UNROLL for (int n = 0; n < L::kLanes; ++n) {
        if (key + n == tile.keys) break;
        const Vector sum = L::multiply_add(L::load(at + n * width), scale, bias[n]);
        put_score<L>(at + n * width, L::select(L::equal(bias[n], lowest<L>()), bias[n], sum), top);
      }
    }
    put_top<L>(tile, lane, top);
  }
}

/// Scores s become scale s - slope |distance - row|.
template <class L>
void alibi_scores(const Tile<typename L::Real>& tile, std::int64_t width,
                  typename L::Vector scale) {
  using Real = typename L::Real;
  using Vector = typename L::Vector;
  for (std::int64_t lane = 0; lane < width; lane += L::kLanes) {
    const Vector slope = L::load(tile.change->slopes + lane);
    const Vector position = L::load(tile.change->distance + lane);
    Vector top = lowest<L>();
    for (std::int64_t key = 0; key < tile.keys; ++key) {
      Real* const at = tile.scores + key * width + lane;
      const Vector distance = L::subtract(position, L::set1(static_cast<Real>(key)));
      put_score<L>(
          at,
          L::subtract(L::multiply(L::load(at), scale), L::multiply(slope, L::absolute(distance))),
          top);
    }
    put_top<L>(tile, lane, top);
  }
}

/// The tile's scores after everything but masks, and the greatest ones; the scale goes with the
/// first of the changes.
template <class L>
void change_scores(const Tile<typename L::Real>& tile, int vectors) {
  const ScoreChange<typename L::Real>& change = *tile.change;
  const std::int64_t width = vectors * L::kLanes;
  typename L::Vector scale = L::set1(change.scale);
  const typename L::Vector one = L::set1(1);
  if (change.softcap > 0) cap_scores<L>(tile, width), scale = one;
  if (change.bias.row != nullptr) bias_scores<L>(tile, width, scale), scale = one;
  if (change.slopes != nullptr) return alibi_scores<L>(tile, width, scale);
  if (change.softcap > 0 || change.bias.row != nullptr) return;
  scale_scores<L>(tile, width);
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

/// A vector of scores becomes -inf where bit `n` of the lane's word is not set, by selection:
/// whatever it was. `top` takes in the rest.
template <class L>
ATTEND_INLINE void exclude(typename L::Real* at, typename L::Words words, int n,
                           typename L::Vector& top) {
  put_score<L>(at, L::select(L::test_bit(words, n), L::load(at), lowest<L>()), top);
}

/// The greatest allowed score of each lane and `start`; excluded ones become -inf.
template <class L>
ATTEND_INLINE typename L::Vector column_max_of_allowed(const Tile<typename L::Real>& tile,
                                                       std::int64_t lane, std::int64_t width,
                                                       typename L::Vector start) {
  typename L::Vector top[4] = {start, start, start, start};
  for (std::int64_t first = 0; first < tile.keys; first += 32) {
    const typename L::Words words = L::load_words(tile.allowed + first / 32 * width + lane);
    typename L::Real* const at = tile.scores + first * width + lane;
    if (first + 32 <= tile.keys) {  // with constants for bits
      ATTEND_UNROLL for (int bit = 0; bit < 32; ++bit) {
        exclude<L>(at + bit * width, words, bit, top[bit % 4]);
      }
    } else {
      for (int bit = 0; first + bit < tile.keys; ++bit)
        exclude<L>(at + bit * width, words, bit, top[0]);
    }
  }
  return L::max(L::max(top[0], top[1]), L::max(top[2], top[3]));
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
  const Vector new_max = tile.top != nullptr ? L::max(L::load(tile.top + lane), old_max)
                         : tile.allowed == nullptr
                             ? column_max<L>(scores, tile.keys, width, old_max)
                             : column_max_of_allowed<L>(tile, lane, width, old_max);
  // Where nothing is allowed yet the maximum is -inf, and -inf - -inf would be NaN.
  const Vector base = L::select(L::equal(new_max, lowest<L>()), L::zero(), new_max);
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

/// The same of all columns.
template <class L>
void softmax(const Tile<typename L::Real>& tile, const Panel<typename L::Real>& panel,
             typename L::Real* rescale) {
  for (std::int64_t lane = 0; lane < panel.vectors * L::kLanes; lane += L::kLanes)
    softmax_column<L>(tile, panel, lane, rescale);
}
