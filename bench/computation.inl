// The definition of make_computation_of<T>; each computation_*.cpp instantiates one.
#include <attend/attend.hpp>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "computation.hpp"
#include "functions.hpp"

namespace bench {
namespace {

template <class T>
Buffer<T> converted(Buffer<float> values) {
  if constexpr (std::is_same_v<T, float>) {
    return values;
  } else {
    Buffer<T> result(values.size());
    for (std::size_t n = 0; n < values.size(); ++n) result[n] = static_cast<T>(values[n]);
    return result;
  }
}

template <class T>
class TypedComputation final : public Computation {
 public:
  TypedComputation(const Row& row, Inputs inputs)
      : row_(row),
        q_(converted<T>(std::move(inputs.q))),
        k_(converted<T>(std::move(inputs.k))),
        v_(converted<T>(std::move(inputs.v))),
        grad_out_(converted<T>(std::move(inputs.grad_out))),
        per_head_(converted<Real>(inputs.per_head)),
        bias_(converted<Real>(std::move(inputs.bias))),
        inputs_(std::move(inputs)),
        attention_({.dropout = row.extra == Extra::dropout ? 0.1 : 0.0, .flash = true}) {
    const attend::Problem& p = row_.problem;
    out_.resize(static_cast<std::size_t>(p.batch * p.heads * p.len_q * p.head_dim_v));
    ask();
    if (row_.pass != Pass::forward) prepare_backward();
  }

  attend::Path run(std::optional<attend::Path> path) override {
    call_.path = path;
    return with_functions<T>(row_, inputs_.per_head.data(), [&](const auto&... functions) {
      if (row_.pass == Pass::forward)
        return attention_
            .forward_into(queries(out_), queries(q_), keys(k_), keys(v_), call_, functions...)
            .path;
      if (row_.pass == Pass::training) save();
      return attention_
          .backward_into({.dq = queries(dq_), .dk = keys(dk_), .dv = keys(dv_)}, queries(grad_out_),
                         {saved_, queries(out_), lse_}, queries(q_), keys(k_), keys(v_), call_,
                         functions...)
          .path;
    });
  }

  std::vector<float> output() const override {
    std::vector<float> values;
    if (row_.pass == Pass::forward) {
      for (const T value : out_) values.push_back(static_cast<float>(value));
    } else {
      for (const Buffer<T>* part : {&dq_, &dk_, &dv_})
        for (const T value : *part) values.push_back(static_cast<float>(value));
    }
    return values;
  }

 private:
  using Real = attend::RealOf<T>;

  template <class U>
  attend::View<U, 4> view(U* data, std::int64_t heads, std::int64_t len) const {
    const attend::Problem& p = row_.problem;
    if (row_.layout == Layout::heads_inner)
      return attend::split_heads(data, p.batch, len, heads, p.head_dim);
    return {data, {p.batch, heads, len, p.head_dim}};
  }
  // One of q's or k's shape; all rows have d = e.
  template <class B>
  auto queries(B& buffer) const {
    return view(buffer.data(), row_.problem.heads, row_.problem.len_q);
  }
  template <class B>
  auto keys(B& buffer) const {
    return view(buffer.data(), row_.problem.heads_kv, row_.problem.len_k);
  }

  void prepare_backward() {
    const attend::Problem& p = row_.problem;
    lse_.resize(p.batch, p.heads, p.len_q);
    save();
    dq_.resize(q_.size());
    dk_.resize(k_.size());
    dv_.resize(v_.size());
  }

  // The forward pass, with what the backward pass needs of it.
  void save() {
    saved_ = with_functions<T>(row_, inputs_.per_head.data(), [&](const auto&... functions) {
      return attention_.forward_into(queries(out_), lse_, queries(q_), keys(k_), keys(v_), call_,
                                     functions...);
    });
  }

  void ask() {
    const attend::Problem& p = row_.problem;
    const bool* mask = inputs_.mask.get();
    const attend::View<const Real, 1> per_head(per_head_.data(), {p.heads});
    if (row_.functions) return;
    if (row_.causal) call_.causal = attend::Causal::bottom_right;
    if (row_.mask == Mask::padding)
      call_.mask = attend::View<const bool, 2>(mask, {p.batch, p.len_k});
    if (row_.mask == Mask::full)
      call_.mask = attend::View<const bool, 4>(mask, {1, 1, p.len_q, p.len_k});
    switch (row_.extra) {
      case Extra::none:
        break;
      case Extra::bias:
        call_.bias = attend::View<const Real, 4>(bias_.data(), {1, p.heads, p.len_q, p.len_k});
        break;
      case Extra::alibi:
        call_.alibi = per_head;
        break;
      case Extra::window:
        call_.window = {.left = kWindowLeft, .right = 0};
        break;
      case Extra::softcap:
        call_.softcap = kSoftcap;
        break;
      case Extra::sink:
        call_.sink = per_head;
        break;
      case Extra::dropout:
        call_.rng = attend::Rng{.seed = 7, .offset = 0};  // the same elements on every path
        break;
    }
  }

  const Row row_;
  const Buffer<T> q_, k_, v_, grad_out_;
  const Buffer<Real> per_head_, bias_;
  const Inputs inputs_;  // the rest of them
  const attend::Attend<T> attention_;
  Buffer<T> out_, dq_, dk_, dv_;
  attend::Tensor<Real, 3> lse_;
  attend::Run saved_;
  typename attend::Attend<T>::Call call_;
};

}  // namespace

template <class T>
std::unique_ptr<Computation> make_computation_of(const Row& row, Inputs inputs) {
  return std::make_unique<TypedComputation<T>>(row, std::move(inputs));
}

}  // namespace bench
