// What a device or a driver can refuse: an error that says so, nothing leaked, and an object that
// is usable afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <functional>
#include <optional>

#include "cuda/answers.hpp"
#include "cuda/functors.hpp"
#include "cuda/planted.hpp"
#include "gpu/runtime/control.hpp"

namespace {

using attend::Path;
using device::free_bytes;
using ::testing::HasSubstr;
using Host4 = attend::Tensor<float, 4>;
using Device4 = attend::cuda::Tensor<float, 4>;

// The error of a call that must fail.
attend::device_error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const attend::device_error& error) {
    return error;
  }
  ADD_FAILURE() << "no device_error";
  return {"", 0, ""};
}

// PTX for 8.0 that is said to be for 7.5.
std::string as_of_7_5(const std::string& ptx) {
  return planted::replaced(ptx, "\\.target sm_80", ".target sm_75");
}

struct DeviceErrors : ::testing::Test {
  void SetUp() override {
    q.setRandom();
    if (gpu::emulated_control() != nullptr) before_ = gpu::emulated_control()->options();
  }
  void TearDown() override {
    if (gpu::emulated_control() != nullptr) gpu::emulated_control()->restart(before_);
  }
  // Starts anew with devices of these capabilities, and reads PTX through `patch` if there is one.
  void restart(const std::vector<gpu::Capability>& capabilities,
               const gpu::Patch& patch = {}) const {
    gpu::RuntimeOptions options = before_;
    options.capabilities = capabilities;
    options.print_failures = false;
    gpu::emulated_control()->restart(options, patch);
  }
  // The object gives what it always gave.
  void expect_usable() const {
    const Device4 there(q);
    const Host4 out = attention.forward(there, there, there, {.rng = kRng}).out.host();
    const Host4 expected = host.forward(q, q, q, {.rng = kRng}).out;
    for (Eigen::Index n = 0; n < out.size(); ++n)
      ASSERT_NEAR(out.data()[n], expected.data()[n], 1e-5f);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }

  static constexpr attend::Rng kRng{5, 6};
  Host4 q{1, 2, 20, 8};
  const attend::Options options{.dropout = 0.1, .flash = true, .seed = 1};
  const attend::Attend<float> attention{options}, host{options};

 private:
  gpu::RuntimeOptions before_;
};

// Of 2^40 keys that are all the same, the math path would have 16 TiB of scores.
TEST_F(DeviceErrors, OutOfMemoryWithinACall) {
  const Device4 there(q);
  const auto vast =
      attend::cuda::view(there.data(), attend::Extents<4>{1, 2, std::int64_t{1} << 40, 8},
                         attend::Strides<4>{0, 0, 0, 1});
  const std::size_t before = free_bytes();
  const attend::Rng rng = attention.rng();
  const auto error = error_of([&] { attention.forward(there, vast, vast, {.path = Path::math}); });
  EXPECT_EQ(error.code(), cudaErrorMemoryAllocation);
  EXPECT_THAT(error.what(), HasSubstr("cudaMallocAsync failed with code 2: out of memory"));
  EXPECT_EQ(free_bytes(), before);
  EXPECT_EQ(attention.rng(), rng);  // nothing was drawn
  expect_usable();
}

TEST_F(DeviceErrors, NoDevice) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  restart({});
  EXPECT_EQ(attend::cuda::device_count(), 0);
  const auto error = error_of([&] { const Device4 there(q); });
  EXPECT_EQ(error.code(), cudaErrorNoDevice);
  EXPECT_THAT(error.what(), HasSubstr("no CUDA-capable device is detected"));
  const auto of_stream = error_of([] { const attend::cuda::Stream stream; });
  EXPECT_EQ(of_stream.code(), cudaErrorNoDevice);
  EXPECT_EQ(host(q, q, q).size(), q.size());  // the host needs none
  restart({{8, 0}});
  expect_usable();
}

// The functions of tests/cuda/functors.cu were compiled for 8.0.
TEST_F(DeviceErrors, NoImageForTheDevice) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  restart({{7, 5}});
  {
    const Device4 there(q);
    const std::size_t before = free_bytes();
    const attend::Rng rng = attention.rng();
    for (const Path path : {Path::math, Path::mem_efficient}) {
      const auto error = error_of([&] {
        attention.forward(there, there, there, {.path = path}, functors::chosen({}, {}));
      });
      EXPECT_EQ(error.code(), cudaErrorNoKernelImageForDevice);
      EXPECT_THAT(error.what(), HasSubstr("no kernel image is available"));
    }
    EXPECT_EQ(free_bytes(), before);
    EXPECT_EQ(attention.rng(), rng);
  }
  expect_usable();  // the built-in kernels are there
}

// Code for 7.5 runs on a later device, where flash's kernels are missing all the same. (Head dims
// above 64, as the code is only said to be for 7.5.)
TEST_F(DeviceErrors, CodeOfAnEarlierCapability) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  restart({{8, 0}}, as_of_7_5);
  using Half = Eigen::half;
  attend::Tensor<Half, 4> halves(1, 2, 20, 72);
  halves.setRandom();
  const attend::Attend<Half> half_attention{{.flash = true}};
  const auto expected = half_attention.forward(halves, halves, halves, {.rng = kRng}).out;
  {
    const attend::cuda::Tensor<Half, 4> there(halves);
    const auto result = half_attention.forward(there, there, there, {.rng = kRng});
    EXPECT_EQ(result.path, Path::mem_efficient);
    EXPECT_THAT(result.reason, HasSubstr("compiled for compute capability 7.5"));
    const auto out = result.out.host();
    for (Eigen::Index n = 0; n < out.size(); ++n)
      ASSERT_NEAR(float(out.data()[n]), float(expected.data()[n]), 1e-2f);
    try {
      half_attention.forward(there, there, there, {.path = Path::flash});
      ADD_FAILURE() << "flash ran";
    } catch (const attend::unsupported_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("compiled for compute capability 7.5"));
    }
  }
  restart({{8, 0}});
}

// A user's file may have been compiled for an earlier device than the library's kernels, or for a
// later one: what counts is the code of the kernels that run.
TEST_F(DeviceErrors, FunctorsOfAnotherCapability) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  using Half = Eigen::half;
  const attend::Attend<Half> half_attention{{.flash = true}};
  const attend::Attend<float> exact;
  attend::Tensor<float, 4> floats(1, 2, 20, 72);
  floats.setRandom();
  const attend::Tensor<Half, 4> halves = floats.cast<Half>();
  floats = halves.cast<float>();
  const auto expected = exact.forward(floats, floats, floats, {.softcap = 2});
  const auto gradients = exact.backward(floats, expected, floats, floats, floats, {.softcap = 2});
  for (const bool functors_are_older : {true, false}) {
    SCOPED_TRACE(functors_are_older);
    restart({{8, 0}}, [&](const std::string& ptx) {
      const bool has_functors = ptx.find("softcap_in_documents") != ptx.npos;
      return has_functors == functors_are_older ? as_of_7_5(ptx) : ptx;
    });
    const attend::cuda::Tensor<Half, 4> there(halves);
    const attend::cuda::Tensor<std::int32_t, 2> ids(
        attend::Tensor<std::int32_t, 2>(1, 20).setZero());
    const auto mods = functors::softcap_in_documents(2, as_view(ids));
    const auto result = half_attention.forward(there, there, there, {}, mods);
    EXPECT_EQ(result.path, functors_are_older ? Path::mem_efficient : Path::flash);
    const auto expect_near = [](const attend::Tensor<Half, 4>& actual,
                                const attend::Tensor<float, 4>& exact) {
      for (Eigen::Index n = 0; n < exact.size(); ++n)
        ASSERT_NEAR(float(actual.data()[n]), exact.data()[n], 1e-2f);
    };
    expect_near(result.out.host(), expected.out);
    if (functors_are_older) continue;  // kernels of 7.5 are empty in code that is only said to be
    const auto g = half_attention.backward(there, result, there, there, there, {}, mods);
    EXPECT_EQ(g.path, result.path);
    expect_near(g.dq.host(), gradients.dq);
    expect_near(g.dk.host(), gradients.dk);
    expect_near(g.dv.host(), gradients.dv);
  }
  restart({{8, 0}});
}

// A kernel that failed spoils the process' device for good: every later call says so.
TEST_F(DeviceErrors, AnEarlierErrorIsReported) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  restart({{8, 0}});
  {
    const Device4 there(q);
    const auto past_the_end = attend::cuda::view(there.data(), attend::Extents<4>{1, 2, 2000, 8});
    const auto error = error_of([&] {  // by whichever call comes after the failure
      attention.forward(past_the_end, there, there);
      attend::cuda::Stream::default_stream().synchronize();
    });
    const attend::Rng rng = attention.rng();
    const auto later = error_of([&] { attention.forward(there, there, there); });
    EXPECT_EQ(later.code(), error.code());
    EXPECT_EQ(attention.rng(), rng);
  }
  restart({{8, 0}});
  expect_usable();
}

TEST_F(DeviceErrors, MemoryOfTheHostIsNoDeviceMemory) {
  const attend::cuda::View<const float, 4> here(q.data(), {1, 2, 20, 8});
  EXPECT_THROW(attention.forward(here, here, here), attend::value_error);
  expect_usable();
  const Device4 there(q);
  const auto expect_named = [](const auto& call, const char* name) {
    EXPECT_THAT(device::refusal(call), ::testing::StartsWith(std::string(name) + "'s address"));
  };
  expect_named([&] { attention.forward(there, here, there); }, "k");
  expect_named([&] { attention.forward(there, there, here); }, "v");
  attend::Tensor<float, 4> out(1, 2, 20, 8);
  const attend::cuda::View<float, 4> out_here(out.data(), {1, 2, 20, 8});
  expect_named([&] { attention.forward_into(out_here, there, there, there); }, "out");
  const attend::cuda::View<const float, 4> bias(q.data(), {1, 1, 1, 20});
  expect_named([&] { attention.forward(there, there, there, {.bias = bias}); }, "bias");
  const std::int32_t number[2] = {};
  const attend::cuda::View<const std::int32_t, 1> integers(number, {1});
  expect_named([&] { attention.forward(there, there, there, {.key_lengths = integers}); },
               "key_lengths");
  expect_named(
      [&] { attention.forward(there, there, there, {.causal = attend::Causal::offset(integers)}); },
      "causal.offset");
  const auto result = attention.forward(there, there, there);
  expect_named([&] { attention.backward(here, result, there, there, there); }, "grad_out");
  expect_usable();
}

TEST_F(DeviceErrors, IntegersThatCannotBeRead) {
  const Device4 there(q);
  const attend::cuda::Tensor<std::int32_t, 1> two(attend::Tensor<std::int32_t, 1>(2).setZero());
  const auto* const odd =
      reinterpret_cast<const std::int32_t*>(reinterpret_cast<const char*>(two.data()) + 2);
  const auto message = [&](const std::int32_t* address) {
    const attend::cuda::View<const std::int32_t, 1> integers(address, {1});
    return device::refusal(
        [&] { attention.forward(there, there, there, {.key_lengths = integers}); });
  };
  EXPECT_EQ(message(nullptr), "key_lengths is a null pointer; expected 1 elements");
  EXPECT_EQ(message(odd),
            "key_lengths's address is not a multiple of 4, the alignment of its elements");
  expect_usable();
}

TEST_F(DeviceErrors, IntegersThatWouldBeWrittenOver) {
  const Device4 there(q);
  Device4 out(attend::Extents<4>{1, 2, 20, 8}), other(out.extents()), third(out.extents());
  const attend::cuda::View<const std::int32_t, 1> integers(
      reinterpret_cast<const std::int32_t*>(out.data() + 2 * 20 * 8 - 1), {1});
  const attend::Call<float> call{.key_lengths = integers};
  EXPECT_EQ(device::refusal([&] { attention.forward_into(out, there, there, there, call); }),
            "out overlaps key_lengths; expected memory of its own");
  const attend::Call<float> causal{.causal = attend::Causal::offset(integers)};
  const auto result = attention.forward(there, there, there);
  EXPECT_EQ(device::refusal([&] {
              attention.backward_into({.dq = other, .dk = third, .dv = out}, there, result, there,
                                      there, there, causal);
            }),
            "dv overlaps causal.offset; expected memory of its own");
  expect_usable();
}

// Threads are for tensors on the host, streams of a device for those on it.
TEST_F(DeviceErrors, StreamOfTheOtherKind) {
  const Device4 there(q);
  const attend::cuda::Stream stream;
  EXPECT_THROW(host.forward(q, q, q, {.stream = stream}), attend::value_error);
  Eigen::ThreadPool pool(1);
  const Eigen::ThreadPoolDevice threads(&pool, 1);
  EXPECT_THROW(attention.forward(there, there, there, {.stream = threads}), attend::value_error);
  expect_usable();
}

// Memory is taken on the stream's device, whichever is current.
TEST_F(DeviceErrors, MemoryOnTheDeviceOfItsStream) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  restart({{8, 0}, {8, 0}});
  {
    std::optional<attend::cuda::Stream> other;
    {
      const attend::cuda::CurrentDevice current(1);
      other.emplace();
    }
    const Device4 there(q, *other);
    EXPECT_EQ(there.device(), 1);
    EXPECT_EQ(attend::cuda::current_device(), 0);
    EXPECT_EQ(attend::cuda::attributes_of(there.data()).device, 1);
  }
  restart({{8, 0}});
}

}  // namespace
