// Streams, events, asynchronous copies.
#include <set>

#include "runtime_fixture.hpp"

namespace programs {
namespace {

TEST_F(StreamTest, KeepsItsOrder) {
  for (int seed = 1; seed <= kSeeds; ++seed) {
    start(seed);
    int* data = upload({1, 2, 3});
    for (int i = 0; i < 5; ++i) {
      add(data, 1, 3, first);
      multiply(data, 2, 3, first);
    }
    ATTEND_EXPECT_OK(cudaStreamSynchronize(first));
    EXPECT_EQ(download(data, 3), (std::vector<int>{94, 126, 158}));
  }
}

// Whether b sees what a wrote, when b waits for a's event or not.
int seen_by_second(int* data, int* result, cudaStream_t first, cudaStream_t second,
                   cudaEvent_t event, bool wait) {
  add(data, 1, 1, first);
  ATTEND_EXPECT_OK(cudaEventRecord(event, first));
  if (wait) {
    ATTEND_EXPECT_OK(cudaStreamWaitEvent(second, event, 0));
  }
  copy(result, data, 1, second);
  ATTEND_EXPECT_OK(cudaStreamSynchronize(second));
  int value = -1;
  ATTEND_EXPECT_OK(cudaMemcpy(&value, result, sizeof(int), cudaMemcpyDeviceToHost));
  return value;
}

TEST_F(StreamTest, EventsOrderStreams) {
  std::set<int> without;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    start(seed);
    int *data = upload({0}), *result = upload({-1});
    EXPECT_EQ(seen_by_second(data, result, first, second, event, true), 1);
    ATTEND_EXPECT_OK(cudaDeviceSynchronize());
    without.insert(seen_by_second(data, result, first, second, event, false));
  }
  // Without the wait either order happens.
  if (emulated()) {
    EXPECT_EQ(without, (std::set<int>{1, 2}));
  }
}

TEST_F(StreamTest, CopiesToPageLockedMemoryHappenLater) {
  std::set<int> seen;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    start(seed);
    int* data = upload({5});
    int* pinned = nullptr;
    ATTEND_EXPECT_OK(cudaMallocHost(&pinned, sizeof(int)));
    *pinned = 0;
    add(data, 1, 1, first);
    ATTEND_EXPECT_OK(cudaMemcpyAsync(pinned, data, sizeof(int), cudaMemcpyDeviceToHost, first));
    seen.insert(int{*static_cast<volatile int*>(pinned)});  // too early
    ATTEND_EXPECT_OK(cudaEventRecord(event, first));
    ATTEND_EXPECT_OK(cudaEventSynchronize(event));
    EXPECT_EQ(*pinned, 6);
    int pageable = 0;
    add(data, 1, 1, first);
    ATTEND_EXPECT_OK(cudaMemcpyAsync(&pageable, data, sizeof(int), cudaMemcpyDeviceToHost, first));
    EXPECT_EQ(pageable, 7);
    ATTEND_EXPECT_OK(cudaFreeHost(pinned));
  }
  if (emulated()) {
    EXPECT_TRUE(seen.count(0));
  }
}

TEST_F(StreamTest, DefaultStreamWaitsForBlockingOnes) {
  for (int seed = 1; seed <= kSeeds; ++seed) {
    start(seed);
    cudaStream_t blocking;
    ATTEND_EXPECT_OK(cudaStreamCreate(&blocking));
    int* data = upload({1});
    add(data, 1, 1, blocking);
    multiply(data, 10, 1);
    add(data, 3, 1, blocking);
    ATTEND_EXPECT_OK(cudaStreamSynchronize(blocking));
    EXPECT_EQ(download(data, 1), std::vector<int>{23});
  }
}

TEST_F(StreamTest, PollingMakesProgress) {
  start(1);
  int* data = upload({1});
  for (int i = 0; i < 10; ++i) add(data, 1, 1, first);
  ATTEND_EXPECT_OK(cudaEventRecord(event, first));
  int polls = 0;
  while (cudaEventQuery(event) == cudaErrorNotReady) ASSERT_LT(++polls, 100000000);
  ATTEND_EXPECT_OK(cudaStreamQuery(first));
  cudaGetLastError();
  EXPECT_EQ(download(data, 1), std::vector<int>{11});
}

TEST_F(StreamTest, HostFunctionsRunInOrder) {
  start(2);
  int calls = 0;
  auto count = [](void* data) { ++*static_cast<int*>(data); };
  for (int i = 0; i < 3; ++i) ATTEND_EXPECT_OK(cudaLaunchHostFunc(first, count, &calls));
  ATTEND_EXPECT_OK(cudaStreamSynchronize(first));
  EXPECT_EQ(calls, 3);
}

TEST_F(StreamTest, PoolsAndFreesInOrder) {
  for (int seed = 1; seed <= kSeeds; ++seed) {
    start(seed);
    int *result = upload({0, 0}), *scratch = nullptr;
    ATTEND_EXPECT_OK(cudaMallocAsync(&scratch, 2 * sizeof(int), first));
    ATTEND_EXPECT_OK(cudaMemsetAsync(scratch, 0, 2 * sizeof(int), first));
    add(scratch, 9, 2, first);
    copy(result, scratch, 2, first);
    ATTEND_EXPECT_OK(cudaFreeAsync(scratch, first));
    ATTEND_EXPECT_OK(cudaStreamSynchronize(first));
    EXPECT_EQ(download(result, 2), (std::vector<int>{9, 9}));
    // A use after the free, in stream order, is one.
    if (emulated()) {
      copy(result, scratch, 2, first);
      ATTEND_EXPECT_CUDA(cudaErrorIllegalAddress, cudaStreamSynchronize(first));
      EXPECT_EQ(emulation.control()->take_failures().at(0).fault, gpu::Fault::use_after_free);
    }
  }
}

TEST_F(StreamTest, DestroyedHandlesAreRefused) {
  start(1);
  ATTEND_EXPECT_OK(cudaEventDestroy(event));
  ATTEND_EXPECT_OK(cudaStreamDestroy(second));
  if (emulated()) {
    ATTEND_EXPECT_CUDA(cudaErrorInvalidResourceHandle, cudaEventRecord(event, first));
    ATTEND_EXPECT_CUDA(cudaErrorInvalidResourceHandle, cudaStreamSynchronize(second));
  }
}

TEST_F(StreamTest, ResetForgetsAFailure) {
  start(1);
  if (!emulated()) GTEST_SKIP() << "a real device may not come back";
  int* data = upload({1});
  add(data, 1, 1000);
  ATTEND_EXPECT_CUDA(cudaErrorIllegalAddress, cudaDeviceSynchronize());
  ATTEND_EXPECT_CUDA(cudaErrorIllegalAddress, cudaGetLastError());
  ATTEND_EXPECT_CUDA(cudaErrorIllegalAddress, cudaGetLastError());
  ATTEND_EXPECT_OK(cudaDeviceReset());
  cudaGetLastError();
  data = upload({1});
  add(data, 1, 1);
  EXPECT_EQ(download(data, 1), std::vector<int>{2});
}

}  // namespace
}  // namespace programs
