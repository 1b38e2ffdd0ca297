#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "api/call.hpp"
#include "api/check.hpp"
#include "api/generator.hpp"
#include "api/merge.hpp"
#include "api/result.hpp"
#include "api/tensor.hpp"
#include "api/variant_of.hpp"
#include "core/functors.hpp"
#include "cpu/fused_forward.hpp"
#include "cpu/math_forward.hpp"
#include "select/choose.hpp"
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
/// An object holds options, the training switch and the dropout generator. Calls are const and may
/// come from many threads at once. Tensors are Eigen's (row- or column-major, or maps) or
/// `attend::View`s of any strides: `q (b h i d)`, `k (b h_kv j d)`, `v (b h_kv j e)`, with h a
/// multiple of h_kv; query head n reads key and value head n / (h / h_kv). b, h, i, j and e may be
/// 0.
///
/// Every call throws `shape_error` or `value_error` where an argument does not fit, and
/// `unsupported_error` where a forced path cannot run, before anything is written.
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

  /// The output `(b h i e)`. `mask`: true = keep, keys `(b|1 j)` or `(b|1 h|1 i|1 j|1)`.
  template <HostTensor<T, 4> Q, HostTensor<T, 4> K, HostTensor<T, 4> V>
  Tensor<T, 4> operator()(const Q& q, const K& k, const V& v,
                          const Argument<bool, 2, 4>& mask = {}) const {
    Tensor<T, 4> out;
    compute(as_view(q), as_view(k), as_view(v), {.mask = mask},
            [&](const Problem& problem, const auto&, ForwardTensors<T>& tensors) {
              out.resize(out_extents(problem));
              tensors.out = as_view(out);
            });
    return out;
  }

  /// Output, log-sum-exp, and how they came about. `mods`: at most one `score_mod` and one
  /// `mask_mod`.
  template <HostTensor<T, 4> Q, HostTensor<T, 4> K, HostTensor<T, 4> V, Functor... Mods>
  Forward<T> forward(const Q& q, const K& k, const V& v, const Call& call = {},
                     const Mods&... mods) const {
    Forward<T> result;
    static_cast<Run&>(result) = compute(
        as_view(q), as_view(k), as_view(v), call,
        [&](const Problem& problem, const auto&, ForwardTensors<T>& tensors) {
          result.out.resize(out_extents(problem));
          result.lse.resize(lse_extents(problem));
          tensors.out = as_view(result.out);
          tensors.lse = as_view(result.lse);
        },
        mods...);
    return result;
  }

  /// As `forward`, into the caller's `out (b h i e)`, which must not overlap an input.
  template <WritableHostTensor<T, 4> Out, HostTensor<T, 4> Q, HostTensor<T, 4> K,
            HostTensor<T, 4> V, Functor... Mods>
  Run forward_into(Out&& out, const Q& q, const K& k, const V& v, const Call& call = {},
                   const Mods&... mods) const {
    return compute(
        as_view(q), as_view(k), as_view(v), call,
        [&](const Problem& problem, const auto& variant, ForwardTensors<T>& tensors) {
          tensors.out = as_view(out);
          check_destination(tensors.out, "out", out_extents(problem), variant, tensors);
        },
        mods...);
  }

  /// As `forward`, into the caller's `out (b h i e)` and `lse (b h i)`, which must not overlap an
  /// input or each other.
  template <WritableHostTensor<T, 4> Out, WritableHostTensor<RealOf<T>, 3> Lse, HostTensor<T, 4> Q,
            HostTensor<T, 4> K, HostTensor<T, 4> V, Functor... Mods>
  Run forward_into(Out&& out, Lse&& lse, const Q& q, const K& k, const V& v, const Call& call = {},
                   const Mods&... mods) const {
    return compute(
        as_view(q), as_view(k), as_view(v), call,
        [&](const Problem& problem, const auto& variant, ForwardTensors<T>& tensors) {
          tensors.out = as_view(out);
          tensors.lse = as_view(lse);
          check_destination(tensors.out, "out", out_extents(problem), variant, tensors);
          check_destination(tensors.lse, "lse", lse_extents(problem), variant, tensors);
          check_apart(tensors.out, "out", tensors.lse, "lse");
        },
        mods...);
  }

 private:
  static Extents<4> out_extents(const Problem& problem) {
    return {problem.batch, problem.heads, problem.len_q, problem.head_dim_v};
  }
  static Extents<3> lse_extents(const Problem& problem) {
    return {problem.batch, problem.heads, problem.len_q};
  }

  // Checks the arguments, has `set_outputs` say where to write, and runs the path of choice.
  template <class SetOutputs, class... Mods>
  Run compute(const View<const T, 4>& q, const View<const T, 4>& k, const View<const T, 4>& v,
              const Call& call, SetOutputs&& set_outputs, const Mods&... mods) const {
    const Problem problem = checked_problem(q, k, v, Device::host);
    auto variant = variant_of(problem, call, options_.empty_row, mods...);
    const Choice choice = choose(problem, options_, {}, call.path);
    ForwardTensors<T> tensors{.q = q, .k = k, .v = v};
    set_outputs(problem, variant, tensors);
    Log::instance().choice("host", choice);

    const double dropout = training_ ? options_.dropout : 0;
    const bool draws = dropout > 0 && !call.rng;
    const std::uint64_t counters = draws ? Dropout::counters(problem) : 0;
    const Rng rng = call.rng ? *call.rng : generator_.take(counters);
    if (dropout > 0) variant.dropout = Dropout(dropout, rng);
    try {
      const cpu::Workers workers = call.stream.workers();
      if (choice.path == Path::fused) {
        cpu::fused_forward(problem, variant, tensors, workers);
      } else {
        cpu::math_forward(problem, variant, tensors, workers);
      }
    } catch (...) {
      generator_.give_back(rng, counters);
      throw;
    }
    return {choice.path, choice.reason, rng, dropout};
  }

  Options options_;
  bool training_ = true;
  mutable Generator generator_;
};

}  // namespace attend
