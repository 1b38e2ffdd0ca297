// A layer of attention is trained by gradient descent, with dropout, to a task whose answer is
// known: look up the value whose key is the query's. Each path must get there, by the same losses.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace {

using Tensor4 = attend::Tensor<float, 4>;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr int kBatch = 8, kHeads = 2, kLen = 16, kDim = 8;
constexpr int kRows = kBatch * kLen, kWidth = kHeads * kDim;

/// Tokens are random vectors; the queries are the same tokens in another order, and the answer to
/// each is its token's label.
struct Task {
  Matrix queries{kRows, kWidth}, keys{kRows, kWidth}, labels{kRows, kWidth};

  explicit Task(std::uint64_t seed) {
    std::mt19937_64 bits(seed);
    std::normal_distribution<float> normal;
    for (Matrix* x : {&keys, &labels})
      for (int n = 0; n < x->size(); ++n) x->data()[n] = normal(bits);
    for (int b = 0; b < kBatch; ++b)
      for (int i = 0; i < kLen; ++i)
        queries.row(b * kLen + i) = keys.row(b * kLen + (i + 5) % kLen);
  }
  Eigen::RowVectorXf answer(int row) const {
    return labels.row(row / kLen * kLen + (row % kLen + 5) % kLen);
  }
};

/// Memory (b n (h d)) as (b h n d).
attend::View<float, 4> heads(Matrix& x) {
  return attend::split_heads(x.data(), kBatch, kLen, kHeads, kDim);
}

struct Training {
  std::vector<double> losses;
  double error_after;  // without dropout
};

Training train(attend::Path path) {
  const Task task(7);
  attend::Attend<float> attention({.dropout = 0.1, .flash = true, .seed = 11});
  // Starts near the identity, with weights too small to tell keys apart.
  Matrix w_q = Matrix::Identity(kWidth, kWidth) * 0.3f, w_k = w_q, w_v = w_q * 0.1f;
  Matrix q, k, v, out(kRows, kWidth), dq(kRows, kWidth), dk(kRows, kWidth), dv(kRows, kWidth);
  Matrix grad_out(kRows, kWidth);
  attend::Tensor<float, 3> lse(kBatch, kHeads, kLen);
  const auto loss = [&] {
    double sum = 0;
    for (int row = 0; row < kRows; ++row) {
      grad_out.row(row) = out.row(row) - task.answer(row);
      sum += 0.5 * static_cast<double>(grad_out.row(row).squaredNorm());
    }
    grad_out /= static_cast<float>(kRows);
    return sum / kRows;
  };
  const auto forward = [&] {
    q = task.queries * w_q;
    k = task.keys * w_k;
    v = task.labels * w_v;
    return attention.forward_into(heads(out), lse, heads(q), heads(k), heads(v), {.path = path});
  };
  Training training;
  for (int step = 0; step < 150; ++step) {
    const attend::Run run = forward();
    training.losses.push_back(loss());
    attention.backward_into({.dq = heads(dq), .dk = heads(dk), .dv = heads(dv)}, heads(grad_out),
                            {run, heads(out), lse}, heads(q), heads(k), heads(v), {.path = path});
    const float rate = 0.5f;
    w_q -= rate * task.queries.transpose() * dq;
    w_k -= rate * task.keys.transpose() * dk;
    w_v -= rate * task.labels.transpose() * dv;
  }
  attention.eval();
  forward();
  training.error_after = loss();
  return training;
}

TEST(Training, EveryPathLearnsTheLookUpByTheSameLosses) {
  const Training math = train(attend::Path::math), fused = train(attend::Path::fused);
  for (const Training* training : {&math, &fused}) {
    EXPECT_GT(training->losses.front(), 5);
    EXPECT_LT(training->error_after, 0.05 * training->losses.front());
  }
  for (std::size_t step = 0; step < math.losses.size(); ++step)
    EXPECT_NEAR(math.losses[step], fused.losses[step], 1e-3 * (1 + math.losses[step])) << step;
}

}  // namespace
