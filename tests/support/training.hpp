// A layer of attention that is trained by gradient descent, with dropout, to a task whose answer is
// known: look up the value whose key is the query's.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <random>
#include <vector>

namespace support {

/// Rows (b n), columns (h d).
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Tokens are random vectors; the queries are the same tokens in another order, and the answer to
/// each is its token's label.
struct LookUp {
  static constexpr int kBatch = 8, kHeads = 2, kLen = 16, kDim = 8;
  static constexpr int kRows = kBatch * kLen, kWidth = kHeads * kDim;

  Matrix queries{kRows, kWidth}, keys{kRows, kWidth}, labels{kRows, kWidth};

  explicit LookUp(std::uint64_t seed) {
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

/// What came of it.
struct Training {
  std::vector<double> losses;
  double error_after;  ///< without dropout
};

/// Trains the matrices before a layer for so many steps. `forward(q, k, v)` gives the layer's
/// output, `backward(grad_out, dq, dk, dv)` the gradients of what it was given last, `eval()` ends
/// dropout.
template <class Layer>
Training train(Layer& layer, int steps) {
  const LookUp task(7);
  // Starts near the identity, with weights too small to tell keys apart.
  Matrix w_q = Matrix::Identity(LookUp::kWidth, LookUp::kWidth) * 0.3f, w_k = w_q, w_v = w_q * 0.1f;
  Matrix dq(LookUp::kRows, LookUp::kWidth), dk = dq, dv = dq, grad_out = dq;
  const auto loss = [&] {
    const Matrix out = layer.forward(task.queries * w_q, task.keys * w_k, task.labels * w_v);
    double sum = 0;
    for (int row = 0; row < LookUp::kRows; ++row) {
      grad_out.row(row) = out.row(row) - task.answer(row);
      sum += 0.5 * static_cast<double>(grad_out.row(row).squaredNorm());
    }
    grad_out /= static_cast<float>(LookUp::kRows);
    return sum / LookUp::kRows;
  };
  Training training;
  for (int step = 0; step < steps; ++step) {
    training.losses.push_back(loss());
    layer.backward(grad_out, dq, dk, dv);
    const float rate = 0.5f;
    w_q -= rate * task.queries.transpose() * dq;
    w_k -= rate * task.keys.transpose() * dk;
    w_v -= rate * task.labels.transpose() * dv;
  }
  layer.eval();
  training.error_after = loss();
  return training;
}

}  // namespace support
