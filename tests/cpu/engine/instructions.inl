// Included by instructions_test.cpp in the namespace and the target of each engine: what the layer
// L makes of its inputs, instruction by instruction, as plain numbers.

template <class L>
void keep(Values<typename L::Real>& to, typename L::Vector v) {
  typename L::Real lane[L::kLanes];
  L::store(lane, v);
  to.insert(to.end(), lane, lane + L::kLanes);
}

template <class L>
void keep_mask(Values<typename L::Real>& to, typename L::Mask mask) {
  keep<L>(to, L::select(mask, L::set1(1), L::zero()));
}

template <class L>
void keep_words(Values<typename L::Real>& to, typename L::Words words) {
  std::uint32_t lane[L::kLanes];
  std::memcpy(lane, &words, sizeof lane);
  for (const std::uint32_t word : lane) to.push_back(static_cast<typename L::Real>(word));
}

/// Lane by lane, of three vectors.
template <class L>
Trace<typename L::Real> trace_lanes(const typename L::Real* x, const typename L::Real* y,
                                    const typename L::Real* z) {
  const typename L::Vector a = L::load(x), b = L::load(y), c = L::load(z);
  Trace<typename L::Real> t;
  keep<L>(t["load"], a);
  keep<L>(t["add"], L::add(a, b));
  keep<L>(t["subtract"], L::subtract(a, b));
  keep<L>(t["multiply"], L::multiply(a, b));
  keep<L>(t["divide"], L::divide(a, b));
  keep<L>(t["multiply_add"], L::multiply_add(a, b, c));
  keep<L>(t["max"], L::max(a, b));
  keep<L>(t["min"], L::min(a, b));
  keep<L>(t["absolute"], L::absolute(a));
  keep<L>(t["copy_sign"], L::copy_sign(a, b));
  keep_mask<L>(t["equal"], L::equal(a, b));
  keep_mask<L>(t["less"], L::less(a, b));
  keep<L>(t["select"], L::select(L::less(a, b), b, c));
  keep<L>(t["exp2"], exp2<L>(a));
  keep<L>(t["tanh"], tanh<L>(a));
  return t;
}

/// kLanes vectors of kLanes.
template <class L>
Trace<typename L::Real> trace_block(const typename L::Real* x) {
  typename L::Vector block[L::kLanes];
  Trace<typename L::Real> t;
  for (int n = 0; n < L::kLanes; ++n) block[n] = L::load(x + n * L::kLanes);
  t["max_of_lanes"] = {L::max_of_lanes(block[0])};
  L::transpose(block);
  for (int n = 0; n < L::kLanes; ++n) keep<L>(t["transpose"], block[n]);
  L::transpose(block);
  keep<L>(t["sums_of_lanes"], L::sums_of_lanes(block));
  return t;
}

/// Words of bits.
template <class L>
Trace<typename L::Real> trace_words(const std::uint32_t* x, std::uint32_t y, const bool* bytes) {
  const typename L::Words a = L::load_words(x);
  Trace<typename L::Real> t;
  const typename L::Words sum = L::add_words(a, y);
  keep_words<L>(t["add_words"], sum);
  keep_words<L>(t["carry"], L::carry(sum, y, L::set1_words(7)));
  keep_words<L>(t["exclusive_or"], L::exclusive_or(a, L::set1_words(y)));
  typename L::Words high, low;
  L::multiply_wide(a, y, high, low);
  keep_words<L>(t["multiply_wide high"], high);
  keep_words<L>(t["multiply_wide low"], low);
  for (int bit = 0; bit < 32; ++bit) keep_mask<L>(t["test_bit"], L::test_bit(a, bit));
  keep_mask<L>(t["not_below"], L::not_below(a, y));
  keep_mask<L>(t["mask_of_bits"], L::mask_of_bits(y));
  t["bits_of_bytes"] = {static_cast<typename L::Real>(L::bits_of_bytes(bytes))};
  return t;
}

/// kLanes elements of a narrower type, and numbers rounded to it.
template <class L, class T>
Trace<typename L::Real> trace_conversion(const T* x, const typename L::Real* y) {
  Trace<typename L::Real> t;
  keep<L>(t["load"], L::load(x));
  T rounded[L::kLanes];
  L::store(rounded, L::load(y));
  for (const T r : rounded) t["store"].push_back(static_cast<typename L::Real>(r));
  return t;
}
