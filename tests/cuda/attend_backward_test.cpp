// Attend<T>::backward on device tensors, as a user calls it; the host's gradients are the
// yardstick.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>

#include "cuda/tensors.hpp"
#include "gpu/runtime/control.hpp"

namespace {

using attend::Causal;
using attend::Path;
using device::random;
using ::testing::HasSubstr;
template <int Rank>
using Host = attend::Tensor<float, Rank>;
template <int Rank>
using OnDevice = attend::cuda::Tensor<float, Rank>;

// The greatest difference; infinite where extents differ, NaN where a number is.
template <int Rank>
float difference(const OnDevice<Rank>& a, const Host<Rank>& b) {
  const Host<Rank> host = a.host();
  EXPECT_EQ(host.dimensions(), b.dimensions());
  if (host.dimensions() != b.dimensions()) return INFINITY;
  float worst = 0;
  for (Eigen::Index n = 0; n < b.size(); ++n) {
    const float here = std::abs(host.data()[n] - b.data()[n]);
    worst = here <= worst ? worst : here;
  }
  return worst;
}

struct DeviceBackward : ::testing::Test {
  const Host<4> q = random<float>(2, 4, 9, 16), k = random<float>(2, 2, 21, 16),
                v = random<float>(2, 2, 21, 8), grad_out = random<float>(2, 4, 9, 8),
                bias = random<float>(1, 4, 1, 21);
  const Host<3> grad_lse = random<float>(2, 4, 9);
  const Host<1> sink = random<float>(4);
  const OnDevice<4> there_q{q}, there_k{k}, there_v{v}, there_grad_out{grad_out}, there_bias{bias};
  const OnDevice<3> there_grad_lse{grad_lse};
  const OnDevice<1> there_sink{sink};
  const attend::Options options{.dropout = 0.2, .flash = true, .seed = 7};
  const attend::Attend<float> host{options}, attention{options};

  attend::Call<float> host_call() const {
    return {.bias = bias, .causal = Causal::offset(7), .key_lengths = {20, 11}, .sink = sink};
  }
  attend::Call<float> device_call() const {
    attend::Call<float> call = host_call();
    call.bias = there_bias;
    call.sink = there_sink;
    return call;
  }
};

TEST_F(DeviceBackward, AnswersAsTheHostDoes) {
  const auto forward = host.forward(q, k, v, host_call());
  const auto expected = host.backward({grad_out, grad_lse}, forward, q, k, v, host_call());
  const auto there = attention.forward(there_q, there_k, there_v, device_call());
  for (const Path path : {Path::mem_efficient, Path::math}) {
    SCOPED_TRACE(attend::name(path));
    attend::Call<float> call = device_call();
    call.path = path;
    const auto g = attention.backward({there_grad_out, there_grad_lse}, there, there_q, there_k,
                                      there_v, call);
    EXPECT_EQ(g.path, path);
    EXPECT_EQ(g.rng, forward.rng);  // the same elements are dropped
    EXPECT_LT(difference(g.dq, expected.dq), 1e-5f);
    EXPECT_LT(difference(g.dk, expected.dk), 1e-5f);
    EXPECT_LT(difference(g.dv, expected.dv), 1e-5f);
    EXPECT_LT(difference(g.dbias, expected.dbias), 1e-5f);
    EXPECT_LT(difference(g.dsink, expected.dsink), 1e-5f);
  }
}

TEST_F(DeviceBackward, WritesIntoTheCallersMemoryOnTheCallersStream) {
  OnDevice<4> out(attend::Extents<4>{2, 4, 9, 8});
  OnDevice<3> lse(attend::Extents<3>{2, 4, 9});
  const attend::Run run = attention.forward_into(out, lse, there_q, there_k, there_v);
  const auto expected = host.backward(grad_out, host.forward(q, k, v, {.rng = run.rng}), q, k, v);
  const attend::cuda::Stream stream;
  OnDevice<4> dq(attend::Extents<4>{2, 4, 9, 16}), dk(attend::Extents<4>{2, 2, 21, 16});
  OnDevice<4> packed(attend::Extents<4>{2, 21, 2, 8});  // (b n h e) memory, seen as (b h n e)
  attention.backward_into({.dq = dq,
                           .dk = dk,
                           .dv = attend::cuda::view(packed.data(), attend::Extents<4>{2, 2, 21, 8},
                                                    attend::Strides<4>{336, 8, 16, 1})},
                          there_grad_out, {run, out, lse}, there_q, there_k, there_v,
                          {.stream = stream});
  stream.synchronize();
  EXPECT_LT(difference(dq, expected.dq), 1e-5f);
  EXPECT_LT(difference(dk, expected.dk), 1e-5f);
  const Host<4> in_order = expected.dv.shuffle(std::array<int, 4>{0, 2, 1, 3});
  EXPECT_LT(difference(packed, in_order), 1e-5f);
}

TEST_F(DeviceBackward, CanBeCapturedIntoAGraph) {
  const auto forward = attention.forward(there_q, there_k, there_v, device_call());
  const auto expected =
      attention.backward(there_grad_out, forward, there_q, there_k, there_v, device_call());
  OnDevice<4> dq(attend::Extents<4>{2, 4, 9, 16}), dk(attend::Extents<4>{2, 2, 21, 16}),
      dv(attend::Extents<4>{2, 2, 21, 8});
  const attend::cuda::Stream stream;
  attend::Call<float> call = device_call();
  call.stream = stream;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal), cudaSuccess);
  attention.backward_into({.dq = dq, .dk = dk, .dv = dv}, there_grad_out, forward, there_q, there_k,
                          there_v, call);
  ASSERT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  for (int n = 0; n < 2; ++n) ASSERT_EQ(cudaGraphLaunch(executable, stream.get()), cudaSuccess);
  stream.synchronize();
  EXPECT_LT(difference(dq, expected.dq.host()), 1e-5f);
  EXPECT_LT(difference(dk, expected.dk.host()), 1e-5f);
  EXPECT_LT(difference(dv, expected.dv.host()), 1e-5f);
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

// Blocks and warps run in another order each time.
TEST(DeviceGradients, AreTheSameBitForBitEachTime) {
  gpu::Control* const emulated = gpu::emulated_control();
  const gpu::RuntimeOptions before = emulated ? emulated->options() : gpu::RuntimeOptions();
  if (emulated) {  // which otherwise computes approximations a little differently each time
    gpu::RuntimeOptions exact = before;
    exact.launch.perturb = false;
    emulated->restart(exact);
  }
  using Half = Eigen::half;
  attend::Tensor<Half, 4> host(2, 2, 90, 24);
  host.setRandom();
  {
    const attend::cuda::Tensor<Half, 4> q(host), k(host), v(host), grad_out(host);
    const OnDevice<4> bias(random<float>(1, 2, 1, 90));
    const OnDevice<1> sink(random<float>(2));
    const attend::Attend<Half> attention{{.dropout = 0.3, .flash = true}};
    for (const Path path : {Path::flash, Path::mem_efficient, Path::math}) {
      if (path == Path::flash && attend::cuda::capability(0) < attend::kCapabilityA100) continue;
      SCOPED_TRACE(attend::name(path));
      const attend::Call<Half> call{
          .bias = bias, .causal = Causal::top_left, .sink = sink, .path = path};
      attend::Call<Half> again = call;
      const auto forward = attention.forward(q, k, v, call);
      again.rng = forward.rng;
      const auto other = attention.forward(q, k, v, again);
      const auto first = attention.backward(grad_out, forward, q, k, v, call);
      const auto second = attention.backward(grad_out, forward, q, k, v, call);
      const auto same = [](const auto& a, const auto& b) {
        const auto x = a.host(), y = b.host();
        const auto* const bytes = reinterpret_cast<const char*>(x.data());
        return x.size() > 0 && std::equal(bytes, bytes + x.size() * Eigen::Index{sizeof(*x.data())},
                                          reinterpret_cast<const char*>(y.data()));
      };
      EXPECT_TRUE(same(forward.out, other.out));
      EXPECT_TRUE(same(forward.lse, other.lse));
      EXPECT_TRUE(same(first.dq, second.dq));
      EXPECT_TRUE(same(first.dk, second.dk));
      EXPECT_TRUE(same(first.dv, second.dv));
      EXPECT_TRUE(same(first.dbias, second.dbias));
      EXPECT_TRUE(same(first.dsink, second.dsink));
    }
  }
  if (emulated) emulated->restart(before);
}

TEST_F(DeviceBackward, SaysWhichPathRanAndWhy) {
  using Half = Eigen::half;
  attend::Tensor<Half, 4> ones(1, 1, 3, 8);
  ones.setConstant(Half(1));
  const attend::cuda::Tensor<Half, 4> there(ones);
  const attend::Attend<Half> halves{{.flash = true}};
  const auto forward = halves.forward(there, there, there);
  const auto g = halves.backward(there, forward, there, there, there);
  const bool is_a100 = attend::cuda::capability(0) == attend::kCapabilityA100;
  EXPECT_EQ(g.path, is_a100 ? Path::flash : Path::mem_efficient);
  EXPECT_THAT(g.reason, HasSubstr("the device has compute capability"));
  EXPECT_THROW(attention.backward(there_grad_out, attention.forward(there_q, there_k, there_v),
                                  there_q, there_k, there_v, {.path = Path::flash}),
               attend::unsupported_error);  // float
  EXPECT_THROW(halves.backward(there, forward, there, there, there, {.path = Path::fused}),
               attend::unsupported_error);
  const attend::Attend<Half> plain;
  EXPECT_EQ(plain.backward(there, forward, there, there, there).path, Path::math);
}

TEST_F(DeviceBackward, RefusesWhatDoesNotFit) {
  const auto forward = attention.forward(there_q, there_k, there_v);
  EXPECT_THROW(attention.backward(there_q, forward, there_q, there_k, there_v),
               attend::shape_error);
  OnDevice<4> dq(attend::Extents<4>{2, 4, 9, 16}), dk(attend::Extents<4>{2, 2, 21, 16});
  OnDevice<4> no_bias(attend::Extents<4>{1, 4, 1, 21}), dv(attend::Extents<4>{2, 2, 21, 8});
  EXPECT_THROW(attention.backward_into({.dq = dq, .dk = dk, .dv = dk}, there_grad_out, forward,
                                       there_q, there_k, there_v),
               attend::shape_error);
  EXPECT_THROW(attention.backward_into({.dq = dq, .dk = dk, .dv = dv, .dbias = no_bias},
                                       there_grad_out, forward, there_q, there_k, there_v),
               attend::value_error);
}

}  // namespace
