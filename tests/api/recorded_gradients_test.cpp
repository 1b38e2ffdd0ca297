// Outside truth: the gradients that the original gave.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "support/npy.hpp"
#include "support/oracle_backward.hpp"
#include "support/tolerance.hpp"

namespace {

using support::NpyArray;

template <class T>
attend::Tensor<T, 4> tensor(const NpyArray& array) {
  attend::Tensor<T, 4> result(array.shape[0], array.shape[1], array.shape[2], array.shape[3]);
  for (std::size_t n = 0; n < array.data.size(); ++n)
    result.data()[n] = static_cast<T>(static_cast<attend::RealOf<T>>(array.data[n]));
  return result;
}

template <class T>
std::vector<double> values(const attend::Tensor<T, 4>& tensor) {
  std::vector<double> all;
  for (std::int64_t n = 0; n < tensor.size(); ++n)
    all.push_back(static_cast<double>(static_cast<attend::RealOf<T>>(tensor.data()[n])));
  return all;
}

// The record is of the original's math path, whose rows without keys give the mean of v.
template <class T>
void check(const std::string& name) {
  SCOPED_TRACE(name);
  const std::string prefix = std::string(ATTEND_TEST_DATA) + "/original/" + name;
  const auto read = [&](const char* what) {
    return support::read_npy(prefix + "." + what + ".npy");
  };
  const NpyArray q = read("q"), k = read("k"), v = read("v"), grad_out = read("grad_out");
  oracle::Problem p;
  p.batch = q.shape[0], p.heads = q.shape[1], p.heads_kv = k.shape[1];
  p.len_q = q.shape[2], p.len_k = k.shape[2], p.head_dim = q.shape[3], p.head_dim_v = v.shape[3];
  p.q = q.data, p.k = k.data, p.v = v.data;
  p.empty_row = oracle::EmptyRow::uniform;
  attend::Tensor<bool, 2> keys;
  attend::Tensor<bool, 4> pairs;
  typename attend::Attend<T>::Call call;
  if (std::ifstream(prefix + ".mask.npy").good()) {
    const NpyArray mask = read("mask");
    p.mask = oracle::Array{mask.shape, mask.data};
    if (mask.shape.size() == 2) {
      keys.resize(mask.shape[0], mask.shape[1]);
      std::copy(mask.data.begin(), mask.data.end(), keys.data());
      call.mask = keys;
    } else {
      pairs.resize(mask.shape[0], mask.shape[1], mask.shape[2], mask.shape[3]);
      std::copy(mask.data.begin(), mask.data.end(), pairs.data());
      call.mask = pairs;
    }
  }
  const oracle::Gradients exact = oracle::backward(p, grad_out.data);
  const attend::Attend<T> attention({.empty_row = attend::EmptyRow::uniform});
  for (const attend::Path path : {attend::Path::math, attend::Path::fused}) {
    SCOPED_TRACE(attend::name(path));
    call.path = path;
    const auto tq = tensor<T>(q), tk = tensor<T>(k), tv = tensor<T>(v), tg = tensor<T>(grad_out);
    const auto forward = attention.forward(tq, tk, tv, call);
    const auto g = attention.backward(tg, forward, tq, tk, tv, call);
    const auto compare = [&](const char* what, const std::vector<double>& ours,
                             const std::vector<double>& oracle) {
      // The record is a computation in T itself: its error is the yardstick.
      const std::vector<double> theirs = read(what).data;
      // Ours takes probabilities from the log-sum-exp, which has been rounded.
      constexpr double kRounding{std::numeric_limits<attend::RealOf<T>>::epsilon()};
      const double allowed = support::allowance<T>(oracle, theirs, 3, 4) +
                             4 * kRounding * support::greatest_size(oracle);
      EXPECT_TRUE(support::within(ours, oracle, allowed)) << what;
      EXPECT_TRUE(support::within(ours, theirs, 2 * allowed)) << what << ", the record";
    };
    compare("dq", values(g.dq), exact.dq);
    compare("dk", values(g.dk), exact.dk);
    compare("dv", values(g.dv), exact.dv);
  }
}

TEST(RecordedGradients, Original) {
  for (const char* name :
       {"plain", "rin_read", "rin_write", "rin_self", "padding", "padding_empty", "mask_full4",
        "mask_head1", "mask_head1_empty", "mask_random", "wider_v"})
    check<float>(name);
  check<double>("double");
  check<Eigen::half>("half");
  check<Eigen::bfloat16>("bfloat16");
}

}  // namespace
