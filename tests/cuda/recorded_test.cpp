// Outside truth on the device's paths: the original's own results, and a real model's tensors.
#include "support/recorded.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "cross/backward_check.hpp"
#include "cuda/backward_path.hpp"
#include "cuda/device_path.hpp"
#include "support/reference.hpp"

namespace {

using attend::Path;
using support::Layout;

const std::string kData = ATTEND_TEST_DATA;

std::vector<double> record(const std::string& name, const char* what) {
  return support::read_npy(kData + "/original/" + name + "." + what + ".npy").data;
}

template <class T>
std::vector<Path> paths() {
  if constexpr (std::is_same_v<T, double>) return {Path::math};
  if constexpr (sizeof(T) == 2) return {Path::math, Path::mem_efficient, Path::flash};
  return {Path::math, Path::mem_efficient};
}

// The original's two paths, and its two answers for rows without keys.
template <class T>
void check_forward(const std::string& name, oracle::Problem p) {
  for (const bool flash : {false, true}) {
    p.empty_row = flash ? oracle::EmptyRow::zero : oracle::EmptyRow::uniform;
    const std::vector<double> recorded_out = record(name, flash ? "out_flash" : "out_math");
    const support::Reference<T> reference(p);
    const double theirs = support::difference(recorded_out, reference.out).greatest;
    const support::Sample<T> sample(
        p, name.starts_with("rin_") ? Layout::heads_inside : Layout::row_major);
    for (const Path path : paths<T>()) {
      SCOPED_TRACE(attend::name(path));
      const auto out = support::run<T>(device::forward_path<T>(path), sample).out;
      EXPECT_TRUE(support::within(out, reference.out, reference.allowed_out));
      EXPECT_TRUE(support::within(out, recorded_out, reference.allowed_out + theirs));
    }
  }
}

// The record is of the original's math path, and a computation in T itself: its error is the
// yardstick.
template <class T>
void check_backward(const std::string& name, oracle::Problem p) {
  p.empty_row = oracle::EmptyRow::uniform;
  const support::Sample<T> sample(p, Layout::row_major);
  cross::IncomingGradients<T> incoming(p, 1);
  incoming.out = record(name, "grad_out");
  incoming.lse.assign(incoming.lse.size(), 0);
  const oracle::Gradients exact = oracle::backward(p, incoming.out);
  for (const Path path : paths<T>()) {
    SCOPED_TRACE(attend::name(path));
    const auto answer = cross::run_backward(sample, incoming, p, Layout::row_major, 1,
                                            device::backward_path<T>(path));
    const auto compare = [&](const char* what, const std::vector<double>& ours,
                             const std::vector<double>& oracle) {
      const std::vector<double> theirs = record(name, what);
      constexpr double kRounding{std::numeric_limits<attend::RealOf<T>>::epsilon()};
      const double allowed = support::allowance<T>(oracle, theirs, 3, 4) +
                             4 * kRounding * support::greatest_size(oracle);
      EXPECT_TRUE(support::within(ours, oracle, allowed)) << what;
      EXPECT_TRUE(support::within(ours, theirs, 2 * allowed)) << what << ", the record";
    };
    compare("dq", answer.dq, exact.dq);
    compare("dk", answer.dk, exact.dk);
    compare("dv", answer.dv, exact.dv);
  }
}

template <class T>
void check(const std::string& name) {
  SCOPED_TRACE(name);
  const std::string prefix = kData + "/original/" + name;
  const oracle::Problem p = support::recorded(prefix, prefix + ".mask.npy");
  check_forward<T>(name, p);
  check_backward<T>(name, p);
}

TEST(RecordedOnDevice, Original) {
  for (const char* name :
       {"plain", "rin_read", "rin_write", "rin_self", "padding", "padding_empty", "mask_full4",
        "mask_head1", "mask_head1_empty", "mask_random", "wider_v"})
    check<float>(name);
  check<double>("double");
  check<Eigen::half>("half");
  check<Eigen::bfloat16>("bfloat16");
}

oracle::Problem minilm(const std::string& name) {
  return support::recorded(kData + "/minilm/" + name,
                           kData + "/minilm/" + name.substr(0, name.find('.')) + ".mask.npy");
}

// PyTorch's recorded output is within 1.4e-6 of a double computation; ours within twice that.
TEST(RecordedOnDevice, MiniLm) {
  for (const char* name : {"sentences.layer0", "passage.layer3"}) {
    SCOPED_TRACE(name);
    const oracle::Problem p = minilm(name);
    const std::vector<double> exact = oracle::forward(p).out;
    const support::Sample<float> sample(p, Layout::heads_inside);
    for (const Path path : paths<float>()) {
      if (path == Path::math && p.len_k > 500) continue;  // takes its time on an emulated device
      const auto out = support::run<float>(device::forward_path<float>(path), sample).out;
      EXPECT_LE(support::difference(out, exact).greatest, 2 * 1.4e-6) << attend::name(path);
    }
  }
}

// The same tensors in half: what rounding them does is no error of the paths'.
TEST(RecordedOnDevice, MiniLmInHalf) {
  oracle::Problem p = minilm("sentences.layer0");
  for (std::vector<double>* const tensor : {&p.q, &p.k, &p.v})
    for (double& x : *tensor) x = support::rounded<Eigen::half>(x);
  const support::Reference<Eigen::half> reference(p);
  const support::Sample<Eigen::half> sample(p, Layout::heads_inside);
  for (const Path path : paths<Eigen::half>()) {
    SCOPED_TRACE(attend::name(path));
    const auto answer = support::run<Eigen::half>(device::forward_path<Eigen::half>(path), sample);
    EXPECT_TRUE(support::within(answer.out, reference.out, reference.allowed_out));
    EXPECT_TRUE(support::within(answer.lse, reference.lse, reference.allowed_lse));
  }
}

}  // namespace
