// The user's functions: one that does what the library has built in gives what the built-in gives,
// forward and backward, on every path; functions with names; parameters that are trained.
#include <gtest/gtest.h>

#include <atomic>
#include <attend/attend.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

namespace {

using attend::Attend;
using attend::Index;
using attend::Path;
using Tensor4 = attend::Tensor<float, 4>;
using Call = Attend<float>::Call;

constexpr Path kPaths[] = {Path::math, Path::fused};

struct Inputs {
  Tensor4 q, k, v, grad_out;
  explicit Inputs(std::int64_t len_q = 40, std::int64_t len_k = 70)
      : q(2, 4, len_q, 16), k(2, 2, len_k, 16), v(2, 2, len_k, 24), grad_out(2, 4, len_q, 24) {
    for (Tensor4* tensor : {&q, &k, &v, &grad_out}) tensor->setRandom();
    q = q * 3.f;
  }
};

template <class A, class B>
void expect_near(const A& a, const B& b, float tolerance, const char* name) {
  ASSERT_EQ(a.dimensions(), b.dimensions()) << name;
  for (std::int64_t n = 0; n < a.size(); ++n)
    ASSERT_NEAR(a.data()[n], b.data()[n], tolerance) << name << " " << n;
}

/// Whether a call with functions gives what a call without gives.
template <class... Mods>
void expect_same(const Inputs& in, const Call& with, const Call& without, const Mods&... mods) {
  const Attend<float> attention;
  for (const Path path : kPaths) {
    SCOPED_TRACE(name(path));
    Call a = with, b = without;
    a.path = b.path = path;
    const auto of_a = attention.forward(in.q, in.k, in.v, a, mods...);
    const auto of_b = attention.forward(in.q, in.k, in.v, b);
    expect_near(of_a.out, of_b.out, 2e-6f, "out");
    const auto grads_a = attention.backward(in.grad_out, of_a, in.q, in.k, in.v, a, mods...);
    const auto grads_b = attention.backward(in.grad_out, of_b, in.q, in.k, in.v, b);
    expect_near(grads_a.dq, grads_b.dq, 5e-6f, "dq");
    expect_near(grads_a.dk, grads_b.dk, 2e-5f, "dk");
    expect_near(grads_a.dv, grads_b.dv, 2e-5f, "dv");
  }
}

/// @copydoc expect_same
template <class... Mods>
void expect_same(const Call& with, const Call& without, const Mods&... mods) {
  expect_same(Inputs(), with, without, mods...);
}

TEST(Functors, SoftcapAsAFunction) {
  expect_same({}, {.softcap = 2},
              attend::score_mod([](auto s, Index) { return 2.f * tanh(s / 2.f); }));
  expect_same({}, {.softcap = 2}, attend::score_mod([](auto s, Index) {
                return 2.f * attend::elementary::tanh(s / 2.f);
              }));
}

TEST(Functors, AlibiAsAFunction) {
  attend::Tensor<float, 1> slopes(4);
  slopes.setValues({0.5f, 0.25f, 0.125f, 0.0625f});
  expect_same({}, {.alibi = slopes}, attend::score_mod([&](auto s, Index at) {
                return s - slopes(at.h) * std::abs(static_cast<float>(at.i + 30 - at.j));
              }));
}

TEST(Functors, CausalAsAFunction) {
  expect_same({}, {.causal = attend::Causal::bottom_right},
              attend::mask_mod([](Index at) { return at.j <= at.i + 30; }));
}

TEST(Functors, MaskOverManyTiles) {  // some kept whole, some in part, some not at all
  expect_same(Inputs(500, 700), {}, {.causal = attend::Causal::bottom_right},
              attend::mask_mod([](Index at) { return at.j <= at.i + 200; }));
  expect_same(Inputs(1, 700), {}, {.causal = attend::Causal::bottom_right, .window = {90, 0}},
              attend::mask_mod([](Index at) { return at.j >= 699 - 90; }));
}

TEST(Functors, ScoreAndMaskOverManyTiles) {
  attend::Tensor<float, 1> slopes(4);
  slopes.setValues({0.5f, 0.25f, 0.125f, 0.0625f});
  const auto score = attend::score_mod([&](auto s, Index at) {
    return s - slopes(at.h) * std::abs(static_cast<float>(at.i + 200 - at.j));
  });
  const auto mask = attend::mask_mod([](Index at) { return at.j <= at.i + 200; });
  expect_same(Inputs(500, 700), {}, {.alibi = slopes, .causal = attend::Causal::bottom_right},
              score, mask);
}

// A function may read what only allowed pairs have.
TEST(Functors, ScoresOfExcludedKeysAreNotAskedFor) {
  constexpr std::int64_t kQueries = 83, kKeys = 300;  // parts of vectors and of tiles
  const Inputs in(kQueries, kKeys);
  attend::Tensor<bool, 4> mask(2, 1, kQueries, kKeys);
  Tensor4 bias(1, 4, kQueries, kKeys);
  bias.setRandom();
  for (std::int64_t i = 0; i < kQueries; ++i) {
    for (std::int64_t j = 0; j < kKeys; ++j) {
      for (std::int64_t b = 0; b < 2; ++b) mask(b, 0, i, j) = j < 64 || (i * 7 + j * 5) % 11 != b;
      if (j > 128 && (i + j) % 13 == 0)
        for (std::int64_t h = 0; h < 4; ++h)
          bias(0, h, i, j) = -std::numeric_limits<float>::infinity();
    }
  }
  for (const bool masked : {false, true}) {
    for (const bool biased : {false, true}) {
      SCOPED_TRACE(std::string(masked ? "mask " : "") + (biased ? "bias" : ""));
      Call call{.causal = attend::Causal::bottom_right};
      if (masked) call.mask = mask;
      if (biased) call.bias = bias;
      std::atomic<int> wrong = 0;  // calls for what is excluded
      const auto score = attend::score_mod([&](auto s, Index at) {
        const bool allowed =
            at.j <= at.i + kKeys - kQueries && (!masked || mask(at.b, 0, at.i, at.j)) &&
            (!biased || bias(0, at.h, at.i, at.j) > -std::numeric_limits<float>::infinity());
        if (!allowed) ++wrong;
        return s;
      });
      expect_same(in, call, call, score);
      EXPECT_EQ(wrong, 0);
    }
  }
}

// The slope is taken to the derivative of what changed the scores before, the scale with it.
TEST(Functors, AfterEverythingBuiltIn) {
  const Inputs in(83, 150);
  Tensor4 bias(1, 4, 83, 150);
  bias.setRandom();
  attend::Tensor<float, 1> slopes(4);
  slopes.setValues({0.5f, 0.25f, 0.125f, 0.0625f});
  const auto twice = attend::score_mod([](auto s, Index) { return 2 * s; });
  const auto half = attend::score_mod([](auto s, Index) { return s / 2; });
  const Tensor4 doubled = bias * 2.f, halved = bias / 2.f;
  const attend::Tensor<float, 1> steeper = slopes * 2.f;
  for (const float scale : {-0.25f, 0.25f}) {
    expect_same(in, {.scale = scale}, {.scale = 2 * scale}, twice);
    expect_same(in, {.scale = scale, .bias = bias}, {.scale = 2 * scale, .bias = doubled}, twice);
    expect_same(in, {.scale = scale, .alibi = slopes}, {.scale = 2 * scale, .alibi = steeper},
                twice);
    expect_same(in, {.scale = scale, .softcap = 2}, {.scale = scale / 2, .softcap = 1}, half);
    expect_same(in, {.scale = scale, .softcap = 2, .bias = bias},
                {.scale = scale / 2, .softcap = 1, .bias = halved}, half);
  }
}

TEST(Functors, BothInEitherOrder) {
  const auto score = attend::score_mod([](auto s, Index) { return 3 * tanh(s / 3); });
  const auto mask = attend::mask_mod([](Index at) { return at.j <= at.i; });
  expect_same({}, {.softcap = 3, .causal = attend::Causal::top_left}, score, mask);
  expect_same({}, {.softcap = 3, .causal = attend::Causal::top_left}, mask, score);
}

TEST(Functors, DocumentMaskKeepsDocumentsApart) {
  Inputs in;
  Tensor4 q(1, 4, 70, 16), grad_out(1, 4, 70, 24);
  const Tensor4 k = in.k.slice(Eigen::array<Eigen::Index, 4>{0, 0, 0, 0},
                               Eigen::array<Eigen::Index, 4>{1, 2, 70, 16});
  const Tensor4 v = in.v.slice(Eigen::array<Eigen::Index, 4>{0, 0, 0, 0},
                               Eigen::array<Eigen::Index, 4>{1, 2, 70, 24});
  q.setRandom();
  grad_out.setRandom();
  attend::Tensor<std::int32_t, 2> ids(1, 70), shuffled(1, 70);
  attend::Tensor<bool, 4> mask(1, 1, 70, 70), mask_shuffled(1, 1, 70, 70);
  for (int n = 0; n < 70; ++n) {
    ids(0, n) = n < 20 ? 3 : n < 33 ? 5 : 8;
    shuffled(0, n) = n * 7 % 3;
  }
  for (int i = 0; i < 70; ++i)
    for (int j = 0; j < 70; ++j) {
      mask(0, 0, i, j) = ids(0, i) == ids(0, j);
      mask_shuffled(0, 0, i, j) = shuffled(0, i) == shuffled(0, j);
    }
  const Attend<float> attention;
  for (const Path path : kPaths) {
    SCOPED_TRACE(name(path));
    const auto compare = [&](const auto& documents, const attend::Tensor<bool, 4>& as_mask) {
      const auto a = attention.forward(q, k, v, {.path = path}, documents);
      const auto b = attention.forward(q, k, v, {.mask = as_mask, .path = path});
      expect_near(a.out, b.out, 1e-6f, "out");
      const auto grads_a = attention.backward(grad_out, a, q, k, v, {.path = path}, documents);
      const auto grads_b =
          attention.backward(grad_out, b, q, k, v, {.mask = as_mask, .path = path});
      expect_near(grads_a.dq, grads_b.dq, 1e-5f, "dq");
      expect_near(grads_a.dk, grads_b.dk, 1e-5f, "dk");
    };
    compare(attend::document_mask(ids), mask);
    compare(attend::document_mask(shuffled), mask_shuffled);
  }
}

TEST(Functors, DocumentsInTheOrderThatIsSaid) {
  using attend::DocumentOrder;
  attend::Tensor<int, 2> rising(1, 3), mixed(1, 3);
  rising.setValues({{1, 1, 2}}), mixed.setValues({{1, 2, 1}});
  for (const DocumentOrder order : {DocumentOrder::any, DocumentOrder::ascending})
    EXPECT_TRUE(attend::document_mask(rising, order).function.ascending);
  EXPECT_FALSE(attend::document_mask(rising, mixed).function.ascending);
  EXPECT_FALSE(attend::document_mask(mixed).function.ascending);
  try {
    static_cast<void>(attend::document_mask(rising, mixed, DocumentOrder::ascending));
    ADD_FAILURE() << "taken";
  } catch (const attend::value_error& error) {
    EXPECT_STREQ(error.what(),
                 "ids_k decrease along a sequence; expected ascending ones, as the order says");
  }
}

TEST(Functors, PrefixLmIsAMask) {
  attend::Tensor<std::int64_t, 1> lengths(2);
  lengths.setValues({0, 37});
  attend::Tensor<bool, 4> mask(2, 1, 40, 70);
  for (int b = 0; b < 2; ++b)
    for (int i = 0; i < 40; ++i)
      for (int j = 0; j < 70; ++j) mask(b, 0, i, j) = j <= i || j < lengths(b);
  expect_same({}, {.mask = mask}, attend::prefix_lm(lengths));
  for (int b = 0; b < 2; ++b)
    for (int i = 0; i < 40; ++i)
      for (int j = 0; j < 70; ++j) mask(b, 0, i, j) = j <= i + 30 || j < lengths(b);
  expect_same({}, {.mask = mask}, attend::prefix_lm(lengths, 30));
}

/// What a mask says of blocks is what it says of their pairs.
template <class Mask>
void check_coverage(const Mask& mask, std::int64_t batch, std::int64_t len) {
  int told = 0;
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t i = 0; i < len; i += 5)
      for (std::int64_t j = 0; j < len; j += 8) {
        const attend::IndexBlock block{b, 0, i, std::min(i + 5, len), j, std::min(j + 8, len)};
        bool any = false, all = true;
        for (std::int64_t r = block.i_begin; r < block.i_end; ++r)
          for (std::int64_t c = block.j_begin; c < block.j_end; ++c) {
            const bool keep = mask({b, 0, r, c});
            any = any || keep;
            all = all && keep;
          }
        const attend::Coverage coverage = mask.coverage(block);
        EXPECT_TRUE(all || coverage != attend::Coverage::all) << b << " " << i << " " << j;
        EXPECT_FALSE(any && coverage == attend::Coverage::none) << b << " " << i << " " << j;
        told += coverage != attend::Coverage::some;
      }
  EXPECT_GT(told, 10);
}

TEST(Functors, CoverageIsTrue) {
  attend::Tensor<std::int64_t, 1> lengths(2);
  lengths.setValues({0, 37});
  check_coverage(attend::prefix_lm(lengths), 2, 70);
  check_coverage(attend::prefix_lm(lengths, 12), 2, 70);
  check_coverage(attend::prefix_lm(lengths, -12), 2, 70);
  attend::Tensor<std::int32_t, 2> ids(1, 70);
  for (int n = 0; n < 70; ++n) ids(0, n) = n / 23;
  check_coverage(attend::document_mask(ids), 1, 70);
}

TEST(Functors, RelativePositionBiasIsABiasAndItsTableIsTrained) {
  const Inputs in;
  attend::Tensor<float, 2> table(4, 2 * 12 + 1);
  table.setRandom();
  Tensor4 bias(1, 4, 40, 70);
  const auto column = [](int i, int j) { return std::max(-12, std::min(12, j - i)) + 12; };
  for (int h = 0; h < 4; ++h)
    for (int i = 0; i < 40; ++i)
      for (int j = 0; j < 70; ++j) bias(0, h, i, j) = table(h, column(i, j));
  const Attend<float> attention({.dropout = 0.2, .seed = 3});
  const auto relative = attend::relative_position_bias(table);
  for (const Path path : kPaths) {
    SCOPED_TRACE(name(path));
    const attend::Rng rng{9, 1};
    const Call with{.rng = rng, .path = path}, without{.bias = bias, .rng = rng, .path = path};
    const auto a = attention.forward(in.q, in.k, in.v, with, relative);
    const auto b = attention.forward(in.q, in.k, in.v, without);
    expect_near(a.out, b.out, 2e-6f, "out");
    const auto grads_a = attention.backward(in.grad_out, a, in.q, in.k, in.v, with, relative);
    const auto grads_b = attention.backward(in.grad_out, b, in.q, in.k, in.v, without);
    expect_near(grads_a.dq, grads_b.dq, 1e-5f, "dq");
    attend::Tensor<float, 1> expected(4 * 25);
    expected.setZero();
    for (int h = 0; h < 4; ++h)
      for (int i = 0; i < 40; ++i)
        for (int j = 0; j < 70; ++j) expected(h * 25 + column(i, j)) += grads_b.dbias(0, h, i, j);
    expect_near(grads_a.dparameters, expected, 2e-5f, "table");
    EXPECT_EQ(grads_b.dparameters.size(), 0);
  }
}

// The same scores, asked for from the queries' places among the keys.
TEST(Functors, RelativePositionsOfLaterQueries) {
  const Inputs in;
  attend::Tensor<float, 2> table(4, 2 * 50 + 1), moved(4, 2 * 50 + 1);
  table.setRandom(), moved.setZero();
  for (int h = 0; h < 4; ++h)
    for (int n = 0; n < 2 * 50 + 1; ++n)  // distances 30 less
      moved(h, n) = table(h, std::max(n - 30, 0));
  const Attend<float> attention;
  for (const Path path : kPaths) {
    const auto a = attention.forward(in.q, in.k, in.v, {.window = {20, 20}, .path = path},
                                     attend::relative_position_bias(table, 30));
    const auto b = attention.forward(in.q, in.k, in.v, {.window = {20, 20}, .path = path},
                                     attend::relative_position_bias(moved));
    expect_near(a.out, b.out, 2e-6f, "out");
  }
}

TEST(Functors, WhatTheyReferToMustFit) {
  const Inputs in;
  const Attend<float> attention;
  const auto refused = [&](const auto& mod) {
    try {
      attention.forward(in.q, in.k, in.v, {}, mod);
    } catch (const attend::shape_error& error) {
      return std::string(error.what());
    }
    return std::string("taken");
  };
  const attend::Tensor<int, 2> ids_q(2, 40), ids_k(1, 70), short_ids(2, 39);
  EXPECT_EQ(refused(attend::document_mask(short_ids, ids_k)),
            "ids_q has extents (2, 39); expected (2, 40) or (1, 40), from q and k");
  EXPECT_EQ(refused(attend::document_mask(ids_q, short_ids)),
            "ids_k has extents (2, 39); expected (2, 70) or (1, 70), from q and k");
  const attend::Tensor<std::int64_t, 1> lengths(3);
  EXPECT_EQ(refused(attend::prefix_lm(lengths)),
            "lengths has extents (3); expected (2), from q and k");
  const attend::Tensor<float, 2> table(3, 25);
  EXPECT_EQ(refused(attend::relative_position_bias(table)),
            "table has extents (3, 25); expected (4, 25) or (1, 25), from q and k");
}

}  // namespace
