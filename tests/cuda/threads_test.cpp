// One object, and threads of the host that call it, each on a stream of its own; on all devices.
#include <gtest/gtest.h>

#include <algorithm>
#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <thread>
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

  Gave run_on(int device) const {
    const attend::cuda::CurrentDevice current(device);
    const attend::cuda::Stream stream;
    const OnDevice<T, 4> on_q(q, stream), on_k(k, stream), on_v(v, stream);
    const OnDevice<bool, 4> on_mask(mask, stream);
    const attend::Call<T> call{
        .mask = on_mask, .rng = attend::Rng{2, 8}, .path = K::kPath, .stream = stream};
    const auto r = attention.forward(on_q, on_k, on_v, call);
    const auto g = attention.backward(r.out, r, on_q, on_k, on_v, call);
    return {r.out.host(), g.dq.host(), g.dk.host(), g.dv.host()};
  }

  const attend::Tensor<T, 4> q = this->template random<T>(2, 4, 40, 32);
  const attend::Tensor<T, 4> k = this->template random<T>(2, 2, 70, 32);
  const attend::Tensor<T, 4> v = this->template random<T>(2, 2, 70, 32);
  const attend::Tensor<bool, 4> mask = this->template random<float>(2, 1, 40, 70) > -0.5f;
  const attend::Attend<T> attention{{.dropout = 0.1}};
};

TYPED_TEST_SUITE(HostThreads, device::AllKernels);

TYPED_TEST(HostThreads, ShareOneObject) {
  std::vector<int> devices;
  for (int n = 0; n < attend::cuda::device_count(); ++n)
    if (TypeParam::kPath != attend::Path::flash ||
        !(attend::cuda::capability(n) < attend::kCapabilityA100))
      devices.push_back(n);
  std::vector<typename TestFixture::Gave> expected, gave(4);
  for (const int device : devices) expected.push_back(this->run_on(device));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < gave.size(); ++t)
    threads.emplace_back([&, t] { gave[t] = this->run_on(devices[t % devices.size()]); });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t t = 0; t < gave.size(); ++t) {
    SCOPED_TRACE(testing::Message() << "thread " << t);
    const auto& alone = expected[t % devices.size()];
    this->expect_same(gave[t].out, alone.out, "out");
    this->expect_same(gave[t].dq, alone.dq, "dq");
    this->expect_same(gave[t].dk, alone.dk, "dk");
    this->expect_same(gave[t].dv, alone.dv, "dv");
  }
}

}  // namespace
