// One object, and threads of the host that call it, each on a stream of its own; on all devices.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <barrier>
#include <cstddef>
#include <future>
#include <optional>
#include <vector>

#include "cuda/same_bits.hpp"

namespace {

template <class T, int Rank>
using OnDevice = attend::cuda::Tensor<T, Rank>;

template <class K>
struct HostThreads : device::SameBits<K> {
  using T = typename K::T;

  struct Gave {
    attend::Tensor<T, 4> out, dq, dk, dv;
  };

  Gave run_on(int device, std::optional<attend::Rng> rng) const {
    const attend::cuda::CurrentDevice current(device);
    const attend::cuda::Stream stream;
    const OnDevice<T, 4> on_q(q, stream), on_k(k, stream), on_v(v, stream);
    const OnDevice<bool, 4> on_mask(mask, stream);
    const attend::Call<T> call{.mask = on_mask, .rng = rng, .path = K::kPath, .stream = stream};
    const auto r = attention.forward(on_q, on_k, on_v, call);
    const auto g = attention.backward(r.out, r, on_q, on_k, on_v, call);
    return {r.out.host(), g.dq.host(), g.dk.host(), g.dv.host()};
  }

  // Threads that start together, three calls each.
  std::vector<Gave> run_in_threads(const std::vector<int>& devices,
                                   std::optional<attend::Rng> rng = {}) const {
    constexpr int kThreads = 4;
    std::barrier start(kThreads);
    std::vector<std::future<Gave>> threads;
    for (std::size_t t = 0; t < kThreads; ++t)
      threads.push_back(std::async(std::launch::async, [&, t] {
        start.arrive_and_wait();
        for (int n = 0; n < 2; ++n) run_on(devices[t % devices.size()], rng);
        return run_on(devices[t % devices.size()], rng);
      }));
    std::vector<Gave> gave;
    for (auto& thread : threads) gave.push_back(thread.get());
    return gave;
  }

  static std::vector<int> devices() {
    std::vector<int> devices;
    for (int n = 0; n < attend::cuda::device_count(); ++n)
      if (K::kPath != attend::Path::flash ||
          !(attend::cuda::capability(n) < attend::kCapabilityA100))
        devices.push_back(n);
    return devices;
  }

  const attend::Tensor<T, 4> q = this->template random<T>(2, 4, 40, 32);
  const attend::Tensor<T, 4> k = this->template random<T>(2, 2, 70, 32);
  const attend::Tensor<T, 4> v = this->template random<T>(2, 2, 70, 32);
  const attend::Tensor<bool, 4> mask = this->template random<float>(2, 1, 40, 70) > -0.5f;
  const attend::Attend<T> attention{{.dropout = 0.1, .seed = 6}};
};

TYPED_TEST_SUITE(HostThreads, device::AllKernels);

TYPED_TEST(HostThreads, ShareOneObject) {
  const attend::Rng rng{2, 8};
  const std::vector<int> devices = this->devices();
  const auto gave = this->run_in_threads(devices, rng);
  for (std::size_t t = 0; t < gave.size(); ++t) {
    SCOPED_TRACE(testing::Message() << "thread " << t);
    const auto alone = this->run_on(devices[t % devices.size()], rng);
    this->expect_same(gave[t].out, alone.out, "out");
    this->expect_same(gave[t].dq, alone.dq, "dq");
    this->expect_same(gave[t].dk, alone.dk, "dk");
    this->expect_same(gave[t].dv, alone.dv, "dv");
  }
}

TYPED_TEST(HostThreads, ShareOneGenerator) {
  this->run_in_threads(this->devices());
  EXPECT_EQ(this->attention.rng().offset, 12u * 2 * 4 * 40 * 18);  // 18 times four keys
}

}  // namespace
