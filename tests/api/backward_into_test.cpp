// backward_into: the caller's memory, and what is refused before anything is written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <limits>
#include <string>

namespace {

using attend::Attend;
using Tensor3 = attend::Tensor<float, 3>;
using Tensor4 = attend::Tensor<float, 4>;

class BackwardInto : public ::testing::Test {
 protected:
  BackwardInto() {
    for (Tensor4* tensor : {&q, &k, &v, &grad_out, &bias}) tensor->setRandom();
    for (Tensor4* tensor : {&dq, &dk, &dv, &dbias}) tensor->setConstant(kUntouched);
    call.bias = bias;
    forward = attention.forward(q, k, v, call);
  }

  // The error's message; nothing may have been written.
  template <class Error>
  std::string message(const attend::GradientOutputs<float>& outputs,
                      const attend::Incoming<float>& incoming) {
    try {
      attention.backward_into(outputs, incoming, forward, q, k, v, call);
    } catch (const Error& error) {
      for (const Tensor4* tensor : {&dq, &dk, &dv, &dbias})
        for (std::int64_t n = 0; n < tensor->size(); ++n) EXPECT_EQ(tensor->data()[n], kUntouched);
      return error.what();
    }
    return "nothing was thrown";
  }

  static constexpr float kUntouched = 12345;
  Attend<float> attention;
  Tensor4 q{1, 4, 5, 8}, k{1, 2, 7, 8}, v{1, 2, 7, 6}, grad_out{1, 4, 5, 6}, bias{1, 1, 5, 7};
  Tensor4 dq{1, 4, 5, 8}, dk{1, 2, 7, 8}, dv{1, 2, 7, 6}, dbias{1, 1, 5, 7};
  Attend<float>::Call call;
  attend::Forward<float> forward;
};

TEST_F(BackwardInto, WritesWhatBackwardGives) {
  const auto run = attention.backward_into({.dq = dq, .dk = dk, .dv = dv, .dbias = dbias}, grad_out,
                                           forward, q, k, v, call);
  const auto g = attention.backward(grad_out, forward, q, k, v, call);
  EXPECT_EQ(run.path, g.path);
  const auto same = [](const Tensor4& a, const Tensor4& b) {
    ASSERT_EQ(a.dimensions(), b.dimensions());
    for (std::int64_t n = 0; n < a.size(); ++n) EXPECT_EQ(a.data()[n], b.data()[n]);
  };
  same(dq, g.dq);
  same(dk, g.dk);
  same(dv, g.dv);
  same(dbias, g.dbias);
}

TEST_F(BackwardInto, StridedOutputsAndAnEmptyBatch) {
  Tensor4 memory(1, 5, 4, 8);  // (b n h d) seen as (b h n d)
  attention.backward_into(
      {.dq = attend::split_heads(memory.data(), 1, 5, 4, 8), .dk = dk, .dv = dv}, grad_out, forward,
      q, k, v, call);
  const auto g = attention.backward(grad_out, forward, q, k, v, call);
  for (int h = 0; h < 4; ++h)
    for (int i = 0; i < 5; ++i)
      for (int c = 0; c < 8; ++c) EXPECT_EQ(memory(0, i, h, c), g.dq(0, h, i, c));

  const Tensor4 none_q(0, 4, 5, 8), none_k(0, 2, 7, 8), none_v(0, 2, 7, 6), none_out(0, 4, 5, 6);
  const auto none = attention.forward(none_q, none_k, none_v, call);
  const auto of_none = attention.backward(none_out, none, none_q, none_k, none_v, call);
  EXPECT_EQ(of_none.dk.dimension(2), 7);
  for (std::int64_t n = 0; n < of_none.dbias.size(); ++n) EXPECT_EQ(of_none.dbias.data()[n], 0);
}

TEST_F(BackwardInto, RefusesWhatDoesNotFit) {
  using ::testing::HasSubstr;
  Tensor4 wrong(1, 4, 5, 7), wrong_bias(1, 4, 5, 7);
  Tensor3 lse(1, 4, 6);
  EXPECT_THAT(message<attend::shape_error>({.dq = wrong, .dk = dk, .dv = dv}, grad_out),
              HasSubstr("dq has extents (1, 4, 5, 7); expected (1, 4, 5, 8)"));
  EXPECT_THAT(message<attend::shape_error>({.dq = {}, .dk = dk, .dv = dv}, grad_out),
              HasSubstr("dq"));
  EXPECT_THAT(
      message<attend::shape_error>({.dq = dq, .dk = dk, .dv = dv, .dbias = wrong_bias}, grad_out),
      HasSubstr("dbias has extents (1, 4, 5, 7); expected (1, 1, 5, 7)"));
  EXPECT_THAT(message<attend::shape_error>({.dq = dq, .dk = dk, .dv = dv}, wrong),
              HasSubstr("grad_out"));
  EXPECT_THAT(message<attend::shape_error>({.dq = dq, .dk = dk, .dv = dv}, {grad_out, lse}),
              HasSubstr("grad_lse"));
  const Tensor3 empty;
  EXPECT_THAT(message<attend::shape_error>({.dq = dq, .dk = dk, .dv = dv}, {grad_out, empty}),
              HasSubstr("grad_lse has extents (0, 0, 0); expected (1, 4, 5)"));
  attend::Tensor<float, 1> sinks(4);
  EXPECT_THAT(
      message<attend::value_error>({.dq = dq, .dk = dk, .dv = dv, .dsink = sinks}, grad_out),
      HasSubstr("dsink was given; there is no sink"));
  EXPECT_THAT(message<attend::value_error>({.dq = q, .dk = dk, .dv = dv}, grad_out),
              HasSubstr("dq overlaps q"));
  Tensor4 shared(1, 2, 7, 8);
  EXPECT_THAT(
      message<attend::value_error>(
          {.dq = dq, .dk = shared, .dv = attend::View<float, 4>(shared.data(), {1, 2, 7, 6})},
          grad_out),
      HasSubstr("dv overlaps dk"));
}

}  // namespace
