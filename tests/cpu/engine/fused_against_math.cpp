// Every engine against the math path, on problems drawn at random: sizes, strides, and everything a
// call can ask for.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "cross/host_paths.hpp"

namespace {

using attend::Index;
using attend::View;

struct Draw {
  explicit Draw(std::uint32_t seed) : bits(seed) {}
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(n));
  }
  bool once_in(int n) { return below(n) == 0; }
  // Mean 0, variance about 1, at most 3.
  float normal() {
    float sum = -3;
    for (int n = 0; n < 3; ++n) sum += 2 * 0x1p-32f * static_cast<float>(bits());
    return sum;
  }
  template <class T, std::size_t N>
  T one_of(const T (&values)[N]) {
    return values[below(N)];
  }
  std::mt19937 bits;
};

// A tensor with a random order of axes, padding and sign of strides.
template <class T>
struct Tensor {
  std::vector<T> memory;
  View<T, 4> view;

  Tensor(Draw& draw, const attend::Extents<4>& extents, bool plain) {
    std::size_t order[4] = {0, 1, 2, 3};
    if (!plain) {
      if (draw.once_in(2)) std::swap(order[1], order[2]);
      if (draw.once_in(4)) std::swap(order[2], order[3]);
    }
    attend::Strides<4> strides{};
    std::int64_t size = 1;
    for (std::size_t n = 4; n-- > 0;) {
      strides[order[n]] = size;
      size *= std::max<std::int64_t>(extents[order[n]], 1);
      if (!plain && draw.once_in(4)) size += 3;
    }
    memory.resize(static_cast<std::size_t>(size), T(7));
    std::int64_t first = 0;
    if (!plain && draw.once_in(4)) {  // one axis backwards
      const auto axis = static_cast<std::size_t>(draw.below(4));
      first = strides[axis] * std::max<std::int64_t>(extents[axis] - 1, 0);
      strides[axis] = -strides[axis];
    }
    view = {memory.data() + first, extents, strides};
  }

  template <class Make>
  void fill(Make&& make) {
    for_each(view, [&](T& x, const Index&) { x = make(); });
  }

  template <class Visit>
  static void for_each(const View<T, 4>& view, Visit&& visit) {
    for (std::int64_t b = 0; b < view.extent(0); ++b)
      for (std::int64_t h = 0; h < view.extent(1); ++h)
        for (std::int64_t i = 0; i < view.extent(2); ++i)
          for (std::int64_t j = 0; j < view.extent(3); ++j)
            visit(view(b, h, i, j), Index{b, h, i, j});
  }
};

template <class T>
View<const T, 4> broadcast(const View<T, 4>& v, const attend::Extents<4>& extents) {
  attend::Strides<4> strides = v.strides();
  for (std::size_t n = 0; n < 4; ++n)
    if (v.extents()[n] == 1) strides[n] = 0;
  return {v.data(), extents, strides};
}

template <class T>
double tolerance();
template <>
double tolerance<float>() {
  return 1e-4;  // ALiBi at far positions makes scores of hundreds
}
template <>
double tolerance<double>() {
  return 1e-12;
}
template <>
double tolerance<Eigen::half>() {
  return 4e-3;
}
template <>
double tolerance<Eigen::bfloat16>() {
  return 3e-2;
}

template <class T>
void compare(const View<T, 4>& a, const View<T, 4>& b, double bound, const char* what) {
  Tensor<T>::for_each(a, [&](T& x, const Index& at) {
    const double left = static_cast<double>(x);
    const double right = static_cast<double>(b(at.b, at.h, at.i, at.j));
    const bool same = left == right || (std::isnan(left) && std::isnan(right)) ||
                      std::abs(left - right) <= bound * (1 + std::abs(right));
    ASSERT_TRUE(same) << what << " at " << at.b << " " << at.h << " " << at.i << " " << at.j << ": "
                      << left << " and " << right;
  });
}

// A user's functions, as types.
struct Bump {
  template <class Real>
  Real operator()(Real score, Index at) const {
    return score * Real(0.5) + Real(0.01) * static_cast<Real>(at.i - at.j + at.h);
  }
};
struct Blocks {
  bool operator()(Index at) const { return (at.i / 8 + at.j / 8 + at.h) % 3 != 0; }
  attend::Coverage coverage(const attend::IndexBlock&) const { return attend::Coverage::some; }
};

template <class T, class S, class M>
void one_case(Draw& draw, S score_mod, M mask_mod) {
  using Real = attend::RealOf<T>;
  const std::int64_t lengths[] = {0, 1, 2, 5, 17, 33, 64, 113, 200, 257, 700, 1500};
  const std::int64_t depths[] = {1, 3, 8, 16, 32, 40, 59, 64, 111, 128};
  attend::Problem p;
  p.batch = 1 + draw.below(2);
  const std::int64_t groups[] = {1, 1, 2, 4};
  p.heads_kv = 1 + draw.below(2);
  p.heads = p.heads_kv * draw.one_of(groups);
  p.len_q = draw.one_of(lengths);
  p.len_k = draw.one_of(lengths);
  if (p.len_q * p.len_k > 100000) p.len_q = 1 + draw.below(9);
  p.head_dim = draw.one_of(depths);
  p.head_dim_v = draw.once_in(2) ? p.head_dim : draw.one_of(depths);
  p.dtype = attend::ElementTraits<T>::kDtype;

  const bool plain = draw.once_in(3);
  Tensor<T> q(draw, {p.batch, p.heads, p.len_q, p.head_dim}, plain);
  Tensor<T> k(draw, {p.batch, p.heads_kv, p.len_k, p.head_dim}, plain);
  Tensor<T> v(draw, {p.batch, p.heads_kv, p.len_k, p.head_dim_v}, plain);
  for (Tensor<T>* t : {&q, &k, &v}) t->fill([&] { return static_cast<T>(draw.normal()); });
  const attend::Extents<4> all{p.batch, p.heads, p.len_q, p.len_k};
  const auto some = [&] {
    attend::Extents<4> extents = all;
    for (auto& n : extents)
      if (draw.once_in(3)) n = 1;
    return extents;
  };

  attend::Variant<Real, S, M> variant{};
  variant.score_mod = score_mod;
  variant.mask_mod = mask_mod;
  const Real scales[] = {Real(1 / std::sqrt(double(p.head_dim))), Real(0), Real(-0.3), Real(0.7)};
  variant.scale = draw.once_in(2) ? scales[0] : draw.one_of(scales);
  if (draw.once_in(5)) variant.softcap = Real(2);
  Tensor<Real> bias(draw, some(), plain);
  bias.fill([&] {
    return draw.once_in(9) ? -std::numeric_limits<Real>::infinity() : Real(draw.normal());
  });
  if (draw.once_in(4)) variant.bias = broadcast(bias.view, all);
  std::vector<char> mask_memory;
  const attend::Extents<4> mask_extents =
      draw.once_in(3) ? attend::Extents<4>{p.batch, 1, 1, p.len_k} : some();
  if (draw.once_in(3)) {
    mask_memory.resize(static_cast<std::size_t>(std::max<std::int64_t>(
        1, mask_extents[0] * mask_extents[1] * mask_extents[2] * mask_extents[3])));
    const int holes = draw.once_in(2) ? 3 : 40;
    const bool runs = draw.once_in(2);
    for (std::size_t n = 0; n < mask_memory.size(); ++n)
      mask_memory[n] = runs ? (n / 100) % 2 == 0 : !draw.once_in(holes);
    variant.mask =
        broadcast(View<bool, 4>{reinterpret_cast<bool*>(mask_memory.data()), mask_extents}, all);
  }
  std::vector<Real> slopes(static_cast<std::size_t>(p.heads)), sinks(slopes.size());
  for (Real& x : slopes) x = Real(0.1) * Real(draw.normal());
  for (Real& x : sinks)
    x = draw.once_in(3) ? -std::numeric_limits<Real>::infinity() : Real(draw.normal());
  if (draw.once_in(4)) variant.alibi = {slopes.data(), {p.batch, p.heads}, {0, 1}};
  if (draw.once_in(4)) variant.sink = {sinks.data(), {p.batch, p.heads}, {0, 1}};
  variant.causal = draw.once_in(3);
  if (draw.once_in(4)) variant.window = {draw.below(100) - 1, draw.below(100) - 1};
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(p.batch)), keys(offsets.size());
  const std::int64_t shifts[] = {0, 5, -3, std::int64_t{1} << 31, -(std::int64_t{1} << 31)};
  for (auto& x : offsets) x = draw.one_of(shifts);
  for (auto& x : keys) x = draw.below(p.len_k + 1);
  const attend::Alignment alignments[] = {attend::Alignment::start, attend::Alignment::end,
                                          attend::Alignment::offsets};
  variant.alignment = draw.one_of(alignments);
  variant.offsets = {offsets.data(), 1};
  if (draw.once_in(3)) variant.key_lengths = {keys.data(), 1};
  if (draw.once_in(4)) {
    const double probabilities[] = {0.1, 0.5, 1.0};
    variant.dropout = attend::Dropout(draw.one_of(probabilities), {draw.bits(), 0xfffffffe});
  }
  if (draw.once_in(2)) variant.empty_row = attend::EmptyRow::uniform;
  if (draw.once_in(6) && p.len_k > 0) {  // garbage in some keys; where they are allowed it spreads
    for (int n = 0; n < 3; ++n) {
      const std::int64_t j = draw.below(p.len_k);
      k.view(0, 0, j, 0) = static_cast<T>(std::numeric_limits<float>::quiet_NaN());
      v.view(0, 0, j, 0) = static_cast<T>(std::numeric_limits<float>::infinity());
    }
  }

  Tensor<T> fused(draw, {p.batch, p.heads, p.len_q, p.head_dim_v}, plain);
  Tensor<T> math(draw, {p.batch, p.heads, p.len_q, p.head_dim_v}, true);
  std::vector<Real> lse_fused(static_cast<std::size_t>(p.batch * p.heads * p.len_q + 1)),
      lse_math(lse_fused);
  const attend::Extents<3> lse{p.batch, p.heads, p.len_q};
  const attend::cpu::Workers workers = attend::cpu::SharedPool::instance().workers();
  attend::cpu::math_forward<T>(p, variant,
                               {q.view, k.view, v.view, math.view, {lse_math.data(), lse}}, {});
  attend::cpu::fused_forward<T>(
      p, variant, {q.view, k.view, v.view, fused.view, {lse_fused.data(), lse}}, workers);
  compare(fused.view, math.view, tolerance<T>(), "output");
  const attend::Extents<4> lse4{1, p.batch, p.heads, p.len_q};
  compare(View<Real, 4>{lse_fused.data(), lse4}, View<Real, 4>{lse_math.data(), lse4},
          tolerance<T>(), "log-sum-exp");
}

template <class T>
void many_cases(int count) {
  for (const attend::cpu::Engine engine : cross::engines_of<T>()) {
    const attend::cpu::EngineOverride use(engine);
    for (int n = 0; n < count && !testing::Test::HasFatalFailure(); ++n) {
      SCOPED_TRACE(testing::Message() << name(engine) << " case " << n);
      Draw draw(static_cast<std::uint32_t>(n));
      if (n % 8 == 0)
        one_case<T>(draw, Bump{}, Blocks{});
      else
        one_case<T>(draw, attend::NoScoreMod{}, attend::NoMaskMod{});
    }
  }
}

TEST(FusedAgainstMath, Float) { many_cases<float>(300); }
TEST(FusedAgainstMath, Double) { many_cases<double>(100); }
TEST(FusedAgainstMath, Half) { many_cases<Eigen::half>(100); }
TEST(FusedAgainstMath, Bfloat16) { many_cases<Eigen::bfloat16>(100); }

}  // namespace
