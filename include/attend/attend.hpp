#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "core/config.hpp"  // first, for its #errors
//
#include "api/call.hpp"
#include "api/check.hpp"
#include "api/check_backward.hpp"
#include "api/generator.hpp"
#include "api/gradients.hpp"
#include "api/merge.hpp"
#include "api/merge_backward.hpp"
#include "api/place.hpp"
#include "api/ready_functors.hpp"
#include "api/result.hpp"
#include "api/tensor.hpp"
#include "api/variant_of.hpp"
#include "core/functors.hpp"
#include "select/log.hpp"
#include "select/options.hpp"
#include "version.hpp"

/// @file
/// Exact softmax attention on Eigen tensors: include this file, make an `attend::Attend<T>`, call
/// it.

/// Exact softmax attention: one specification, several paths that compute it.
namespace attend {

/// Exact softmax attention, `softmax(scale q k^T + ...) v`, of float, double, `Eigen::half` or
/// `Eigen::bfloat16`.
///
/// An object holds options, the training switch and the dropout generator. A copy of an object has
/// a copy of the generator, and so drops the same elements (unless `set_rng` gives it another
/// state). Calls are const and may come from many threads at once.
///
/// Tensors are Eigen's (row- or column-major, or maps) or `attend::View`s of any strides:
/// `q (b h i d)`, `k (b h_kv j d)`, `v (b h_kv j e)`, with h a multiple of h_kv; query head n reads
/// key and value head n / (h / h_kv). b, h, i, j and e may be 0.
///
/// Every call throws `shape_error` or `value_error` where an argument does not fit, and
/// `unsupported_error` where a forced path cannot run, before anything is written; `memory_error`
/// where the host has too little memory, `device_error` where a device's runtime fails.
template <Element T>
class Attend {
 public:
  /// float; double for double.
  using Real = RealOf<T>;
  /// What a call can be asked for.
  using Call = attend::Call<T>;

  /// No dropout, math path.
  Attend() : Attend(Options{}) {}

  /// @throws value_error if dropout is not in [0, 1].
  explicit Attend(const Options& options)
      : options_(options), generator_(options.seed ? *options.seed : Generator::random_seed()) {
    check_dropout(options.dropout);
  }

  /// Dropout takes part (the default), or not with `false`.
  Attend& train(bool training = true) {
    training_ = training;
    return *this;
  }
  /// Dropout is left out.
  Attend& eval() { return train(false); }
  /// Whether dropout takes part.
  bool training() const { return training_; }
  /// What the object was made with.
  const Options& options() const { return options_; }
  /// State of the dropout generator: what the next call starts from.
  Rng rng() const { return generator_.state(); }
  /// The next call starts from a state that `rng` gave.
  void set_rng(const Rng& state) { generator_ = Generator(state); }

  /// The output `(b h i e)`. `mask`: true = keep, keys `(b|1 j)` or `(b|1 h|1 i|1 j|1)`.
  template <TensorOf<T, 4> Q, TensorBeside<Q, T, 4> K, TensorBeside<Q, T, 4> V>
  auto operator()(const Q& q, const K& k, const V& v, const Argument<bool, 2, 4>& mask = {}) const {
    typename Forward<T, kDeviceOf<Q>>::template Owner<T, 4> out;
    compute<kDeviceOf<Q>>(
        addresses(as_view(q)), addresses(as_view(k)), addresses(as_view(v)), {.mask = mask},
        [&](const auto& place, const Problem& problem, const auto&, ForwardTensors<T>& tensors) {
          place.make(out, out_extents(problem));
          tensors.out = addresses(as_view(out));
        });
    return out;
  }

  /// Output, log-sum-exp, and how they came about. `mods`: at most one `score_mod` and one
  /// `mask_mod`.
  template <TensorOf<T, 4> Q, TensorBeside<Q, T, 4> K, TensorBeside<Q, T, 4> V, Functor... Mods>
  Forward<T, kDeviceOf<Q>> forward(const Q& q, const K& k, const V& v, const Call& call = {},
                                   const Mods&... mods) const {
    Forward<T, kDeviceOf<Q>> result;
    static_cast<Run&>(result) = compute<kDeviceOf<Q>>(
        addresses(as_view(q)), addresses(as_view(k)), addresses(as_view(v)), call,
        [&](const auto& place, const Problem& problem, const auto&, ForwardTensors<T>& tensors) {
          place.make(result.out, out_extents(problem));
          place.make(result.lse, lse_extents(problem));
          tensors.out = addresses(as_view(result.out));
          tensors.lse = addresses(as_view(result.lse));
        },
        mods...);
    return result;
  }

  /// As `forward`, into the caller's `out (b h i e)`, which must not overlap an input.
  template <TensorOf<T, 4> Q, TensorBeside<Q, T, 4> K, TensorBeside<Q, T, 4> V,
            WritableTensorBeside<Q, T, 4> Out, Functor... Mods>
  Run forward_into(Out&& out, const Q& q, const K& k, const V& v, const Call& call = {},
                   const Mods&... mods) const {
    return compute<kDeviceOf<Q>>(
        addresses(as_view(q)), addresses(as_view(k)), addresses(as_view(v)), call,
        [&](const auto&, const Problem& problem, const auto& variant, ForwardTensors<T>& tensors) {
          tensors.out = addresses(as_view(out));
          check_destination(tensors.out, "out", out_extents(problem), call, variant, tensors);
        },
        mods...);
  }

  /// As `forward`, into the caller's `out (b h i e)` and `lse (b h i)`, which must not overlap an
  /// input or each other.
  template <TensorOf<T, 4> Q, TensorBeside<Q, T, 4> K, TensorBeside<Q, T, 4> V,
            WritableTensorBeside<Q, T, 4> Out, WritableTensorBeside<Q, RealOf<T>, 3> Lse,
            Functor... Mods>
  Run forward_into(Out&& out, Lse&& lse, const Q& q, const K& k, const V& v, const Call& call = {},
                   const Mods&... mods) const {
    return compute<kDeviceOf<Q>>(
        addresses(as_view(q)), addresses(as_view(k)), addresses(as_view(v)), call,
        [&](const auto&, const Problem& problem, const auto& variant, ForwardTensors<T>& tensors) {
          tensors.out = addresses(as_view(out));
          tensors.lse = addresses(as_view(lse));
          check_destination(tensors.out, "out", out_extents(problem), call, variant, tensors);
          check_destination(tensors.lse, "lse", lse_extents(problem), call, variant, tensors);
          check_apart(tensors.out, "out", tensors.lse, "lse");
        },
        mods...);
  }

  /// Gradients of a loss by q, k, v, and by bias, sinks and the `score_mod`'s parameters where
  /// there are any. `incoming`: the loss' gradient by the output, `grad_out`, or by output and
  /// log-sum-exp, `{grad_out, grad_lse}`. `saved`: what `forward` gave for the same q, k, v, call
  /// and mods; dropout's bits are taken from it, not from the call. Empty rows have no gradient but
  /// v's under `EmptyRow::uniform`; keys that no query is allowed have gradient 0. The path is the
  /// call's, or that of the rule; results do not depend on the number of threads.
  template <TensorOf<T, 4> Q, TensorBeside<Q, T, 4> K, TensorBeside<Q, T, 4> V,
            FunctorWithDerivative<Real>... Mods>
  Gradients<T, kDeviceOf<Q>> backward(const Incoming<T, kDeviceOf<Q>>& incoming,
                                      const Saved<T, kDeviceOf<Q>>& saved, const Q& q, const K& k,
                                      const V& v, const Call& call = {},
                                      const Mods&... mods) const {
    Gradients<T, kDeviceOf<Q>> gradients;
    static_cast<Run&>(gradients) = differentiate(
        incoming, saved, addresses(as_view(q)), addresses(as_view(k)), addresses(as_view(v)), call,
        [&](const auto& place, const Problem& problem, const auto& variant) {
          return outputs_of(gradients, place, problem, call, variant.score_mod.parameters());
        },
        mods...);
    return gradients;
  }

  /// As `backward`, into the caller's memory: `backward_into({.dq = dq, .dk = dk, .dv = dv}, ...)`.
  /// What is written must not overlap an input or each other.
  template <TensorOf<T, 4> Q, TensorBeside<Q, T, 4> K, TensorBeside<Q, T, 4> V,
            FunctorWithDerivative<Real>... Mods>
  Run backward_into(const GradientOutputs<T, kDeviceOf<Q>>& outputs,
                    const Incoming<T, kDeviceOf<Q>>& incoming, const Saved<T, kDeviceOf<Q>>& saved,
                    const Q& q, const K& k, const V& v, const Call& call = {},
                    const Mods&... mods) const {
    return differentiate(
        incoming, saved, addresses(as_view(q)), addresses(as_view(k)), addresses(as_view(v)), call,
        [&](const auto&...) { return outputs; }, mods...);
  }

 private:
  static Extents<4> out_extents(const Problem& problem) {
    return {problem.batch, problem.heads, problem.len_q, problem.head_dim_v};
  }
  static Extents<3> lse_extents(const Problem& problem) {
    return {problem.batch, problem.heads, problem.len_q};
  }

  // Checks the arguments, has `set_outputs` say where to write, and runs the path of choice.
  template <Device device, class SetOutputs, class... Mods>
  Run compute(const View<const T, 4>& q, const View<const T, 4>& k, const View<const T, 4>& v,
              const Call& call, SetOutputs&& set_outputs, const Mods&... mods) const {
    ForwardTensors<T> tensors{.q = q, .k = k, .v = v};
    const Problem problem = checked_problem(q, k, v, device);
    auto variant = variant_of(problem, call, options_.empty_row, mods...);
    const Place<device> place(q.data(), call.stream);
    const Choice choice = place.choose(problem, variant, options_, call.path);
    set_outputs(place, problem, variant, tensors);
    check_at(place, call, variant, tensors);
    Log::instance().choice(place.name(), choice);

    const double dropout = training_ ? options_.dropout : 0;
    const bool draws = dropout > 0 && !call.rng;
    const std::uint64_t counters = draws ? Dropout::counters(problem) : 0;
    const Rng rng = call.rng ? *call.rng : generator_.take(counters);
    if (dropout > 0) variant.dropout = Dropout(dropout, rng);
    try {
      place.forward(choice.path, problem, variant, tensors, call);
    } catch (...) {
      generator_.give_back(rng, counters);
      throw;
    }
    return {choice.path, choice.reason, rng, dropout};
  }

  // Makes room for the gradients that a call has.
  template <Device device>
  static GradientOutputs<T, device> outputs_of(Gradients<T, device>& gradients,
                                               const Place<device>& place, const Problem& problem,
                                               const Call& call, std::int64_t parameters) {
    const std::int64_t b = problem.batch, h_kv = problem.heads_kv, j = problem.len_k;
    place.make(gradients.dq, Extents<4>{b, problem.heads, problem.len_q, problem.head_dim});
    place.make(gradients.dk, Extents<4>{b, h_kv, j, problem.head_dim});
    place.make(gradients.dv, Extents<4>{b, h_kv, j, problem.head_dim_v});
    GradientOutputs<T, device> outputs{.dq = gradients.dq, .dk = gradients.dk, .dv = gradients.dv};
    if (call.bias.given()) {
      place.make(gradients.dbias, own_extents(call.bias));
      outputs.dbias = gradients.dbias;
    }
    if (call.sink.given()) {
      place.make(gradients.dsink, own_extents(call.sink));
      outputs.dsink = gradients.dsink;
    }
    if (parameters > 0) {
      place.make(gradients.dparameters, Extents<1>{parameters});
      outputs.dparameters = gradients.dparameters;
    }
    return outputs;
  }

  // Checks everything, asks `outputs` for where to write, and runs the path of choice.
  template <Device device, class Outputs, class... Mods>
  Run differentiate(const Incoming<T, device>& incoming, const Saved<T, device>& saved,
                    const View<const T, 4>& q, const View<const T, 4>& k, const View<const T, 4>& v,
                    const Call& call, Outputs&& outputs, const Mods&... mods) const {
    BackwardTensors<T> tensors{.q = q,
                               .k = k,
                               .v = v,
                               .out = saved.out,
                               .lse = saved.lse,
                               .grad_out = incoming.out,
                               .grad_lse = incoming.lse};
    const Problem problem = checked_problem(q, k, v, device);
    auto variant = variant_of(problem, call, options_.empty_row, mods...);
    check_dropout(saved.dropout);
    check_incoming(problem, tensors);
    const Place<device> place(q.data(), call.stream);
    const Choice choice = place.choose(problem, variant, options_, call.path);
    const GradientOutputs<T, device> written = outputs(place, problem, variant);
    tensors.dq = written.dq.view();
    tensors.dk = written.dk.view();
    tensors.dv = written.dv.view();
    tensors.dbias = written.dbias.view();
    tensors.dsink = written.dsink.view();
    tensors.parameters = written.dparameters.view();
    check_gradients(variant, call, written, tensors);
    check_at(place, call, variant, tensors);
    Log::instance().choice(place.name(), choice);

    if (saved.dropout > 0) variant.dropout = Dropout(saved.dropout, saved.rng);
    place.backward(choice.path, problem, variant, tensors, call);
    return {choice.path, choice.reason, saved.rng, saved.dropout};
  }

  Options options_;
  bool training_ = true;
  mutable Generator generator_;
};

}  // namespace attend
