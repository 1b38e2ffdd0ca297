// On devices, too, a batch element does not depend on the others: alone it gives the same bits.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cstdint>
#include <vector>

#include "cuda/same_bits.hpp"

namespace {

template <class T, int Rank>
using OnDevice = attend::cuda::Tensor<T, Rank>;

template <class T, int Rank>
attend::Tensor<T, Rank> element(const attend::Tensor<T, Rank>& tensor, int b) {
  auto offsets = attend::dimensions(attend::Extents<Rank>{});
  auto sizes = tensor.dimensions();
  offsets[0] = b, sizes[0] = 1;
  return tensor.slice(offsets, sizes);
}

template <class K>
struct BatchElements : device::SameBits<K> {
  using T = typename K::T;
  using Real = attend::RealOf<T>;
  static constexpr int kBatch = 4, kHeads = 2, kHeadsKv = 1, kDim = 32;

  struct Gave {
    attend::Tensor<T, 4> out, dq, dk, dv;
    attend::Tensor<Real, 3> lse;
  };
  struct Inputs {
    attend::Tensor<T, 4> q, k, v, grad_out;
    attend::Tensor<bool, 4> mask;
    attend::Tensor<Real, 4> bias;  // shared by all elements, and read for some at a time
    std::vector<std::int64_t> lengths;
  };

  static Gave run(const Inputs& in) {
    const OnDevice<T, 4> q(in.q), k(in.k), v(in.v), grad_out(in.grad_out);
    const OnDevice<bool, 4> mask(in.mask);
    const OnDevice<Real, 4> bias(in.bias);
    const attend::Call<T> call{
        .bias = bias, .mask = mask, .key_lengths = in.lengths, .path = K::kPath};
    const attend::Attend<T> attention;
    const auto r = attention.forward(q, k, v, call);
    const auto g = attention.backward(grad_out, r, q, k, v, call);
    return {r.out.host(), g.dq.host(), g.dk.host(), g.dv.host(), r.lse.host()};
  }

  void check(int len_q, int len_k) {
    Inputs in{this->template random<T>(kBatch, kHeads, len_q, kDim),
              this->template random<T>(kBatch, kHeadsKv, len_k, kDim),
              this->template random<T>(kBatch, kHeadsKv, len_k, kDim),
              this->template random<T>(kBatch, kHeads, len_q, kDim),
              this->template random<float>(kBatch, 1, len_q, len_k) > -0.5f,
              this->template random<Real>(1, kHeads, len_q, len_k),
              {len_k, len_k / 2, len_k - 3, 0}};
    const Gave all = run(in);
    for (int b = 0; b < kBatch; ++b) {
      SCOPED_TRACE(testing::Message() << len_q << " x " << len_k << ", batch element " << b);
      const auto n = static_cast<std::size_t>(b);
      const Gave alone = run({element(in.q, b),
                              element(in.k, b),
                              element(in.v, b),
                              element(in.grad_out, b),
                              element(in.mask, b),
                              in.bias,
                              {in.lengths[n]}});
      this->expect_same(alone.out, element(all.out, b), "out");
      this->expect_same(alone.lse, element(all.lse, b), "lse");
      this->expect_same(alone.dq, element(all.dq, b), "dq");
      this->expect_same(alone.dk, element(all.dk, b), "dk");
      this->expect_same(alone.dv, element(all.dv, b), "dv");
    }
  }
};

TYPED_TEST_SUITE(BatchElements, device::AllKernels);

TYPED_TEST(BatchElements, DoNotDependOnTheOthers) { this->check(70, 150); }
TYPED_TEST(BatchElements, NorWhereKeysAreSplit) { this->check(1, 2100); }

}  // namespace
