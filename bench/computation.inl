// The definition of make_computation_of<T>; each computation_*.cpp instantiates one.
#include <attend/attend.hpp>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "computation.hpp"

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
        inputs_(std::move(inputs)),
        attention_({.dropout = row.extra == Extra::dropout ? 0.1 : 0.0, .flash = true}) {
    const attend::Problem& p = row_.problem;
    out_.resize(static_cast<std::size_t>(p.batch * p.heads * p.len_q * p.head_dim_v));
    ask();
  }

  attend::Path run(std::optional<attend::Path> path) override {
    const attend::Problem& p = row_.problem;
    call_.path = path;
    return attention_
        .forward_into(view(out_.data(), p.heads, p.len_q, p.head_dim_v),
                      view<const T>(q_.data(), p.heads, p.len_q, p.head_dim),
                      view<const T>(k_.data(), p.heads_kv, p.len_k, p.head_dim),
                      view<const T>(v_.data(), p.heads_kv, p.len_k, p.head_dim_v), call_)
        .path;
  }

  std::vector<float> output() const override {
    std::vector<float> values(out_.size());
    for (std::size_t n = 0; n < out_.size(); ++n) values[n] = static_cast<float>(out_[n]);
    return values;
  }

 private:
  template <class U>
  attend::View<U, 4> view(U* data, std::int64_t heads, std::int64_t len, std::int64_t dim) const {
    const std::int64_t batch = row_.problem.batch;
    if (row_.layout == Layout::heads_inner)
      return attend::split_heads(data, batch, len, heads, dim);
    return {data, {batch, heads, len, dim}};
  }

  void ask() {
    const attend::Problem& p = row_.problem;
    const bool* mask = inputs_.mask.get();
    const attend::View<const float, 1> per_head(inputs_.per_head.data(), {p.heads});
    if (row_.causal) call_.causal = attend::Causal::bottom_right;
    if (row_.mask == Mask::padding)
      call_.mask = attend::View<const bool, 2>(mask, {p.batch, p.len_k});
    if (row_.mask == Mask::full)
      call_.mask = attend::View<const bool, 4>(mask, {1, 1, p.len_q, p.len_k});
    switch (row_.extra) {
      case Extra::none:
        break;
      case Extra::bias:
        call_.bias =
            attend::View<const float, 4>(inputs_.bias.data(), {1, p.heads, p.len_q, p.len_k});
        break;
      case Extra::alibi:
        call_.alibi = per_head;
        break;
      case Extra::window:
        call_.window = {.left = kWindowLeft, .right = 0};
        break;
      case Extra::softcap:
        call_.softcap = 30;
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
  const Buffer<T> q_, k_, v_;
  const Inputs inputs_;  // the rest of them
  const attend::Attend<T> attention_;
  Buffer<T> out_;
  typename attend::Attend<T>::Call call_;
};

}  // namespace

template <class T>
std::unique_ptr<Computation> make_computation_of(const Row& row, Inputs inputs) {
  return std::make_unique<TypedComputation<T>>(row, std::move(inputs));
}

}  // namespace bench
