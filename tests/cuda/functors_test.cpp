// The user's functions in kernels: one that does what the library has built in gives what the host
// gives with the built-in, forward and backward, on every path; excluded tiles are skipped; and the
// functions cost what they compute.
#include "cuda/functors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "gpu/runtime/control.hpp"

namespace {

using attend::DocumentOrder;
using attend::Path;
using functors::Mask;
using functors::Score;
using Half = Eigen::half;
template <class T, int Rank>
using OnDevice = attend::cuda::Tensor<T, Rank>;

template <class T, int Rank>
attend::View<const T, Rank> there(const OnDevice<T, Rank>& tensor) {
  return addresses(as_view(tensor));
}

template <class T>
void expect_near(const OnDevice<T, 4>& device, const attend::Tensor<float, 4>& host,
                 float tolerance, const char* name) {
  const attend::Tensor<T, 4> copy = device.host();
  ASSERT_EQ(copy.dimensions(), host.dimensions()) << name;
  for (Eigen::Index n = 0; n < host.size(); ++n)
    ASSERT_NEAR(static_cast<float>(copy.data()[n]), host.data()[n], tolerance) << name << " " << n;
}

template <class T>
struct Inputs {
  attend::Tensor<T, 4> q, k, v, grad_out;
  OnDevice<T, 4> there_q, there_k, there_v, there_grad_out;

  Inputs(int batch, int heads, int heads_kv, int len_q, int len_k, int d, int e)
      : q(random(batch, heads, len_q, d)),
        k(random(batch, heads_kv, len_k, d)),
        v(random(batch, heads_kv, len_k, e)),
        grad_out(random(batch, heads, len_q, e)),
        there_q(q),
        there_k(k),
        there_v(v),
        there_grad_out(grad_out) {}

  static attend::Tensor<T, 4> random(int b, int h, int n, int d) {
    attend::Tensor<float, 4> tensor(b, h, n, d);
    tensor.setRandom();
    return (tensor * 2.f - 1.f).template cast<T>();
  }
};

// Those with names know where their tensors lie.
using attend::Device;
using Ids = attend::Tensor<std::int32_t, 2>;
template <class Mod>
constexpr bool kOnHostOnly =
    attend::kRunsOn<Mod, Device::host> && !attend::kRunsOn<Mod, Device::cuda>;
template <class Mod>
constexpr bool kOnDeviceOnly =
    attend::kRunsOn<Mod, Device::cuda> && !attend::kRunsOn<Mod, Device::host>;
static_assert(kOnHostOnly<decltype(attend::document_mask(Ids{}))>);
static_assert(kOnDeviceOnly<decltype(attend::document_mask(OnDevice<int, 2>{}))>);
static_assert(kOnDeviceOnly<decltype(attend::prefix_lm(OnDevice<int, 1>{}))>);
static_assert(kOnDeviceOnly<decltype(attend::relative_position_bias(OnDevice<float, 2>{}))>);

struct ChosenFunctors : ::testing::Test {
  const Inputs<float> in{2, 4, 2, 40, 70, 16, 24};
  const attend::Options options{.dropout = 0.2, .seed = 3};
  const attend::Attend<float> host{options}, attention{options};

  using OfBias = std::function<attend::Tensor<float, 1>(const attend::Tensor<float, 4>&)>;

  // Functions on the device against built-ins on the host, in one call with everything else.
  // `parameters`: their gradients from the built-in bias'.
  void expect_same(const Score& score, const Mask& mask, attend::Call<float> built_in,
                   const OfBias& parameters = {}) const {
    const auto mods = functors::chosen(score, mask);
    built_in.rng = attend::Rng{9, 1};
    built_in.key_lengths = {70, 61};
    const auto expected = host.forward(in.q, in.k, in.v, built_in);
    const auto gradients = host.backward(in.grad_out, expected, in.q, in.k, in.v, built_in);
    attend::Call<float> call{.key_lengths = {70, 61}, .rng = built_in.rng};
    for (const Path path : {Path::math, Path::mem_efficient}) {
      SCOPED_TRACE(attend::name(path));
      call.path = path;
      const auto result = attention.forward(in.there_q, in.there_k, in.there_v, call, mods);
      expect_near(result.out, expected.out, 1e-5f, "out");
      const auto g = attention.backward(in.there_grad_out, result, in.there_q, in.there_k,
                                        in.there_v, call, mods);
      expect_near(g.dq, gradients.dq, 2e-5f, "dq");
      expect_near(g.dk, gradients.dk, 5e-5f, "dk");
      expect_near(g.dv, gradients.dv, 5e-5f, "dv");
      if (parameters) {
        const auto trained = g.dparameters.host();
        const auto exact = parameters(gradients.dbias);
        ASSERT_EQ(trained.size(), exact.size());
        for (Eigen::Index n = 0; n < trained.size(); ++n)
          EXPECT_NEAR(trained(n), exact(n), 5e-5f) << n;
      } else {
        EXPECT_EQ(g.dparameters.extents(), attend::Extents<1>{0});
      }
    }
  }
  // A mask on the host of what `allowed(b, i, j)` says.
  template <class Allowed>
  static attend::Tensor<bool, 4> as_tensor(Allowed allowed) {
    attend::Tensor<bool, 4> mask(2, 1, 40, 70);
    for (int b = 0; b < 2; ++b)
      for (int i = 0; i < 40; ++i)
        for (int j = 0; j < 70; ++j) mask(b, 0, i, j) = allowed(b, i, j);
    return mask;
  }
};

TEST_F(ChosenFunctors, Softcap) {
  expect_same({.kind = Score::Kind::softcap, .cap = 2}, {}, {.softcap = 2});
}

// Products on tensor cores in parts are NaN where an operand is infinite, or rounds to that.
TEST_F(ChosenFunctors, ClampOfInfiniteProducts) {
  Inputs<float> in{1, 2, 1, 40, 70, 16, 24};
  in.q(0, 0, 3, 5) = std::numeric_limits<float>::infinity();
  in.q(0, 1, 20, 0) = -std::numeric_limits<float>::max();
  in.k(0, 0, 66, 2) = -std::numeric_limits<float>::infinity();
  const attend::Attend<float> attention;
  const auto clamp = [](auto s, attend::Index) {
    return s > -2 ? (s < 2 ? s : decltype(s)(2)) : decltype(s)(-2);
  };
  const auto expected = attention.forward(in.q, in.k, in.v, {}, attend::score_mod(clamp));
  const OnDevice<float, 4> q(in.q), k(in.k), v(in.v);
  for (const Path path : {Path::math, Path::mem_efficient}) {
    SCOPED_TRACE(attend::name(path));
    const auto result =
        attention.forward(q, k, v, {.path = path}, functors::chosen({Score::Kind::clamp, 2}, {}));
    expect_near(result.out, expected.out, 1e-5f, "out");
  }
}

TEST_F(ChosenFunctors, AlibiWithCapturedSlopesAndCausal) {
  attend::Tensor<float, 1> slopes(4);
  slopes.setValues({0.5f, 0.25f, 0.125f, 0.0625f});
  const OnDevice<float, 1> on_device(slopes);
  expect_same({.kind = Score::Kind::alibi, .slopes = there(on_device)},
              {.kind = Mask::Kind::causal},
              {.alibi = slopes, .causal = attend::Causal::offset(30)});
}

TEST_F(ChosenFunctors, RelativePositionsInACapturedTableWhichIsTrained) {
  attend::Tensor<float, 2> table(4, 25);
  table.setRandom();
  attend::Tensor<float, 4> bias(1, 4, 40, 70);
  for (int h = 0; h < 4; ++h)
    for (int i = 0; i < 40; ++i)
      for (int j = 0; j < 70; ++j)
        bias(0, h, i, j) = table(h, std::max(-12, std::min(12, j - i)) + 12);
  const OnDevice<float, 2> on_device(table);
  const auto named = attend::relative_position_bias(on_device).function;
  expect_same({.kind = Score::Kind::relative, .table = named.table}, {}, {.bias = bias},
              [](const attend::Tensor<float, 4>& dbias) {
                attend::Tensor<float, 1> sums(4 * 25);
                sums.setZero();
                for (int h = 0; h < 4; ++h)
                  for (int i = 0; i < 40; ++i)
                    for (int j = 0; j < 70; ++j)
                      sums(h * 25 + std::max(-12, std::min(12, j - i)) + 12) += dbias(0, h, i, j);
                return sums;
              });
}

// Tiles are not filled: a query or key that there is not would be looked up behind the table's end.
TEST_F(ChosenFunctors, ATableOfAllPairs) {
  attend::Tensor<float, 2> table(40, 70);
  table.setRandom();
  attend::Tensor<float, 4> bias(1, 1, 40, 70);
  std::copy_n(table.data(), table.size(), bias.data());
  const OnDevice<float, 2> on_device(table);
  expect_same({.kind = Score::Kind::pairs, .table = there(on_device)}, {}, {.bias = bias});
}

TEST_F(ChosenFunctors, Documents) {
  attend::Tensor<std::int32_t, 2> ids_q(2, 40), ids_k(1, 70);
  for (const DocumentOrder order : {DocumentOrder::ascending, DocumentOrder::any}) {
    const bool ascending = order == DocumentOrder::ascending;
    for (int j = 0; j < 70; ++j) ids_k(0, j) = ascending ? j / 33 : j * 7 % 3;
    for (int b = 0; b < 2; ++b)
      for (int i = 0; i < 40; ++i) ids_q(b, i) = ascending ? (i + 9 * b) / 20 : i * 5 % 4;
    const auto mask = as_tensor([&](int b, int i, int j) { return ids_q(b, i) == ids_k(0, j); });
    const OnDevice<std::int32_t, 2> there_q(ids_q), there_k(ids_k);
    const auto named = attend::document_mask(there_q, there_k, order).function;
    expect_same({},
                {.kind = Mask::Kind::documents,
                 .ids_q = named.ids_q,
                 .ids_k = named.ids_k,
                 .ascending = named.ascending},
                {.mask = mask});
  }
}

TEST_F(ChosenFunctors, PrefixLm) {
  attend::Tensor<std::int64_t, 1> lengths(2);
  lengths.setValues({0, 37});
  const OnDevice<std::int64_t, 1> on_device(lengths);
  const auto mask = as_tensor([&](int b, int i, int j) { return j <= i || j < lengths(b); });
  const auto named = attend::prefix_lm(on_device).function;
  expect_same({}, {.kind = Mask::Kind::prefix, .lengths = named.lengths}, {.mask = mask});
}

TEST(Functors, LambdaForHostAndDevice) {
  attend::Tensor<double, 4> q(1, 2, 20, 8), k(1, 2, 30, 8);
  q.setRandom(), k.setRandom();
  const OnDevice<double, 4> there_q(q), there_k(k);
  const attend::Attend<double> attention;
  const attend::Call<double> causal{.causal = attend::Causal::offset(4)};
  const auto result = attention.forward(there_q, there_k, there_k, {}, functors::below(5));
  const auto expected = attention.forward(q, k, k, causal);
  const auto gradients =
      attention.backward(there_q, result, there_q, there_k, there_k, {}, functors::below(5));
  const auto expected_gradients = attention.backward(q, expected, q, k, k, causal);
  const auto expect_close = [](const OnDevice<double, 4>& there,
                               const attend::Tensor<double, 4>& here) {
    const auto copy = there.host();
    for (Eigen::Index n = 0; n < here.size(); ++n)
      ASSERT_NEAR(copy.data()[n], here.data()[n], 1e-12) << n;
  };
  expect_close(result.out, expected.out);
  expect_close(gradients.dq, expected_gradients.dq);
  expect_close(gradients.dk, expected_gradients.dk);
}

// Two documents of 128 tokens, in one head; or one of 256.
struct HalfFunctors : ::testing::Test {
  static constexpr Path kPaths[] = {Path::flash, Path::mem_efficient, Path::math};
  const Inputs<Half> in{1, 2, 1, 256, 256, 64, 64};
  const attend::Attend<Half> attention{{.flash = true}};
  const OnDevice<std::int32_t, 2> two{ids(128)}, one{ids(256)};

  static attend::Tensor<std::int32_t, 2> ids(int length) {
    attend::Tensor<std::int32_t, 2> ids(1, 256);
    for (int n = 0; n < 256; ++n) ids(0, n) = n / length;
    return ids;
  }
  // Instructions that compute with floats.
  static std::uint64_t arithmetic(const gpu::Counts& counts) {
    std::uint64_t executed = 0;
    for (const gpu::SiteCounts& site : counts.sites)
      for (const char* const name : {"add.", "sub.", "mul.", "fma.", "div.", "ex2.", "rcp."})
        if (site.opcode.starts_with(name) && site.opcode.ends_with("f32"))
          executed += site.executed;
    return executed;
  }
  template <class... Mods>
  gpu::Counts counts(const attend::Call<Half>& call, const Mods&... mods) const {
    OnDevice<Half, 4> out(attend::Extents<4>{1, 2, 256, 64});
    gpu::emulated_control()->take_launches();
    attention.forward_into(out, in.there_q, in.there_k, in.there_v, call, mods...);
    static_cast<void>(out.host());
    const auto launches = gpu::emulated_control()->take_launches();
    EXPECT_EQ(launches.size(), 1u);
    return launches.empty() ? gpu::Counts{} : launches.front().counts;
  }
};

TEST_F(HalfFunctors, LambdaAndDocumentsAgreeWithTheHost) {
  constexpr int kLength = 210;  // the last tiles are not whole
  const Inputs<Half> in{1, 2, 1, kLength, kLength, 64, 64};
  attend::Tensor<bool, 4> mask(1, 1, kLength, kLength);
  attend::Tensor<std::int32_t, 2> ids(1, kLength);
  for (int i = 0; i < kLength; ++i) {
    ids(0, i) = i / 77;
    for (int j = 0; j < kLength; ++j) mask(0, 0, i, j) = i / 77 == j / 77;
  }
  const OnDevice<std::int32_t, 2> there_ids(ids);
  const attend::Attend<float> host;
  const attend::Tensor<float, 4> q = in.q.cast<float>(), k = in.k.cast<float>(),
                                 v = in.v.cast<float>(), grad_out = in.grad_out.cast<float>();
  const attend::Call<float> built_in{.softcap = 2, .mask = mask};
  const auto expected = host.forward(q, k, v, built_in);
  const auto gradients = host.backward(grad_out, expected, q, k, v, built_in);
  const auto mods = functors::softcap_in_documents(2, as_view(there_ids));
  for (const Path path : kPaths) {
    SCOPED_TRACE(attend::name(path));
    const auto result = attention.forward(in.there_q, in.there_k, in.there_v, {.path = path}, mods);
    expect_near(result.out, expected.out, 2e-3f, "out");
    if (path == Path::math) continue;
    const auto g = attention.backward(in.there_grad_out, result, in.there_q, in.there_k, in.there_v,
                                      {.path = path}, mods);
    expect_near(g.dq, gradients.dq, 5e-3f, "dq");
    expect_near(g.dk, gradients.dk, 5e-3f, "dk");
    expect_near(g.dv, gradients.dv, 5e-3f, "dv");
  }
}

TEST_F(HalfFunctors, WhatTheyReferToMustFit) {
  const OnDevice<std::int32_t, 2> ids(attend::Tensor<std::int32_t, 2>(1, 255).setZero());
  const auto mods = functors::softcap_in_documents(2, as_view(ids));
  EXPECT_THROW(attention.forward(in.there_q, in.there_k, in.there_v, {}, mods),
               attend::shape_error);
}

TEST_F(HalfFunctors, ExcludedTilesAreNeitherReadNorMultiplied) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  for (const Path path : {Path::flash, Path::mem_efficient}) {
    SCOPED_TRACE(attend::name(path));
    const gpu::Counts of_two =
        counts({.path = path}, functors::softcap_in_documents(2, as_view(two)));
    const gpu::Counts of_one =
        counts({.path = path}, functors::softcap_in_documents(2, as_view(one)));
    EXPECT_EQ(2 * of_two.by_opcode.at("mma"), of_one.by_opcode.at("mma"));
    // Half of the keys and values, besides queries and ids.
    EXPECT_LT(of_two.global_bytes_read, of_one.global_bytes_read * 3 / 4);
  }
}

TEST_F(HalfFunctors, AFunctionCostsWhatItComputes) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  for (const Path path : {Path::flash, Path::mem_efficient}) {
    SCOPED_TRACE(attend::name(path));
    const gpu::Counts built_in = counts({.softcap = 2, .path = path});
    const gpu::Counts function =
        counts({.path = path}, functors::softcap_in_documents(2, as_view(one)));
    EXPECT_EQ(function.by_opcode.at("mma"), built_in.by_opcode.at("mma"));
    EXPECT_EQ(function.local_bytes, 0u);
    EXPECT_GT(arithmetic(built_in), 0u);
    // A function is given scores with their scale; the built-in has it in a factor of its own.
    EXPECT_LE(static_cast<double>(arithmetic(function)),
              1.1 * static_cast<double>(arithmetic(built_in)));
    EXPECT_LE(static_cast<double>(function.instructions),
              1.25 * static_cast<double>(built_in.instructions));
  }
}

}  // namespace
