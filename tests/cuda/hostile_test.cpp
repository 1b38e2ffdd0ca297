// The device's paths on hostile inputs.
#include "attend/hostile.hpp"

#include <attend/cuda.hpp>

namespace {

using attend::Path;

template <class Element, Path path, int HeadDim = 4>
struct OnDevice {
  using T = Element;
  static constexpr int kDim = HeadDim;
  template <class Number, int Rank>
  using There = std::optional<attend::cuda::Tensor<Number, Rank>>;

  static bool available() {
    return path != Path::flash || !(attend::cuda::capability(0) < attend::kCapabilityA100);
  }

  /// A call with its tensors on the device.
  struct Sent {
    explicit Sent(const hostile::Asked& asked)
        : call{.scale = asked.scale,
               .softcap = asked.softcap,
               .causal = asked.causal,
               .path = path} {
      if (asked.bias != nullptr) call.bias = bias.emplace(*asked.bias);
      if (asked.sink != nullptr) call.sink = sink.emplace(*asked.sink);
    }
    There<float, 4> bias;
    There<float, 1> sink;
    attend::Call<T> call;
  };
  template <class Four>
  static hostile::Answer<T> forward(const Four& q, const Four& k, const Four& v,
                                    const hostile::Asked& asked) {
    const Sent sent(asked);
    const attend::cuda::Tensor<T, 4> there_q(q), there_k(k), there_v(v);
    const attend::Attend<T> attention{{.empty_row = asked.empty_row}};
    const auto r = attention.forward(there_q, there_k, there_v, sent.call);
    return {r.out.host(), r.lse.host()};
  }
  template <class Four>
  static attend::Tensor<T, 4> values_gradient(const Four& grad_out, const Four& q, const Four& k,
                                              const Four& v, const hostile::Asked& asked) {
    const Sent sent(asked);
    const attend::cuda::Tensor<T, 4> there_q(q), there_k(k), there_v(v), there_grad_out(grad_out);
    const attend::Attend<T> attention;
    const auto r = attention.forward(there_q, there_k, there_v, sent.call);
    return attention.backward(there_grad_out, r, there_q, there_k, there_v, sent.call).dv.host();
  }
};

}  // namespace

namespace hostile {

using Places = ::testing::Types<
    OnDevice<float, Path::math>, OnDevice<float, Path::mem_efficient>,
    OnDevice<float, Path::mem_efficient, 140>, OnDevice<Eigen::bfloat16, Path::mem_efficient>,
    OnDevice<Eigen::bfloat16, Path::flash>, OnDevice<Eigen::bfloat16, Path::flash, 40>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Device, Hostile, Places);

}  // namespace hostile
