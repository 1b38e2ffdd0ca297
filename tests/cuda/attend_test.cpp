// Attend<T> on device tensors, as a user calls it; the host's result is the yardstick.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/tensors.hpp"
#include "gpu/runtime/control.hpp"

namespace {

using attend::Causal;
using attend::Path;
using device::random;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Tensor4 = attend::Tensor<float, 4>;
using Device4 = attend::cuda::Tensor<float, 4>;

float difference(const Tensor4& a, const Tensor4& b) {
  EXPECT_EQ(a.dimensions(), b.dimensions());
  float worst = 0;
  for (Eigen::Index n = 0; n < a.size(); ++n) {
    const float here = std::abs(a.data()[n] - b.data()[n]);
    worst = here <= worst ? worst : here;  // NaN is taken
  }
  return worst;
}

const attend::Options kFlash{.dropout = 0.2, .flash = true, .seed = 7};

struct Device : ::testing::Test {
  const Tensor4 q = random<float>(2, 4, 9, 16), k = random<float>(2, 2, 21, 16),
                v = random<float>(2, 2, 21, 8);
  const Device4 dq{q}, dk{k}, dv{v};
  const attend::Attend<float> host{kFlash}, attention{kFlash};
};

TEST_F(Device, AnswersAsTheHostDoes) {
  const auto expected = host.forward(q, k, v);
  const auto result = attention.forward(dq, dk, dv);
  EXPECT_EQ(result.path, Path::mem_efficient);
  EXPECT_EQ(result.rng, expected.rng);
  EXPECT_LT(difference(result.out.host(), expected.out), 1e-5f);
  EXPECT_NEAR(result.lse.host()(1, 3, 8), expected.lse(1, 3, 8), 1e-5f);
  EXPECT_EQ(attention.rng(), host.rng());
  EXPECT_LT(difference(attention(dq, dk, dv).host(), host(q, k, v)), 1e-5f);
}

TEST_F(Device, TakesEveryOptionFromEitherSide) {
  attend::Tensor<float, 4> bias(1, 4, 1, 21);
  bias.setRandom();
  attend::Tensor<bool, 2> mask(2, 21);
  mask.setConstant(true);
  mask(0, 3) = mask(1, 0) = false;
  attend::Tensor<float, 1> slopes(4);
  slopes.setConstant(0.1f);
  attend::Tensor<std::int32_t, 1> lengths(2);
  lengths.setValues({20, 11});
  const auto expected = host.forward(q, k, v,
                                     {.bias = bias,
                                      .alibi = slopes,
                                      .mask = mask,
                                      .causal = Causal::offset(7),
                                      .key_lengths = {20, 11},
                                      .sink = slopes});
  const attend::cuda::Tensor<float, 4> dbias(bias);
  const attend::cuda::Tensor<bool, 2> dmask(mask);
  const attend::cuda::Tensor<float, 1> dslopes(slopes);
  const attend::cuda::Tensor<std::int32_t, 1> dlengths(lengths);
  attend::Call<float> call{.bias = dbias,
                           .alibi = dslopes,
                           .mask = dmask,
                           .causal = Causal::offset(7),
                           .key_lengths = {20, 11},
                           .sink = dslopes,
                           .rng = expected.rng};
  EXPECT_LT(difference(attention.forward(dq, dk, dv, call).out.host(), expected.out), 1e-5f);
  call.key_lengths = dlengths;
  call.path = Path::math;
  EXPECT_LT(difference(attention.forward(dq, dk, dv, call).out.host(), expected.out), 1e-5f);
}

TEST_F(Device, WritesIntoTheCallersMemoryOnTheCallersStream) {
  const auto expected = host.forward(q, k, v);
  Device4 packed(attend::Extents<4>{2, 9, 4, 8});  // (b n h e) memory, seen as (b h n e)
  attend::cuda::Tensor<float, 3> lse(attend::Extents<3>{2, 4, 9});
  const attend::cuda::Stream stream;
  const attend::Extents<4> extents{2, 4, 9, 8};
  attention.forward_into(
      attend::cuda::view(packed.data(), extents, attend::Strides<4>{288, 8, 32, 1}), lse, dq, dk,
      dv, {.stream = stream});
  stream.synchronize();
  const Tensor4 out = packed.host().shuffle(std::array<int, 4>{0, 2, 1, 3});
  EXPECT_LT(difference(out, expected.out), 1e-5f);
  EXPECT_NEAR(lse.host()(0, 1, 2), expected.lse(0, 1, 2), 1e-5f);
}

TEST_F(Device, CanBeCapturedIntoAGraph) {
  Device4 out(attend::Extents<4>{2, 4, 9, 8});
  const attend::cuda::Stream stream;
  attend::Call<float> call{
      .causal = Causal::bottom_right, .rng = attend::Rng{3, 0}, .stream = stream};
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal), cudaSuccess);
  attention.forward_into(out, dq, dk, dv, call);
  ASSERT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  for (int n = 0; n < 2; ++n) ASSERT_EQ(cudaGraphLaunch(executable, stream.get()), cudaSuccess);
  stream.synchronize();
  call.stream = {};
  EXPECT_LT(difference(out.host(), host.forward(q, k, v, call).out), 1e-5f);
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

TEST_F(Device, TheDeviceOfTheTensorsDecides) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  ASSERT_GE(attend::cuda::device_count(), 2);  // capabilities 8.0 and 7.5
  using Half = Eigen::half;
  const attend::Tensor<Half, 4> hq = q.cast<Half>(), hk = k.cast<Half>(), hv = v.cast<Half>();
  const attend::Attend<Half> halves{kFlash};
  std::vector<std::string> lines;
  attend::set_logger([&](const std::string& line) { lines.push_back(line); });
  for (const int device : {0, 1}) {
    ASSERT_EQ(cudaSetDevice(device), cudaSuccess);
    const attend::cuda::Tensor<Half, 4> there_q(hq), there_k(hk), there_v(hv);
    ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
    const auto result = halves.forward(there_q, there_k, there_v);
    EXPECT_EQ(attend::cuda::current_device(), 0);
    EXPECT_EQ(result.out.device(), device);
    EXPECT_EQ(result.path, device == 0 ? Path::flash : Path::mem_efficient);
    EXPECT_THAT(result.reason, HasSubstr(device == 0 ? "8.0" : "7.5"));
    const Tensor4 out = result.out.host().cast<float>();
    EXPECT_LT(difference(out, host.forward(q, k, v, {.rng = result.rng}).out), 1e-2f);
  }
  const attend::cuda::Tensor<Half, 4> first_q(hq), first_k(hk);
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  const attend::cuda::Tensor<Half, 4> second_v(hv);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  try {
    halves.forward(first_q, first_k, second_v);
    ADD_FAILURE() << "v was taken";
  } catch (const attend::value_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("v's address is one of cuda:1"));
  }
  attend::set_logger({});
  EXPECT_THAT(lines, ElementsAre(HasSubstr("cuda:0: flash"), HasSubstr("host: fused"),
                                 HasSubstr("cuda:1: mem_efficient")));
}

TEST_F(Device, TheStreamBelongsToTheDeviceOfTheTensors) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  ASSERT_GE(attend::cuda::device_count(), 2);
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  const attend::cuda::Stream stream;
  const Device4 there_q(q), there_k(k), there_v(v);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(stream.device(), 1);
  const auto expect_refused = [&](const auto& call) {
    try {
      call();
      ADD_FAILURE() << "the stream was taken";
    } catch (const attend::value_error& error) {
      EXPECT_STREQ(error.what(),
                   "stream belongs to cuda:1; expected a stream of cuda:0, where q lies");
    }
  };
  const attend::Rng rng = attention.rng();
  expect_refused([&] { attention.forward(dq, dk, dv, {.stream = stream}); });
  EXPECT_EQ(attention.rng(), rng);
  const auto forward = attention.forward(dq, dk, dv);
  expect_refused([&] { attention.backward(forward.out, forward, dq, dk, dv, {.stream = stream}); });

  const auto result = attention.forward(there_q, there_k, there_v, {.stream = stream});
  EXPECT_EQ(result.out.device(), 1);
  EXPECT_LT(difference(result.out.host(), host.forward(q, k, v, {.rng = result.rng}).out), 1e-5f);
  const Device4 none(attend::Extents<4>{0, 4, 9, 16}), no_keys(attend::Extents<4>{0, 2, 21, 16});
  EXPECT_EQ(attention.forward(none, no_keys, no_keys, {.stream = stream}).out.device(), 1);
}

TEST_F(Device, RefusesWhatItCannotDo) {
  const attend::Attend<double> doubles{{.flash = true}};
  attend::Tensor<double, 4> ones(1, 1, 1, 4);
  ones.setConstant(1);
  const attend::cuda::Tensor<double, 4> wide(ones);
  EXPECT_EQ(doubles.forward(wide, wide, wide).path, Path::math);
  EXPECT_THROW(doubles.forward(wide, wide, wide, {.path = Path::mem_efficient}),
               attend::unsupported_error);
  EXPECT_THROW(attention.forward(dq, dk, dv, {.path = Path::flash}), attend::unsupported_error);
  EXPECT_THROW(attention.forward(dq, dk, dv, {.path = Path::fused}), attend::unsupported_error);
  attend::Tensor<bool, 2> mask(2, 21);
  EXPECT_THROW(attention.forward(dq, dk, dv, {.mask = mask}), attend::value_error);
  EXPECT_THROW(attention.forward(dq, dk, dv, {.key_lengths = {22, 1}}), attend::value_error);
  EXPECT_THROW(attention.forward(dq, dv, dk), attend::shape_error);
  EXPECT_EQ(attention.rng(), host.rng());  // nothing was drawn
}

// Forced, the flash path runs from 8.0 on, and says all that keeps it from running elsewhere.
TEST_F(Device, TheFlashPathSaysWhyNot) {
  using Half = Eigen::half;
  const attend::Tensor<Half, 4> hq = q.cast<Half>(), hk = k.cast<Half>(), hv = v.cast<Half>();
  const attend::Attend<Half> halves{{.flash = false}};
  const attend::cuda::Tensor<Half, 4> dq(hq), dk(hk), dv(hv);
  EXPECT_EQ(halves.forward(dq, dk, dv).path, Path::math);
  const auto forced = halves.forward(dq, dk, dv, {.path = Path::flash});
  EXPECT_EQ(forced.path, Path::flash);
  const attend::Attend<float> plain{{.flash = true}};
  EXPECT_LT(difference(forced.out.host().cast<float>(), plain(q, k, v)), 1e-2f);

  attend::Tensor<Half, 4> vast(1, 1, 1, 264);
  vast.setConstant(Half(1));
  const auto reasons = [&](int device, const auto& attend, const auto& tensor) {
    EXPECT_EQ(cudaSetDevice(device), cudaSuccess);
    const attend::cuda::Tensor<typename std::decay_t<decltype(tensor)>::Scalar, 4> there(tensor);
    std::vector<std::string> all;
    try {
      attend.forward(there, there, there, {.path = Path::flash});
      ADD_FAILURE() << "no error";
    } catch (const attend::unsupported_error& error) {
      all = error.reasons();
    }
    EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
    return all;
  };
  EXPECT_THAT(reasons(0, halves, vast), ElementsAre(HasSubstr("head dims up to 256")));
  if (gpu::emulated_control() != nullptr) {
    EXPECT_THAT(reasons(1, halves, vast),
                ElementsAre(HasSubstr("needs compute capability 8.0; the device has 7.5"),
                            HasSubstr("head dims up to 256")));
  }
  EXPECT_THAT(reasons(0, attention, q), ElementsAre(HasSubstr("q, k and v are f32")));
}

// With a unit matrix for values the output is the weights: where it is 0 something was dropped.
TEST(DeviceDropout, DropsTheSameElementsOnEveryPath) {
  using Half = Eigen::half;
  constexpr int kQueries = 70, kKeys = 130;
  attend::Tensor<Half, 4> q(2, 2, kQueries, 8), k(2, 1, kKeys, 8), v(2, 1, kKeys, kKeys);
  q.setZero(), k.setZero(), v.setZero();
  for (int b = 0; b < 2; ++b)
    for (int j = 0; j < kKeys; ++j) v(b, 0, j, j) = Half(1);
  const attend::Attend<Half> attention{{.dropout = 0.4}};
  attend::Call<Half> call{.rng = attend::Rng{11, 5}, .path = Path::math};
  const auto expected = attention.forward(q, k, v, call).out;
  const attend::cuda::Tensor<Half, 4> dq(q), dk(k), dv(v);
  for (const Path path : {Path::math, Path::mem_efficient, Path::flash}) {
    SCOPED_TRACE(attend::name(path));
    call.path = path;
    const auto out = attention.forward(dq, dk, dv, call).out.host();
    int dropped = 0;
    for (Eigen::Index n = 0; n < out.size(); ++n) {
      ASSERT_EQ(out.data()[n] == Half(0), expected.data()[n] == Half(0)) << n;
      dropped += out.data()[n] == Half(0);
    }
    EXPECT_NEAR(dropped / double(out.size()), 0.4, 0.02);
  }
}

TEST_F(Device, OutOfMemoryIsAnErrorAndNoMore) {
  try {
    Device4 vast(attend::Extents<4>{1 << 10, 1 << 10, 1 << 10, 1 << 10});
    FAIL() << "4 TiB";
  } catch (const attend::device_error& error) {
    EXPECT_EQ(error.code(), cudaErrorMemoryAllocation);
    EXPECT_THAT(error.call(), HasSubstr("cudaMalloc"));
  }
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_LT(difference(attention(dq, dk, dv).host(), host(q, k, v)), 1e-5f);
}

TEST(DeviceTensor, RefusesExtentsThatMemoryCannotHave) {
  EXPECT_THROW(Device4({2, -1, 3, 4}), attend::shape_error);
  EXPECT_THROW(Device4({std::int64_t{1} << 31, std::int64_t{1} << 31, 1, 1}), attend::shape_error);
  EXPECT_EQ(Device4({2, 0, 3, 4}).data(), nullptr);
  const attend::View<const float, 4> none(nullptr, {1, 2, 3, 4});
  EXPECT_THROW(Device4{none}, attend::value_error);
}

TEST(DeviceTensor, CopiesBothWays) {
  const Tensor4 row_major = random<float>(2, 3, 4, 5);
  EXPECT_EQ(difference(Device4(row_major).host(), row_major), 0);
  Eigen::Tensor<float, 4> column_major(5, 4, 3, 2);
  column_major.setRandom();
  const Tensor4 copy = Device4(column_major).host();
  for (int a = 0; a < 5; ++a)
    for (int d = 0; d < 2; ++d) EXPECT_EQ(copy(a, 1, 2, d), column_major(a, 1, 2, d));
  Device4 moved = Device4(row_major);
  const float* const address = moved.data();
  Device4 last = std::move(moved);
  EXPECT_EQ(last.data(), address);
  const auto expect_empty = [](const Device4& tensor) {
    EXPECT_EQ(tensor.data(), nullptr);
    EXPECT_EQ(tensor.extents(), attend::Extents<4>{});
    EXPECT_EQ(tensor.host().size(), 0);
  };
  expect_empty(moved);
  moved = Device4(column_major);
  moved = std::move(last);
  EXPECT_EQ(moved.data(), address);
  EXPECT_EQ(difference(moved.host(), row_major), 0);
  expect_empty(last);
  EXPECT_EQ(Device4().host().size(), 0);
}

// One query has two thirds of a block's warps do nothing but let tiles of keys pass by. Each call
// has another order of warps, on the emulated GPU.
TEST(FewQueries, InAnyOrderOfWarps) {
  using Half = Eigen::half;
  attend::Tensor<Half, 4> q(1, 1, 1, 59), k(1, 1, 1500, 59), v(1, 1, 1500, 256);
  q.setRandom(), k.setRandom(), v.setRandom();
  const attend::Attend<Half> attention{{.flash = true}};
  const auto expected = attention(q, k, v);
  const attend::cuda::Tensor<Half, 4> there_q(q), there_k(k), there_v(v);
  for (int call = 0; call < 15; ++call) {
    const auto out = attention(there_q, there_k, there_v).host();
    for (Eigen::Index n = 0; n < out.size(); ++n)
      ASSERT_NEAR(float(out.data()[n]), float(expected.data()[n]), 2e-3f) << call << ", " << n;
  }
}

}  // namespace
