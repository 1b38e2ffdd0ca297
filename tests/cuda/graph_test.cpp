// Whole calls in a graph: a training step is captured once and launched with other inputs.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>
#include <functional>
#include <vector>

#include "cuda/tensors.hpp"

namespace {

using attend::Path;
using Half = Eigen::half;
using Host4 = attend::Tensor<Half, 4>;
using Device4 = attend::cuda::Tensor<Half, 4>;

// What was put into a stream by `calls`, as a graph that can be launched.
class Graph {
 public:
  Graph(const attend::cuda::Stream& stream, const std::function<void()>& calls) {
    // In this mode whatever would wait, or take memory outside the stream, is an error.
    EXPECT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal), cudaSuccess);
    calls();
    EXPECT_EQ(cudaStreamEndCapture(stream.get(), &graph_), cudaSuccess);
    EXPECT_EQ(cudaGraphInstantiate(&executable_, graph_, 0), cudaSuccess);
  }
  ~Graph() {
    EXPECT_EQ(cudaGraphExecDestroy(executable_), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph_), cudaSuccess);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void launch(const attend::cuda::Stream& stream) const {
    EXPECT_EQ(cudaGraphLaunch(executable_, stream.get()), cudaSuccess);
  }

 private:
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
};

std::size_t free_bytes() {
  std::size_t free = 0, total = 0;
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  return free;
}

// Forward and backward of one path, for queries over `len_k` keys, with a mask that takes memory of
// the call's.
void check(Path path, std::int64_t len_q, std::int64_t len_k, std::int64_t head_dim = 24) {
  SCOPED_TRACE(attend::name(path));
  const attend::Extents<4> queries{2, 2, len_q, head_dim}, keys{2, 1, len_k, head_dim};
  Host4 host_q(2, 2, len_q, head_dim), host_k(2, 1, len_k, head_dim), grad(2, 2, len_q, head_dim);
  attend::Tensor<bool, 2> padding(1, len_k);
  for (std::int64_t j = 0; j < len_k; ++j) padding(0, j) = j % 5 != 3;
  const attend::cuda::Tensor<bool, 2> mask(padding);
  grad.setRandom(), host_k.setRandom();
  host_q.setZero();
  const Device4 k(host_k), v(host_k), grad_out(grad);
  Device4 q(host_q), out(queries), twice(queries), dq(queries), dk(keys), dv(keys);
  const attend::Attend<Half> attention{{.dropout = 0.2, .flash = true}};
  const attend::cuda::Stream stream;
  attend::Call<Half> call{.mask = mask,
                          .causal = attend::Causal::offset(len_k / 2),
                          .key_lengths = {len_k, len_k - 3},
                          .rng = attend::Rng{3, 1},
                          .path = path,
                          .stream = stream};
  const Graph graph(stream, [&] {
    attention.forward_into(out, q, k, v, call);
    const auto result = attention.forward(q, k, v, call);  // gives its memory back in the graph
    attention.forward_into(twice, result.out, k, v, call);
    attention.backward_into({.dq = dq, .dk = dk, .dv = dv}, grad_out, result, q, k, v, call);
  });
  for (int step = 0; step < 2; ++step) {
    host_q.setRandom();
    const Device4 other(host_q);
    ASSERT_EQ(cudaMemcpy(q.data(), other.data(), sizeof(Half) * std::size_t(host_q.size()),
                         cudaMemcpyDeviceToDevice),
              cudaSuccess);
    graph.launch(stream);
    stream.synchronize();
    const auto result = attention.forward(other, k, v, call);
    const auto g = attention.backward(grad_out, result, other, k, v, call);
    const auto second = attention.forward(result.out, k, v, call);
    stream.synchronize();
    device::expect_near(out.host(), result.out.host(), 2e-3f, "out");
    device::expect_near(twice.host(), second.out.host(), 2e-3f, "twice");
    device::expect_near(dq.host(), g.dq.host(), 5e-3f, "dq");
    device::expect_near(dk.host(), g.dk.host(), 1e-2f, "dk");
    device::expect_near(dv.host(), g.dv.host(), 1e-2f, "dv");
  }
}

TEST(Graph, HoldsATrainingStepOfEveryPath) {
  const auto all = [] {
    for (const Path path : {Path::flash, Path::mem_efficient, Path::math})
      for (const std::int64_t head_dim : {24, 40}) check(path, 40, 70, head_dim);
  };
  all();  // a GPU loads kernels when they are first launched
  const std::size_t before = free_bytes();
  all();
  EXPECT_EQ(free_bytes(), before);
}

// Keys are divided: parts of the results are in memory of the call's.
TEST(Graph, HoldsADecodingStep) {
  for (const Path path : {Path::flash, Path::mem_efficient}) check(path, 1, 2100);
}

}  // namespace
