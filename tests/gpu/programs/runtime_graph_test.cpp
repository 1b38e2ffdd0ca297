// Stream capture, graphs, memory that graphs allocate.
#include "runtime_fixture.hpp"

namespace programs {
namespace {

TEST_F(StreamTest, CapturesForksAndJoins) {
  for (int seed = 1; seed <= kSeeds; ++seed) {
    start(seed);
    int *a = upload({1}), *b = upload({1}), *result = upload({0});
    cudaEvent_t joined;
    ATTEND_EXPECT_OK(cudaEventCreate(&joined));
    ATTEND_EXPECT_OK(cudaStreamBeginCapture(first, cudaStreamCaptureModeGlobal));
    add(a, 1, 1, first);
    ATTEND_EXPECT_OK(cudaEventRecord(event, first));
    ATTEND_EXPECT_OK(cudaStreamWaitEvent(second, event, 0));
    copy(b, a, 1, second);
    multiply(b, 3, 1, second);
    ATTEND_EXPECT_OK(cudaEventRecord(joined, second));
    ATTEND_EXPECT_OK(cudaStreamWaitEvent(first, joined, 0));
    copy(result, b, 1, first);
    cudaGraph_t graph;
    ATTEND_EXPECT_OK(cudaStreamEndCapture(first, &graph));
    EXPECT_EQ(download(a, 1), std::vector<int>{1});  // nothing ran
    size_t nodes = 0;
    ATTEND_EXPECT_OK(cudaGraphGetNodes(graph, nullptr, &nodes));
    EXPECT_EQ(nodes, 4u);
    cudaGraphExec_t executable;
    ATTEND_EXPECT_OK(cudaGraphInstantiate(&executable, graph, 0));
    ATTEND_EXPECT_OK(cudaGraphDestroy(graph));
    for (int i = 0; i < 3; ++i) ATTEND_EXPECT_OK(cudaGraphLaunch(executable, first));
    add(result, 100, 1, first);
    ATTEND_EXPECT_OK(cudaStreamSynchronize(first));
    EXPECT_EQ(download(result, 1), std::vector<int>{112});
    ATTEND_EXPECT_OK(cudaGraphExecDestroy(executable));
  }
}

TEST_F(StreamTest, CaptureForbidsWaiting) {
  start(1);
  int *data = upload({1});
  cudaGraph_t graph;
  ATTEND_EXPECT_OK(cudaStreamBeginCapture(first, cudaStreamCaptureModeGlobal));
  add(data, 1, 1, first);
  ATTEND_EXPECT_CUDA(cudaErrorStreamCaptureUnsupported, cudaStreamSynchronize(first));
  ATTEND_EXPECT_CUDA(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(first, &graph));
  EXPECT_EQ(graph, nullptr);

  // A fork that nobody joins.
  ATTEND_EXPECT_OK(cudaStreamBeginCapture(first, cudaStreamCaptureModeGlobal));
  ATTEND_EXPECT_OK(cudaEventRecord(event, first));
  ATTEND_EXPECT_OK(cudaStreamWaitEvent(second, event, 0));
  add(data, 1, 1, second);
  ATTEND_EXPECT_CUDA(cudaErrorStreamCaptureUnjoined, cudaStreamEndCapture(first, &graph));
  cudaGetLastError();
  ATTEND_EXPECT_OK(cudaDeviceSynchronize());
  EXPECT_EQ(download(data, 1), std::vector<int>{1});
}

// The graph of what `record` puts on the stream.
template <typename Record>
cudaGraph_t captured(cudaStream_t stream, Record record) {
  cudaGraph_t graph = nullptr;
  ATTEND_EXPECT_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  record();
  ATTEND_EXPECT_OK(cudaStreamEndCapture(stream, &graph));
  return graph;
}

TEST_F(StreamTest, GraphsAllocateAndFree) {
  for (int seed = 1; seed <= kSeeds; ++seed) {
    start(seed);
    int *result = upload({0, 0}), *scratch = nullptr;
    cudaGraph_t graph = captured(first, [&] {
      ATTEND_EXPECT_OK(cudaMallocAsync(&scratch, 2 * sizeof(int), first));
      ATTEND_EXPECT_OK(cudaMemsetAsync(scratch, 0, 2 * sizeof(int), first));
      add(scratch, 9, 2, first);
      copy(result, scratch, 2, first);
      ATTEND_EXPECT_OK(cudaFreeAsync(scratch, first));
      if (emulated()) {
        ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaFreeAsync(scratch, first));  // again
      }
    });
    cudaGraphNode_t nodes[8];
    size_t count = 8;
    ATTEND_EXPECT_OK(cudaGraphGetNodes(graph, nodes, &count));
    ASSERT_EQ(count, 5u);
    cudaGraphNodeType type;
    ATTEND_EXPECT_OK(cudaGraphNodeGetType(nodes[0], &type));
    EXPECT_EQ(type, cudaGraphNodeTypeMemAlloc);
    ATTEND_EXPECT_OK(cudaGraphNodeGetType(nodes[4], &type));
    EXPECT_EQ(type, cudaGraphNodeTypeMemFree);

    cudaGraphExec_t executable = nullptr, another = nullptr;
    ATTEND_EXPECT_OK(cudaGraphInstantiate(&executable, graph, 0));
    EXPECT_NE(cudaGraphInstantiate(&another, graph, 0), cudaSuccess);  // one at a time
    for (int i = 0; i < 2; ++i) {
      ATTEND_EXPECT_OK(cudaMemsetAsync(result, 0, 2 * sizeof(int), second));
      ATTEND_EXPECT_OK(cudaGraphLaunch(executable, second));
      ATTEND_EXPECT_OK(cudaGraphLaunch(executable, first));  // comes after the one before
      ATTEND_EXPECT_OK(cudaDeviceSynchronize());
      EXPECT_EQ(download(result, 2), (std::vector<int>{9, 9}));
    }
    ATTEND_EXPECT_OK(cudaGraphExecDestroy(executable));
    ATTEND_EXPECT_OK(cudaGraphInstantiate(&executable, graph, 0));
    if (emulated()) {  // outside the graph there is no memory
      copy(result, scratch, 2, first);
      ATTEND_EXPECT_CUDA(cudaErrorIllegalAddress, cudaStreamSynchronize(first));
      EXPECT_EQ(emulation.control()->take_failures().at(0).fault, gpu::Fault::use_after_free);
    }
  }
}

TEST_F(StreamTest, MemoryMayOutliveItsGraph) {
  for (int seed = 1; seed <= kSeeds; ++seed) {
    start(seed);
    int *data = nullptr;
    cudaGraph_t graph = captured(first, [&] {
      ATTEND_EXPECT_OK(cudaMallocAsync(&data, sizeof(int), first));
      cudaPointerAttributes attributes;  // nothing is there yet
      ATTEND_EXPECT_OK(cudaPointerGetAttributes(&attributes, data));
      EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
      ATTEND_EXPECT_OK(cudaMemsetAsync(data, 0, sizeof(int), first));
      add(data, 5, 1, first);
    });
    cudaGraphExec_t executable = nullptr;
    ATTEND_EXPECT_OK(cudaGraphInstantiate(&executable, graph, 0));
    ATTEND_EXPECT_OK(cudaGraphLaunch(executable, first));
    ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaGraphLaunch(executable, first));  // not free yet
    add(data, 1, 1, first);
    ATTEND_EXPECT_OK(cudaStreamSynchronize(first));
    EXPECT_EQ(download(data, 1), std::vector<int>{6});
    ATTEND_EXPECT_OK(cudaFreeAsync(data, first));
    ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaFreeAsync(data, first));
    ATTEND_EXPECT_OK(cudaGraphLaunch(executable, first));
    ATTEND_EXPECT_OK(cudaStreamSynchronize(first));
    EXPECT_EQ(download(data, 1), std::vector<int>{5});
    ATTEND_EXPECT_OK(cudaFree(data));

    ATTEND_EXPECT_OK(cudaGraphExecDestroy(executable));
    ATTEND_EXPECT_OK(cudaGraphInstantiateWithFlags(&executable, graph,
                                                   cudaGraphInstantiateFlagAutoFreeOnLaunch));
    for (int i = 0; i < 3; ++i) ATTEND_EXPECT_OK(cudaGraphLaunch(executable, first));
    ATTEND_EXPECT_OK(cudaStreamSynchronize(first));
    EXPECT_EQ(download(data, 1), std::vector<int>{5});
    cudaGetLastError();
  }
}

TEST_F(StreamTest, OneGraphFreesWhatAnotherAllocates) {
  start(1);
  int *data = nullptr, *plain = upload({1});
  cudaGraph_t allocates = captured(first, [&] {
    ATTEND_EXPECT_OK(cudaMallocAsync(&data, sizeof(int), first));
    ATTEND_EXPECT_OK(cudaMemsetAsync(data, 0, sizeof(int), first));
  });
  cudaGraphExec_t executable = nullptr, freeing = nullptr;
  ATTEND_EXPECT_OK(cudaGraphInstantiate(&executable, allocates, 0));
  ATTEND_EXPECT_OK(cudaGraphLaunch(executable, first));
  cudaGraph_t frees = captured(first, [&] {
    add(data, 3, 1, first);
    copy(plain, data, 1, first);
    if (emulated()) {
      ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaFreeAsync(plain, first));  // no graph's
    }
    ATTEND_EXPECT_OK(cudaFreeAsync(data, first));
  });
  cudaGetLastError();
  ATTEND_EXPECT_OK(cudaGraphInstantiate(&freeing, frees, 0));
  for (int i = 0; i < 2; ++i) {
    ATTEND_EXPECT_OK(cudaGraphLaunch(freeing, first));
    ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaGraphLaunch(freeing, first));
    ATTEND_EXPECT_OK(cudaGraphLaunch(executable, first));
  }
  ATTEND_EXPECT_OK(cudaStreamSynchronize(first));
  EXPECT_EQ(download(plain, 1), std::vector<int>{3});
  cudaGetLastError();
}

TEST_F(StreamTest, ResetDestroysGraphs) {
  start(1);
  if (!emulated()) GTEST_SKIP() << "handles from before a reset must not be used";
  int *data = upload({1});
  cudaGraph_t graph = captured(first, [&] { add(data, 1, 1, first); });
  cudaGraphExec_t executable = nullptr;
  ATTEND_EXPECT_OK(cudaGraphInstantiate(&executable, graph, 0));
  ATTEND_EXPECT_OK(cudaDeviceReset());
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaGraphLaunch(executable, nullptr));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaGraphInstantiate(&executable, graph, 0));
  cudaGetLastError();
}

}  // namespace
}  // namespace programs
