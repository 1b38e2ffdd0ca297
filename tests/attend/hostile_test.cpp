// The host's paths on hostile inputs.
#include "attend/hostile.hpp"

#include <vector>

namespace {

using attend::Path;

template <class Element, Path path>
struct OnHost {
  using T = Element;
  static constexpr int kDim = 4;
  static constexpr bool available() { return true; }

  static attend::Call<T> call(const hostile::Asked& asked) {
    attend::Call<T> call{
        .scale = asked.scale, .softcap = asked.softcap, .causal = asked.causal, .path = path};
    if (asked.bias != nullptr) call.bias = *asked.bias;
    if (asked.sink != nullptr) call.sink = *asked.sink;
    return call;
  }
  template <class Four>
  static hostile::Answer<T> forward(const Four& q, const Four& k, const Four& v,
                                    const hostile::Asked& asked) {
    const auto r = attend::Attend<T>{{.empty_row = asked.empty_row}}.forward(q, k, v, call(asked));
    return {r.out, r.lse};
  }
  template <class Four>
  static attend::Tensor<T, 4> values_gradient(const Four& grad_out, const Four& q, const Four& k,
                                              const Four& v, const hostile::Asked& asked) {
    const attend::Attend<T> attention;
    const auto r = attention.forward(q, k, v, call(asked));
    return attention.backward(grad_out, r, q, k, v, call(asked)).dv;
  }
};

}  // namespace

namespace hostile {

using Places =
    ::testing::Types<OnHost<float, Path::math>, OnHost<float, Path::fused>,
                     OnHost<Eigen::bfloat16, Path::math>, OnHost<Eigen::bfloat16, Path::fused>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Host, Hostile, Places);

TEST(GreatValuesOfSomeKeys, HaveAMeanWhateverLiesBehindThem) {
  attend::Tensor<float, 4> q(1, 1, 20, 4), k(1, 1, 50, 4), v(1, 1, 50, 2);
  q.setZero(), k.setRandom(), v.setConstant(1e38f);
  v(0, 0, 45, 0) = kNan;
  const std::vector<std::int64_t> length{40};
  for (const bool flash : {false, true}) {
    const attend::Attend<float> attention{{.flash = flash}};
    const auto r = attention.forward(q, k, v, {.key_lengths = length});
    for (Eigen::Index n = 0; n < r.out.size(); ++n) EXPECT_NEAR(r.out.data()[n] / 1e38f, 1, 1e-5);
  }
}

// float16 holds 65504; scores are not stored in it.
TEST(HostileHalf, ScoresBeyondTheRangeOfHalf) {
  using RowHalf = Eigen::Tensor<Eigen::half, 4, Eigen::RowMajor>;
  RowHalf q(1, 1, 1, 2), k(1, 1, 40, 2), v(1, 1, 40, 1);
  q.setConstant(Eigen::half(6e4f)), k.setConstant(Eigen::half(-6e4f));
  k(0, 0, 33, 1) = Eigen::half(6e4f);
  for (int j = 0; j < 40; ++j) v(0, 0, j, 0) = Eigen::half(static_cast<float>(j));
  for (const bool flash : {false, true}) {
    const attend::Attend<Eigen::half> attention{{.flash = flash}};
    const auto r = attention.forward(q, k, v);
    EXPECT_EQ(static_cast<float>(r.out(0, 0, 0, 0)), 33);
    EXPECT_EQ(r.lse(0, 0, 0), 0);
  }
}

}  // namespace hostile
