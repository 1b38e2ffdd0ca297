// A layer of attention is trained, with dropout. Each path must get there, by the same losses.
#include "support/training.hpp"

#include <gtest/gtest.h>

#include <attend/attend.hpp>

namespace {

using support::LookUp;
using support::Matrix;

/// Memory (b n (h d)) as (b h n d).
attend::View<float, 4> heads(Matrix& x) {
  return attend::split_heads(x.data(), LookUp::kBatch, LookUp::kLen, LookUp::kHeads, LookUp::kDim);
}

class Layer {
 public:
  explicit Layer(attend::Path path) : call_{.path = path} {}

  const Matrix& forward(const Matrix& q, const Matrix& k, const Matrix& v) {
    q_ = q, k_ = k, v_ = v;
    run_ = attention_.forward_into(heads(out_), lse_, heads(q_), heads(k_), heads(v_), call_);
    return out_;
  }
  void backward(Matrix& grad_out, Matrix& dq, Matrix& dk, Matrix& dv) {
    attention_.backward_into({.dq = heads(dq), .dk = heads(dk), .dv = heads(dv)}, heads(grad_out),
                             {run_, heads(out_), lse_}, heads(q_), heads(k_), heads(v_), call_);
  }
  void eval() { attention_.eval(); }

 private:
  attend::Attend<float> attention_{{.dropout = 0.1, .flash = true, .seed = 11}};
  attend::Call<float> call_;
  attend::Run run_;
  Matrix q_, k_, v_, out_{LookUp::kRows, LookUp::kWidth};
  attend::Tensor<float, 3> lse_{LookUp::kBatch, LookUp::kHeads, LookUp::kLen};
};

support::Training train(attend::Path path) {
  Layer layer(path);
  return support::train(layer, 150);
}

TEST(Training, EveryPathLearnsTheLookUpByTheSameLosses) {
  const support::Training math = train(attend::Path::math), fused = train(attend::Path::fused);
  for (const support::Training* training : {&math, &fused}) {
    EXPECT_GT(training->losses.front(), 5);
    EXPECT_LT(training->error_after, 0.05 * training->losses.front());
  }
  for (std::size_t step = 0; step < math.losses.size(); ++step)
    EXPECT_NEAR(math.losses[step], fused.losses[step], 1e-3 * (1 + math.losses[step])) << step;
}

}  // namespace
