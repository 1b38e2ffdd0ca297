// One case's gradients on every host path: against the oracle's, path against path, and threads
// against threads.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <attend/cpu/instances.hpp>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "cross/host_paths.hpp"
#include "support/case.hpp"
#include "support/oracle_backward.hpp"
#include "support/sample.hpp"
#include "support/tolerance.hpp"

namespace cross {

/// What a path computed, each in C order.
struct GradientAnswer {
  std::vector<double> dq, dk, dv, dbias, dsink;
  bool surroundings_untouched = true;
};

/// What comes in: gradients by output and log-sum-exp, as far as the loss may depend on them.
template <class T>
struct IncomingGradients {
  std::vector<double> out, lse;

  IncomingGradients(const oracle::Problem& p, std::uint64_t seed) {
    support::Draw draw(seed);
    const support::Index rows = p.batch * p.heads * p.len_q;
    out = draw.normal<T>(rows * p.head_dim_v);
    lse = draw.normal<attend::RealOf<T>>(rows);
    // Rows without keys must not let anything through, be it NaN.
    std::size_t row = 0;
    for (support::Index b = 0; b < p.batch; ++b)
      for (support::Index h = 0; h < p.heads; ++h)
        for (support::Index i = 0; i < p.len_q; ++i, ++row) {
          bool empty = p.empty_row == oracle::EmptyRow::zero;
          for (support::Index j = 0; empty && j < p.len_k; ++j)
            empty = !oracle::allowed(p, {b, h, i, j});
          const auto width = static_cast<std::size_t>(p.head_dim_v);
          for (std::size_t c = 0; empty && c < width; ++c)
            out[row * width + c] = std::numeric_limits<double>::quiet_NaN();
        }
  }
};

/// A path's gradients of a sample; the forward pass is the math path's.
template <class T, class Path>
GradientAnswer run_backward(const support::Sample<T>& s, const IncomingGradients<T>& incoming,
                            const oracle::Problem& p, support::Layout layout, int threads,
                            Path&& path) {
  using Real = attend::RealOf<T>;
  using support::Strided;
  if (layout == support::Layout::repeated) layout = support::Layout::row_major;
  const attend::Problem& problem = s.problem;
  Strided<T, 4> out = s.make_out();
  Strided<Real, 3> lse = s.make_lse();
  const auto pool = std::make_shared<Eigen::ThreadPool>(threads - 1);
  const attend::cpu::Workers workers(pool, threads - 1);
  attend::cpu::math_forward<T>(problem, s.variant,
                               {view(s.q), view(s.k), view(s.v), view(out), view(lse)}, workers);

  const oracle::Shape rows{problem.batch, problem.heads, problem.len_q};
  const Strided<T, 4> grad_out({rows[0], rows[1], rows[2], problem.head_dim_v}, layout,
                               incoming.out);
  const Strided<Real, 3> grad_lse(rows, layout, incoming.lse);
  Strided<T, 4> dq({rows[0], rows[1], rows[2], problem.head_dim}, layout);
  Strided<T, 4> dk({problem.batch, problem.heads_kv, problem.len_k, problem.head_dim}, layout);
  Strided<T, 4> dv({problem.batch, problem.heads_kv, problem.len_k, problem.head_dim_v}, layout);
  Strided<Real, 4> dbias;
  Strided<Real, 2> dsink;
  if (p.bias) dbias = {p.bias->shape, layout};
  if (p.sink) dsink = {{1, problem.heads}, layout};
  attend::BackwardTensors<T> tensors{.q = view(s.q),
                                     .k = view(s.k),
                                     .v = view(s.v),
                                     .out = view(std::as_const(out)),
                                     .lse = view(std::as_const(lse)),
                                     .grad_out = view(grad_out),
                                     .grad_lse = view(grad_lse),
                                     .dq = view(dq),
                                     .dk = view(dk),
                                     .dv = view(dv)};
  if (p.bias) tensors.dbias = view(dbias);
  if (p.sink) tensors.dsink = view(dsink);
  path(problem, s.variant, tensors, workers);

  GradientAnswer answer{dq.values(), dk.values(), dv.values(), {}, {}};
  answer.surroundings_untouched =
      dq.surroundings_untouched() && dk.surroundings_untouched() && dv.surroundings_untouched();
  if (p.bias) answer.dbias = dbias.values();
  if (p.sink) answer.dsink = dsink.values();
  return answer;
}

/// The oracle's gradients and the errors that a path on elements of type T may make.
template <class T>
class GradientReference {
 public:
  GradientReference(const oracle::Problem& p, const IncomingGradients<T>& incoming)
      : exact_(oracle::backward(p, incoming.out, incoming.lse)) {
    using Real = attend::RealOf<T>;
    // D = <dO, O> is taken from an output that was stored in T. It acts as a change of the
    // gradient by the log-sum-exp does.
    const oracle::Forward forward = oracle::forward(p);
    std::vector<double> stored = incoming.lse;
    const auto width = static_cast<std::size_t>(p.head_dim_v);
    for (std::size_t row = 0; row < stored.size(); ++row) {
      double change = 0;
      for (std::size_t n = row * width; n < (row + 1) * width; ++n)
        change += incoming.out[n] * (support::rounded<T>(forward.out[n]) - forward.out[n]);
      if (std::isfinite(change)) stored[row] -= change;
    }
    const auto plain = oracle::backward<support::Plain<T>>(p, incoming.out, stored);
    const auto sums = oracle::backward<support::PlainSums<T>>(p, incoming.out, stored);
    // Probabilities are taken from the log-sum-exp, which has been rounded: an error of as many
    // roundings as it is large, of terms <grad_out, v> that may cancel; so may what sums of many
    // products leave, which are rounded in an order of their own.
    const double logits = 1 + std::min(support::greatest_size(forward.lse), 100.);
    const double of_weights = support::greatest_size(incoming.lse) +
                              support::greatest_size(incoming.out) * support::greatest_size(p.v) *
                                  std::max(1., static_cast<double>(width) / 64) /
                                  (p.dropout < 1 ? 1 - p.dropout : 1);
    const double of_products =
        of_weights * std::max({1., support::greatest_size(p.q), support::greatest_size(p.k)}) *
        std::abs(p.scale ? *p.scale : 1 / std::sqrt(static_cast<double>(p.head_dim)));
    const double roundings = 4 * logits * double{std::numeric_limits<Real>::epsilon()};
    const auto allow = [&](const std::vector<double>& x, const std::vector<double>& of_plain) {
      return support::allowance<T>(x, of_plain, 3) +
             roundings * (of_products + support::greatest_size(x));
    };
    const auto allow_real = [&](const std::vector<double>& x, const std::vector<double>& of_sums) {
      return support::allowance<Real>(x, of_sums, 3) +
             roundings * (of_weights + support::greatest_size(x));
    };
    allowed_ = {allow(exact_.dq, plain.dq), allow(exact_.dk, plain.dk), allow(exact_.dv, plain.dv),
                allow_real(exact_.dbias, sums.dbias), allow_real(exact_.dsink, sums.dsink)};
  }

  /// Whether the textbook computation, in the same type, is a yardstick: it may overflow.
  bool serves() const {
    return std::all_of(allowed_.begin(), allowed_.end(), [](double x) { return std::isfinite(x); });
  }

  /// What is wrong with an answer, or nothing; `times`: the error that is allowed.
  std::string faults(const GradientAnswer& answer, double times = 1) const {
    const std::string found = differences(answer, exact_, times);
    return answer.surroundings_untouched ? found : found + "wrote outside its output\n";
  }

  /// Where two answers do not agree. Two errors meet: less than both at their most.
  std::string faults(const GradientAnswer& a, const GradientAnswer& b) const {
    return differences(a, b, 1.5);
  }

 private:
  template <class Expected>
  std::string differences(const GradientAnswer& answer, const Expected& expected,
                          double times) const {
    std::string found;
    std::size_t n = 0;
    const auto compare = [&](const char* name, const auto& result, const auto& of_expected) {
      const auto right = support::within(result, of_expected, times * allowed_[n++]);
      if (!right) found += std::string(name) + ": " + right.message() + "\n";
    };
    compare("dq", answer.dq, expected.dq);
    compare("dk", answer.dk, expected.dk);
    compare("dv", answer.dv, expected.dv);
    compare("dbias", answer.dbias, expected.dbias);
    compare("dsink", answer.dsink, expected.dsink);
    return found;
  }

  oracle::Gradients exact_;
  std::array<double, 5> allowed_;
};

inline void expect_identical(const GradientAnswer& a, const GradientAnswer& b) {
  EXPECT_TRUE(support::identical(a.dq, b.dq)) << "dq";
  EXPECT_TRUE(support::identical(a.dk, b.dk)) << "dk";
  EXPECT_TRUE(support::identical(a.dv, b.dv)) << "dv";
  EXPECT_TRUE(support::identical(a.dbias, b.dbias)) << "dbias";
  EXPECT_TRUE(support::identical(a.dsink, b.dsink)) << "dsink";
}

template <class T>
void check_backward(const support::Case& c) {
  const oracle::Problem p = support::problem<T>(c);
  const support::Sample<T> sample(p, c.layout);
  const IncomingGradients<T> incoming(p, c.seed + 1);
  const GradientReference<T> reference(p, incoming);
  const auto check_path = [&](const char* name, auto&& path) {
    SCOPED_TRACE(name);
    const GradientAnswer answer = run_backward(sample, incoming, p, c.layout, 1, path);
    EXPECT_EQ(reference.faults(answer), "");
    SCOPED_TRACE("three threads");
    expect_identical(answer, run_backward(sample, incoming, p, c.layout, 3, path));
  };
  check_path("math", [](auto&&... call) { attend::cpu::math_backward<T>(call...); });
  const auto fused = [](auto&&... call) { attend::cpu::fused_backward<T>(call...); };
  check_path("fused", fused);
  if (std::is_same_v<T, double>) return;  // one engine computes it
  for (const attend::cpu::Engine engine : engines_of<T>()) {
    SCOPED_TRACE(attend::cpu::name(engine));
    const attend::cpu::EngineOverride scope(engine);
    EXPECT_EQ(reference.faults(run_backward(sample, incoming, p, c.layout, 1, fused)), "");
  }
}

// Each element type is compiled in a file of its own.
extern template void check_backward<float>(const support::Case&);
extern template void check_backward<double>(const support::Case&);
extern template void check_backward<Eigen::half>(const support::Case&);
extern template void check_backward<Eigen::bfloat16>(const support::Case&);

}  // namespace cross
