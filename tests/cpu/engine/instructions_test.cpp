// Each engine's layer of instructions, one by one, against plain C++.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "attend/cpu/engine/engines.hpp"

namespace {

template <class Real>
using Values = std::vector<Real>;
template <class Real>
using Trace = std::map<std::string, Values<Real>>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The same number, or within so many units in the last place of `Real`; NaN only where NaN is
// expected.
template <class Real>
void expect_values(const std::string& what, const Values<Real>& got, const Values<double>& expected,
                   double units = 0) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (std::size_t n = 0; n < got.size(); ++n) {
    const double x = static_cast<double>(got[n]), y = expected[n];
    const double room = units * std::numeric_limits<Real>::epsilon() * std::abs(y);
    EXPECT_TRUE(x == y || (std::isnan(x) && std::isnan(y)) || std::abs(x - y) <= room)
        << what << ", element " << n << ": " << x << ", expected " << y;
  }
}

template <class Real>
Values<Real> numbers(std::size_t count, std::uint32_t seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<Real> normal(0, 3);
  Values<Real> values(count);
  for (Real& x : values) x = normal(bits);
  return values;
}

template <class Real>
struct LaneCase {
  const char* name;
  std::function<Real(Real, Real, Real)> plain;
  double units = 0;
};

template <class Real>
std::vector<LaneCase<Real>> lane_cases() {
  return {{"load", [](Real a, Real, Real) { return a; }},
          {"add", [](Real a, Real b, Real) { return a + b; }},
          {"subtract", [](Real a, Real b, Real) { return a - b; }},
          {"multiply", [](Real a, Real b, Real) { return a * b; }},
          {"divide", [](Real a, Real b, Real) { return a / b; }},
          {"max", [](Real a, Real b, Real) { return a > b ? a : b; }},
          {"min", [](Real a, Real b, Real) { return a < b ? a : b; }},
          {"absolute", [](Real a, Real, Real) { return std::abs(a); }},
          {"copy_sign", [](Real a, Real b, Real) { return std::copysign(a, b); }},
          {"equal", [](Real a, Real b, Real) { return Real(a == b); }},
          {"less", [](Real a, Real b, Real) { return Real(a < b); }},
          {"select", [](Real a, Real b, Real c) { return a < b ? b : c; }},
          {"exp2", [](Real a, Real, Real) { return std::exp2(a); }, 4},
          {"tanh", [](Real a, Real, Real) { return std::tanh(a); }, 4}};
}

// Ordinary numbers, and then special ones.
template <class Real, class TraceLanes>
void check_lanes(int lanes, TraceLanes trace_lanes) {
  Values<Real> a = numbers<Real>(64, 1), b = numbers<Real>(64, 2), c = numbers<Real>(64, 3);
  const Real inf = static_cast<Real>(kInfinity), nan = std::numeric_limits<Real>::quiet_NaN();
  for (const Real x : {Real{0}, -Real{0}, Real{1}, -inf, nan, -Real{200}, Real{3}, -Real{126},
                       -Real{1100}, Real{1} / (1 << 30), Real{1} / 3, -Real{19}}) {
    for (const Real y : {Real{1}, -inf, Real{-2}, nan, Real{3}, Real{0}, inf, Real{7}}) {
      a.push_back(x), b.push_back(y), c.push_back(y - Real{4});
    }
  }
  Trace<Real> all;
  for (std::size_t n = 0; n < a.size(); n += static_cast<std::size_t>(lanes))
    for (const auto& [name, values] : trace_lanes(a.data() + n, b.data() + n, c.data() + n))
      all[name].insert(all[name].end(), values.begin(), values.end());
  for (const LaneCase<Real>& one : lane_cases<Real>()) {
    Values<double> expected;
    for (std::size_t n = 0; n < a.size(); ++n)
      expected.push_back(static_cast<double>(one.plain(a[n], b[n], c[n])));
    if (std::string(one.name) == "exp2")  // what is below the least normal number may be 0
      for (std::size_t n = 0; n < a.size(); ++n)
        if (expected[n] < std::numeric_limits<Real>::min() && all["exp2"][n] == 0) expected[n] = 0;
    expect_values(one.name, all[one.name], expected, one.units);
  }
  // With one rounding or with two.
  for (std::size_t n = 0; n < a.size(); ++n) {
    const Real got = all["multiply_add"][n], once = std::fma(a[n], b[n], c[n]);
    volatile const Real product = a[n] * b[n];  // compilers may fuse what is written as one
    const Real twice = product + c[n];
    EXPECT_TRUE(got == once || got == twice || (std::isnan(got) && std::isnan(once))) << n;
  }
}

template <class Real, class TraceBlock>
void check_block(int lanes, TraceBlock trace_block) {
  const auto size = static_cast<std::size_t>(lanes);
  const Values<Real> x = numbers<Real>(size * size, 4);
  Trace<Real> got = trace_block(x.data());
  Values<double> transposed, sums, top{-kInfinity};
  for (std::size_t r = 0; r < size; ++r) {
    double sum = 0;
    for (std::size_t c = 0; c < size; ++c) {
      transposed.push_back(x[c * size + r]);
      sum += x[r * size + c];
    }
    sums.push_back(sum);
    top[0] = std::max<double>(top[0], x[r]);
  }
  expect_values("transpose", got["transpose"], transposed);
  expect_values("max_of_lanes", got["max_of_lanes"], top);
  ASSERT_EQ(got["sums_of_lanes"].size(), size);
  for (std::size_t n = 0; n < size; ++n)
    EXPECT_NEAR(got["sums_of_lanes"][n], sums[n], 100 * std::numeric_limits<Real>::epsilon());
}

template <class Real, class TraceWords>
void check_words(int lanes, TraceWords trace_words) {
  std::mt19937 bits(5);
  for (int round = 0; round < 8; ++round) {
    std::vector<std::uint32_t> x(static_cast<std::size_t>(lanes));
    for (std::uint32_t& word : x) word = static_cast<std::uint32_t>(bits());
    const auto y = round == 0 ? x[0] : static_cast<std::uint32_t>(bits());
    bool bytes[32];
    for (int n = 0; n < 32; ++n) bytes[n] = (y >> n & 1) != 0;
    Trace<Real> got = trace_words(x.data(), y, bytes);
    std::map<std::string, Values<double>> expected;
    const auto add = [&](const char* name, std::uint32_t value) {
      expected[name].push_back(static_cast<double>(static_cast<Real>(value)));
    };
    for (int n = 0; n < lanes; ++n) {
      const std::uint32_t a = x[static_cast<std::size_t>(n)];
      add("add_words", a + y);
      add("carry", a + y < y ? 8 : 7);
      add("exclusive_or", a ^ y);
      add("multiply_wide high", static_cast<std::uint32_t>(std::uint64_t{a} * y >> 32));
      add("multiply_wide low", a * y);
      add("not_below", a >= y ? 1 : 0);
      add("mask_of_bits", y >> n & 1);
    }
    for (int bit = 0; bit < 32; ++bit)
      for (const std::uint32_t a : x) add("test_bit", a >> bit & 1);
    add("bits_of_bytes", y);
    for (const auto& [name, values] : expected) expect_values(name, got[name], values);
  }
}

// Every value that there is, and roundings of numbers of all sizes, halves between neighbours too.
template <class T, class TraceConversion>
void check_conversion(std::size_t lanes, TraceConversion trace_conversion) {
  std::mt19937 bits(6);
  Values<float> wide(1 << 16);
  for (std::size_t n = 0; n < wide.size(); ++n) {
    const auto word = static_cast<std::uint32_t>(bits());
    const std::uint32_t half = n % 3 == 0 ? 0x8000 : n % 3 == 1 ? 0x1000 : word & 0x7fffffff;
    wide[n] = std::bit_cast<float>(n % 3 == 2 ? word : (word & 0xffff8000) | half);
  }
  for (std::uint32_t first = 0; first < 1 << 16; first += static_cast<std::uint32_t>(lanes)) {
    std::vector<T> narrow(lanes);
    for (std::uint32_t n = 0; n < lanes; ++n)
      narrow[n] = Eigen::numext::bit_cast<T>(static_cast<std::uint16_t>(first + n));
    Trace<float> got = trace_conversion(narrow.data(), wide.data() + first);
    Values<double> loaded, rounded;
    for (std::uint32_t n = 0; n < lanes; ++n) {
      loaded.push_back(static_cast<float>(narrow[n]));
      rounded.push_back(static_cast<float>(static_cast<T>(wide[first + n])));
    }
    expect_values("load", got["load"], loaded);
    expect_values("store", got["store"], rounded);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace

namespace attend::cpu::portable {
#include "instructions.inl"
}
namespace attend::cpu::emulated {
#include "instructions.inl"
}
#if defined(__aarch64__)
namespace attend::cpu::neon {
#include "instructions.inl"
}
#endif
#if defined(__x86_64__)
ATTEND_TARGET_BEGIN("avx2,fma,f16c")
namespace attend::cpu::avx2 {
#include "instructions.inl"
}
ATTEND_TARGET_END
ATTEND_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
namespace attend::cpu::avx512 {
#include "instructions.inl"
}
ATTEND_TARGET_END
#endif

namespace {

using attend::cpu::Engine;

// A layer, as its namespace's functions see it.
template <class Layer, class Lanes, class Block, class Words>
void check_layer(Lanes lanes, Block block, Words words) {
  using Real = typename Layer::Real;
  check_lanes<Real>(Layer::kLanes, lanes);
  check_block<Real>(Layer::kLanes, block);
  check_words<Real>(Layer::kLanes, words);
}

TEST(Instructions, Portable) {
  using namespace attend::cpu::portable;
  using Float = Layer<float>;
  using Double = Layer<double>;
  check_layer<Float>(trace_lanes<Float>, trace_block<Float>, trace_words<Float>);
  check_layer<Double>(trace_lanes<Double>, trace_block<Double>, trace_words<Double>);
  check_conversion<Eigen::half>(Float::kLanes, trace_conversion<Float, Eigen::half>);
  check_conversion<Eigen::bfloat16>(Float::kLanes, trace_conversion<Float, Eigen::bfloat16>);
}

TEST(Instructions, Emulated) {
  using namespace attend::cpu::emulated;
  check_layer<PairLayer>(trace_lanes<PairLayer>, trace_block<PairLayer>, trace_words<PairLayer>);
}

#if defined(__aarch64__)
TEST(Instructions, Neon) {
  using namespace attend::cpu::neon;
  check_layer<Layer>(trace_lanes<Layer>, trace_block<Layer>, trace_words<Layer>);
  check_conversion<Eigen::half>(Layer::kLanes, trace_conversion<Layer, Eigen::half>);
  check_conversion<Eigen::bfloat16>(Layer::kLanes, trace_conversion<Layer, Eigen::bfloat16>);
}
#endif

#if defined(__x86_64__)
TEST(Instructions, Avx2) {
  if (!attend::cpu::available(Engine::avx2)) GTEST_SKIP() << "this processor has none";
  using namespace attend::cpu::avx2;
  check_layer<Layer>(trace_lanes<Layer>, trace_block<Layer>, trace_words<Layer>);
  check_layer<DoubleLayer>(trace_lanes<DoubleLayer>, trace_block<DoubleLayer>,
                           trace_words<DoubleLayer>);
  check_conversion<Eigen::half>(Layer::kLanes, trace_conversion<Layer, Eigen::half>);
  check_conversion<Eigen::bfloat16>(Layer::kLanes, trace_conversion<Layer, Eigen::bfloat16>);
}

TEST(Instructions, Avx512) {
  if (!attend::cpu::available(Engine::avx512)) GTEST_SKIP() << "this processor has none";
  using namespace attend::cpu::avx512;
  check_layer<Layer>(trace_lanes<Layer>, trace_block<Layer>, trace_words<Layer>);
  check_layer<DoubleLayer>(trace_lanes<DoubleLayer>, trace_block<DoubleLayer>,
                           trace_words<DoubleLayer>);
  check_conversion<Eigen::half>(Layer::kLanes, trace_conversion<Layer, Eigen::half>);
  check_conversion<Eigen::bfloat16>(Layer::kLanes, trace_conversion<Layer, Eigen::bfloat16>);
}
#endif

}  // namespace
